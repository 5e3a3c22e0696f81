#include "gateway/audit/recorder.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include <unistd.h>

#include "gateway/audit/syslog.h"
#include "gateway/base/counter.h"

namespace sluice::audit {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::minutes kRefusalInterval{1};
constexpr std::size_t kMostRefusals = 1000;  // told apart

Time now() {
  return std::chrono::system_clock::now();
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace

Self self_of(const config::Config& config) {
  Self self{host_name(), std::to_string(::getpid()), {}};
  const auto add = [&](const std::string& ae_title) {
    if (std::ranges::find(self.ae_titles, ae_title) == self.ae_titles.end()) {
      self.ae_titles.push_back(ae_title);
    }
  };
  for (const config::Listener& listener : config.listeners) {
    std::ranges::for_each(listener.ae_titles, add);
  }
  for (const config::Destination& destination : config.destinations) {
    if (destination.scheme.starts_with("dicom")) add(destination.calling_ae_title);
  }
  return self;
}

Source source_of(const config::Config& config) {
  const std::string& id = config.audit.source_id;
  return {id.empty() ? host_name() : id, config.audit.site_id};
}

Message message_of(const Event& event, const Self& self, const Source& source) {
  return {syslog_header(event.outcome, event.time, self.host_name, self.process_id),
          to_xml(event, source)};
}

Recorder::Recorder(Self self, Source source, Sink& sink)
    : self_(std::move(self)), source_(std::move(source)), sink_(sink) {}

template <typename Make>
void Recorder::record(const Make& make) noexcept {
  try {
    sink_.add(message_of(make(), self_, source_));
  } catch (const std::exception&) {
    try {
      count("sluice_audit_lost_total", {{"reason", "memory"}});
    } catch (const std::exception&) {
      return;  // not even that
    }
  }
}

void Recorder::application_started() noexcept {
  record([&] { return application_activity(self_, true, now()); });
}

void Recorder::application_stopped() noexcept {
  keep_house();
  record([&] { return application_activity(self_, false, now()); });
}

void Recorder::node_refused(const Node& node, Outcome outcome,
                            const std::string& description) noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);
      auto key = std::make_pair(node.access_point, description);
      Refusal fresh{node, outcome, steady_clock::now(), 0};
      if (!refusals_.contains(key) && refusals_.size() >= kMostRefusals) {
        // Too many to tell apart: counted together, under the first reason.
        key = {"", ""};
        fresh.node = {"", AccessPoint::machine_name, "various"};
      }
      const auto [place, is_new] = refusals_.try_emplace(std::move(key), std::move(fresh));
      if (!is_new) {
        ++place->second.more;
        return;
      }
    }
    record([&] { return audit::node_refused(self_, node, outcome, description, now()); });
  } catch (const std::exception&) {
    record([&]() -> Event { throw; });  // counts it
  }
}

void Recorder::tell_refusal(const Refusal& refusal, const std::string& description) {
  const std::string text = (description.empty() ? "refused for various reasons" : description) +
                           ", " + std::to_string(refusal.more) + " more times within a minute";
  record([&] { return audit::node_refused(self_, refusal.node, refusal.outcome, text, now()); });
}

void Recorder::keep_house() noexcept {
  try {
    const std::lock_guard lock(mutex_);
    const auto limit = steady_clock::now() - kRefusalInterval;
    for (auto entry = refusals_.begin(); entry != refusals_.end();) {
      if (entry->second.since > limit) {
        ++entry;
        continue;
      }
      if (entry->second.more > 0) tell_refusal(entry->second, entry->first.second);
      entry = refusals_.erase(entry);
    }
  } catch (const std::exception&) {
    record([&]() -> Event { throw; });
  }
}

void Recorder::storage_failed(const std::string& uri, const std::string& description) noexcept {
  record([&] { return storage_fault(self_, uri, description, now()); });
}

void Recorder::user_authenticated(const std::string& user, const Node& node, Outcome outcome,
                                  const std::string& description) noexcept {
  record([&] { return user_authentication(self_, user, node, outcome, description, now()); });
}

void Recorder::transfer_begun(const Route& route, const Subject& subject,
                              const std::string& sop_class_uid, Time time) noexcept {
  record([&] { return begin_transferring(self_, route, subject, sop_class_uid, time); });
}

void Recorder::transferred(const Route& route, const Subject& subject,
                           const SopClasses& sop_classes, Outcome outcome,
                           const std::string& reason) noexcept {
  record([&] {
    return instances_transferred(self_, route, subject, sop_classes, outcome, reason, now());
  });
}

}  // namespace sluice::audit
