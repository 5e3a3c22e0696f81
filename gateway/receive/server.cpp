#include "gateway/receive/server.h"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/net/acceptor.h"
#include "gateway/net/stop_signal.h"
#include "gateway/net/transport.h"
#include "gateway/receive/policy.h"
#include "gateway/receive/session.h"

namespace sluice {
namespace {

Result<std::vector<net::ListenerOptions>> listener_options(const config::Config& config,
                                                           const Server::Parts& parts) {
  std::vector<net::ListenerOptions> all;
  for (const config::Listener& listener : config.listeners) {
    net::ListenerOptions options;
    options.name = listener.name;
    options.address = listener.address;
    options.port = listener.port;
    options.allow = listener.allow;
    options.request_timeout = listener.request_timeout;
    options.timeouts = {listener.idle_timeout, listener.stall_timeout, listener.message_timeout};
    options.security_alert = parts.security_alert;
    if (listener.tls) {
      auto tls = net::TlsContext::open(*listener.tls, net::TlsSide::listener);
      if (!tls) {
        return failure(ErrorCode::configuration,
                       "listener '" + listener.name + "': " + tls.error().message);
      }
      options.tls = std::move(*tls);
    }
    all.push_back(std::move(options));
  }
  return all;
}

net::Limits limits(const config::Config& config) {
  net::Limits limits;
  limits.associations = config.gateway.max_associations;
  limits.associations_per_address = config.gateway.max_associations_per_address;
  return limits;
}

Services services_of(const Server::Parts& parts, const Pipeline& pipeline) {
  return {parts.spool,          parts.queue, parts.ledger,    pipeline,
          parts.security_alert, parts.audit, parts.dispatcher};
}

}  // namespace

class Server::State {
 public:
  State(std::shared_ptr<const Setup> setup, Parts parts, net::RefusalHook refused)
      : first_(std::move(setup)), parts_(std::move(parts)), refused_(std::move(refused)) {}
  ~State() { stop(std::chrono::milliseconds(0)); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Result<void> start(std::vector<net::InheritedSocket> inherited) {
    if (const auto network = net::dcmnet_network(); !network) {
      return tl::unexpected<Error>(network.error());
    }
    auto rules = rules_of(std::exchange(first_, nullptr));
    if (!rules) return tl::unexpected<Error>(rules.error());
    acceptor_.emplace(std::move(rules->listeners), rules->limits, std::move(rules->policy),
                      std::move(rules->handler), &stop_signal_,
                      [this](const net::Refusal& refusal) {
                        if (refused_) refused_(refusal);
                        note(refusal);
                      });
    return acceptor_->start(std::move(inherited));
  }

  Result<Change> prepare(const std::shared_ptr<const Setup>& next) {
    auto rules = rules_of(next);
    if (!rules) return tl::unexpected<Error>(rules.error());
    return acceptor_->prepare(std::move(*rules));
  }
  void apply(const Change& change) { acceptor_->apply(change); }

  [[nodiscard]] std::vector<std::uint16_t> ports() const { return acceptor_->ports(); }

  void stop(std::chrono::milliseconds drain_timeout);

 private:
  struct Running {
    std::unique_ptr<Session> session;
    std::thread thread;
    bool finished = false;  // under mutex_
  };

  // They keep the setup for as long as a client or the acceptor has them.
  Result<net::AcceptorRules> rules_of(const std::shared_ptr<const Setup>& setup);
  bool take(const std::shared_ptr<const Setup>& setup, net::Arrival& arrival) noexcept;
  void note(const net::Refusal& refusal) const noexcept;
  void reap();

  std::shared_ptr<const Setup> first_;  // until start()
  Parts parts_;
  net::RefusalHook refused_;
  net::StopSignal stop_signal_;
  std::mutex mutex_;
  std::condition_variable session_finished_;
  std::list<Running> sessions_;
  bool stopping_ = false;
  std::optional<net::Acceptor> acceptor_;  // last: it calls into all of the above
};

// Joins the threads that have nothing left to do but return. With mutex_ held.
void Server::State::reap() {
  for (auto entry = sessions_.begin(); entry != sessions_.end();) {
    if (!entry->finished) {
      ++entry;
      continue;
    }
    entry->thread.join();
    entry = sessions_.erase(entry);
  }
}

Result<net::AcceptorRules> Server::State::rules_of(const std::shared_ptr<const Setup>& setup) {
  auto listeners = listener_options(setup->config, parts_);
  if (!listeners) return tl::unexpected<Error>(listeners.error());
  net::AcceptorRules rules;
  rules.listeners = std::move(*listeners);
  rules.limits = limits(setup->config);
  rules.policy = [setup](std::size_t listener, const std::string& peer_address,
                         const net::AssociateRequest& request) {
    return check_request(setup->config.listeners[listener], peer_address, request);
  };
  rules.handler = [this, setup](net::Arrival& arrival) { return take(setup, arrival); };
  return rules;
}

bool Server::State::take(const std::shared_ptr<const Setup>& setup,
                         net::Arrival& arrival) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    reap();
    if (stopping_) return false;
    Running& entry = sessions_.emplace_back();
    try {
      entry.session =
          std::make_unique<Session>(setup, setup->config.listeners[arrival.listener],
                                    services_of(parts_, *setup->pipeline), std::move(arrival));
      entry.thread = std::thread([this, &entry] {
        entry.session->run();
        std::unique_ptr<Session> ended;  // behind the lock, and with it what it held
        const std::lock_guard finished(mutex_);
        ended = std::move(entry.session);
        entry.finished = true;
        session_finished_.notify_all();
      });
    } catch (const std::exception&) {
      sessions_.pop_back();
      throw;
    }
    return true;
  } catch (const std::exception& exception) {
    log::error("no thread for an association", {{"reason", exception.what()}});
    return false;
  }
}

// A node that does not get in is not who may get in (PS3.15 A.5.3.11); one above a limit
// was turned away for the moment only, and that is no matter of security by itself. What an
// alert has told of is in the trail already.
void Server::State::note(const net::Refusal& refusal) const noexcept {
  if (parts_.audit == nullptr || refusal.is_transient || refusal.is_alerted) return;
  parts_.audit->node_refused({std::string(refusal.calling_ae_title), audit::AccessPoint::ip_address,
                              std::string(refusal.peer_address)},
                             audit::Outcome::minor_failure, std::string(refusal.reason));
}

void Server::State::stop(std::chrono::milliseconds drain_timeout) {
  if (acceptor_) acceptor_->stop();
  std::unique_lock lock(mutex_);
  stopping_ = true;
  stop_signal_.raise();
  const auto all_finished = [this] { return std::ranges::all_of(sessions_, &Running::finished); };
  if (!session_finished_.wait_for(lock, drain_timeout, all_finished)) {
    log::warning("associations are cut off: the drain time-out has passed");
    for (Running& entry : sessions_) {
      if (!entry.finished) entry.session->shut_down();
    }
    session_finished_.wait(lock, all_finished);
  }
  reap();
}

Server::Server(std::shared_ptr<const Setup> setup, Parts parts, net::RefusalHook refused)
    : state_(std::make_unique<State>(std::move(setup), std::move(parts), std::move(refused))) {}
Server::~Server() = default;

Result<void> Server::start(std::vector<net::InheritedSocket> inherited) {
  return state_->start(std::move(inherited));
}
std::vector<std::uint16_t> Server::ports() const {
  return state_->ports();
}
Result<Server::Change> Server::prepare(const std::shared_ptr<const Setup>& next) {
  return state_->prepare(next);
}
void Server::apply(const Change& change) {
  state_->apply(change);
}
void Server::stop(std::chrono::milliseconds drain_timeout) {
  state_->stop(drain_timeout);
}

}  // namespace sluice
