#include "gateway/command/certificates.h"

#include <map>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/net/tls.h"

namespace sluice::command {
namespace {

using net::CertificateProblem;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr std::chrono::minutes kLookInterval{1};
constexpr std::chrono::hours kLogInterval{24};

void check_table(const config::Tls& tls, net::TlsSide side, config::Mistakes& mistakes,
                 Outdated outdated) {
  for (CertificateProblem& problem :
       net::find_certificate_problems(tls, side, system_clock::now())) {
    const auto line = tls.lines.find(problem.key);
    const int at = line != tls.lines.end() ? line->second : tls.lines.at("");
    const bool is_mistake =
        problem.kind == CertificateProblem::Kind::mistake ||
        (problem.kind == CertificateProblem::Kind::outdated && outdated == Outdated::is_mistake);
    if (is_mistake) {
      mistakes.add(at, std::move(problem.message));
    } else {
      mistakes.warn(at, std::move(problem.message));
    }
  }
}

}  // namespace

void check_certificates(const config::Config& config, config::Mistakes& mistakes,
                        Outdated outdated) {
  for (const config::Listener& listener : config.listeners) {
    if (listener.tls) check_table(*listener.tls, net::TlsSide::listener, mistakes, outdated);
  }
  for (const config::Destination& destination : config.destinations) {
    if (!destination.tls) continue;
    check_table(*destination.tls, net::TlsSide::destination, mistakes, outdated);
  }
  for (const config::AuditDestination& destination : config.audit.destinations) {
    if (!destination.tls) continue;
    check_table(*destination.tls, net::TlsSide::destination, mistakes, outdated);
  }
}

CertificateWatch::CertificateWatch(const config::Config& config) {
  for (const config::Listener& listener : config.listeners) {
    if (!listener.tls) continue;
    places_.push_back({"listener", listener.name, *listener.tls, net::TlsSide::listener});
  }
  for (const config::Destination& destination : config.destinations) {
    if (!destination.tls) continue;
    places_.push_back(
        {"destination", destination.name, *destination.tls, net::TlsSide::destination});
  }
  for (const config::AuditDestination& destination : config.audit.destinations) {
    if (!destination.tls) continue;
    places_.push_back({"audit", destination.address, *destination.tls, net::TlsSide::destination});
  }
}

void CertificateWatch::look() {
  const auto now = steady_clock::now();
  const bool first = looked_at_ == steady_clock::time_point();
  if (places_.empty() || (!first && now - looked_at_ < kLookInterval)) return;
  looked_at_ = now;
  const bool log_too = first || now - logged_at_ >= kLogInterval;
  if (log_too) logged_at_ = now;
  const auto today = system_clock::now();
  for (const Place& place : places_) {
    // Of several in one file the one that ends first.
    std::map<std::string, system_clock::duration> left;
    const auto files = net::read_certificate_files(place.tls, place.side, today);
    for (const net::Expiry& each : files.expiries) {
      const auto found = left.try_emplace(each.key, each.at - today).first;
      found->second = std::min(found->second, each.at - today);
      if (!log_too || each.key != "certificate") continue;
      const bool soon = each.at - today < net::kExpiryWarning;
      (soon ? log::warning : log::info)(
          "certificate",
          {{place.kind, place.name},
           {"subject", each.subject},
           {"ends_in", each.at < today ? "expired" : net::days_text(each.at - today)}});
    }
    for (const auto& [key, duration] : left) {
      set_gauge("sluice_certificate_seconds_left",
                {{"kind", place.kind}, {"name", place.name}, {"key", key}},
                std::chrono::duration<double>(duration).count());
    }
  }
}

}  // namespace sluice::command
