#include "gateway/net/acceptor.h"

#include <algorithm>
#include <future>
#include <list>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/net/half_open.h"
#include "gateway/net/listening_socket.h"
#include "gateway/net/slots.h"

namespace sluice::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::size_t kHandshakeThreads = 2;

// An IPv4 client of an IPv6 listener has an address of its own, not a mapped one.
std::string address_text(const tcp::endpoint& endpoint) {
  const asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

std::optional<Objection> objection_of(const Rejection& rejection) {
  return Objection{rejection, reason_text(rejection)};
}

bool has_tls(const AcceptorRules& rules) {
  return std::ranges::any_of(rules.listeners,
                             [](const ListenerOptions& each) { return !!each.tls; });
}

void count_outcome(const char* outcome, std::string_view reason) {
  count("sluice_associations_total", {{"outcome", outcome}, {"reason", std::string(reason)}});
}

}  // namespace

// Sockets, in the order of the rules' listeners.
class Acceptor::Change {
 private:
  friend class Acceptor;
  std::shared_ptr<const AcceptorRules> rules_;
  std::vector<std::shared_ptr<ListeningSocket>> sockets_;
  std::unique_ptr<asio::thread_pool> workers_;  // where there are none, and TLS comes
};

class Acceptor::State : public std::enable_shared_from_this<Acceptor::State> {
 public:
  State(AcceptorRules rules, const StopSignal* stop, RefusalHook refused)
      : rules_(std::make_shared<const AcceptorRules>(std::move(rules))),
        stop_(stop),
        refusals_(std::move(refused)),
        slots_(std::make_shared<Slots>(rules_->limits.associations,
                                       rules_->limits.associations_per_address)) {}

  Result<void> start(std::vector<InheritedSocket> inherited);
  std::vector<std::uint16_t> ports() const;
  Result<std::shared_ptr<Change>> prepare(AcceptorRules rules);
  void apply(Change& change);
  void stop();

 private:
  using Socket = std::shared_ptr<ListeningSocket>;
  using Clients = std::list<std::shared_ptr<HalfOpen>>;

  [[nodiscard]] std::optional<ListenerRules> rules_of(const Socket& socket) const;
  void swap(Change& change);
  void accept(const Socket& socket);
  void accepted(const Socket& socket, const error_code& error, tcp::socket client);
  void pause(const Socket& socket, const ListenerOptions& options, const error_code& error);
  void make_room(const std::string& address);
  void done(const std::shared_ptr<HalfOpen>& client, HalfOpen::Outcome outcome);
  void requested(const std::shared_ptr<HalfOpen>& client);
  bool is_refused(const ListenerOptions& options, const tcp::endpoint& peer, tcp::socket& socket);
  void reject(const std::shared_ptr<HalfOpen>& client, const Objection& objection,
              const AssociateRequest& request, bool is_alerted = false);
  void abort(const std::shared_ptr<HalfOpen>& client, Abort reason, std::string_view text);
  static void alert(const std::shared_ptr<HalfOpen>& client, const TlsFailure& failure,
                    const std::string& calling_ae_title = "");
  [[nodiscard]] static bool may_use_ae_title(const std::shared_ptr<HalfOpen>& client,
                                             const AssociateRequest& request);
  void run() noexcept;

  asio::io_context io_;
  // These two change in the acceptor's thread alone, while the one that calls apply() waits.
  std::shared_ptr<const AcceptorRules> rules_;
  std::vector<Socket> sockets_;  // of each of their listeners
  const StopSignal* stop_;
  Refusals refusals_;
  std::shared_ptr<Slots> slots_;
  Clients clients_;  // oldest first
  std::thread thread_;
  std::unique_ptr<asio::thread_pool> workers_;  // where a listener has TLS
};

Result<void> Acceptor::State::start(std::vector<InheritedSocket> inherited) {
  std::vector<ListenerPlace> places;
  for (const ListenerOptions& options : rules_->listeners) {
    places.push_back({options.name, options.port});
  }
  auto given = assign_to_listeners(std::move(inherited), places);
  if (!given) return tl::unexpected<Error>(given.error());
  auto next = given->begin();
  std::vector<Socket> sockets;  // closed with an error
  for (const ListenerOptions& options : rules_->listeners) {
    sockets.push_back(std::make_shared<ListeningSocket>(io_));
    InheritedSocket one = std::move(*next++);
    auto opened = one.socket.is_valid() ? sockets.back()->adopt(options, std::move(one))
                                        : sockets.back()->open(options);
    if (!opened) return opened;
  }
  if (has_tls(*rules_)) workers_ = std::make_unique<asio::thread_pool>(kHandshakeThreads);
  sockets_ = std::move(sockets);
  for (const Socket& socket : sockets_) accept(socket);
  thread_ = std::thread([this] { run(); });
  return {};
}

Result<std::shared_ptr<Acceptor::Change>> Acceptor::State::prepare(AcceptorRules rules) {
  auto change = std::make_shared<Change>();
  change->rules_ = std::make_shared<const AcceptorRules>(std::move(rules));
  std::vector<Socket> left = sockets_;
  for (const ListenerOptions& options : change->rules_->listeners) {
    const auto same =
        std::ranges::find_if(left, [&](const Socket& each) { return each->is_of(options); });
    if (same != left.end()) {
      change->sockets_.push_back(*same);
      left.erase(same);
      continue;
    }
    change->sockets_.push_back(std::make_shared<ListeningSocket>(io_));
    if (auto opened = change->sockets_.back()->open(options); !opened) {
      return tl::unexpected<Error>(opened.error());
    }
  }
  if (has_tls(*change->rules_) && workers_ == nullptr) {
    change->workers_ = std::make_unique<asio::thread_pool>(kHandshakeThreads);
  }
  return change;
}

void Acceptor::State::apply(Change& change) {
  if (!thread_.joinable()) return;
  std::packaged_task<void()> task([&] { swap(change); });
  asio::post(io_, [&task] { task(); });
  task.get_future().get();
}

void Acceptor::State::swap(Change& change) {
  rules_.swap(change.rules_);
  sockets_.swap(change.sockets_);
  slots_->set_limits(rules_->limits.associations, rules_->limits.associations_per_address);
  if (change.workers_ != nullptr) workers_ = std::move(change.workers_);
  const auto is_in = [](const std::vector<Socket>& sockets, const Socket& socket) {
    return std::ranges::find(sockets, socket) != sockets.end();
  };
  for (const Socket& socket : change.sockets_) {
    if (is_in(sockets_, socket)) continue;
    error_code ignored;
    socket->acceptor.close(ignored);
    socket->pause.cancel();
    log::info("not listening any more", {{"port", socket->port}});
  }
  for (const Socket& socket : sockets_) {
    if (!is_in(change.sockets_, socket)) accept(socket);
  }
}

// nullopt: it belongs to a listener that is gone.
std::optional<ListenerRules> Acceptor::State::rules_of(const Socket& socket) const {
  const auto found = std::ranges::find(sockets_, socket);
  if (found == sockets_.end()) return std::nullopt;
  return ListenerRules{rules_, static_cast<std::size_t>(found - sockets_.begin())};
}

void Acceptor::State::run() noexcept {
  const auto guard = asio::make_work_guard(io_);
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::exception& exception) {
      // One client's trouble, such as no memory; the others go on.
      log::error("accepting an association failed", {{"reason", exception.what()}});
    }
  }
}

std::vector<std::uint16_t> Acceptor::State::ports() const {
  std::vector<std::uint16_t> ports;
  for (const Socket& socket : sockets_) ports.push_back(socket->port);
  return ports;
}

void Acceptor::State::accept(const Socket& socket) {
  socket->acceptor.async_accept([this, socket](const error_code& error, tcp::socket client) {
    accepted(socket, error, std::move(client));
  });
}

void Acceptor::State::pause(const Socket& socket, const ListenerOptions& options,
                            const error_code& error) {
  // Out of descriptors or memory: trying again at once would only burn the processor.
  // The timer comes first: what is short may be short for the log line too.
  socket->pause.expires_after(kAcceptPause);
  socket->pause.async_wait([this, socket](const error_code& cancelled) {
    if (!cancelled && rules_of(socket)) accept(socket);
  });
  if (!std::exchange(socket->paused, true)) {
    log::error("accepting connections is paused",
               {{"listener", options.name}, {"reason", error.message()}});
  }
  count_outcome("failed", "accept");
}

void Acceptor::State::accepted(const Socket& socket, const error_code& error, tcp::socket client) {
  const auto rules = rules_of(socket);
  if (error == asio::error::operation_aborted || !rules) return;
  const ListenerOptions& options = rules->options();
  if (error) {
    if (error == asio::error::connection_aborted) {
      accept(socket);
    } else {
      pause(socket, options, error);
    }
    return;
  }
  try {
    if (std::exchange(socket->paused, false)) {
      log::info("accepting connections again", {{"listener", options.name}});
    }
    error_code gone;
    const tcp::endpoint peer = client.remote_endpoint(gone);
    static_cast<void>(::fcntl(client.native_handle(), F_SETFD, FD_CLOEXEC));
    if (!gone && !is_refused(options, peer, client)) {
      const std::string address = address_text(peer);
      make_room(address);
      auto half_open =
          std::make_shared<HalfOpen>(std::move(client), address, *rules,
                                     [this](const std::shared_ptr<HalfOpen>& from,
                                            HalfOpen::Outcome outcome) { done(from, outcome); });
      clients_.push_back(half_open);
      if (options.tls) {
        half_open->start(options.request_timeout, options.tls, *workers_);
      } else {
        half_open->start(options.request_timeout);
      }
    }
  } catch (const std::exception& exception) {
    log::error("a connection was dropped", {{"reason", exception.what()}});
  }
  accept(socket);
}

// Closed by a reset: a flood of strangers leaves no state behind, not even TIME_WAIT.
bool Acceptor::State::is_refused(const ListenerOptions& options, const tcp::endpoint& peer,
                                 tcp::socket& socket) {
  const auto& allow = options.allow;
  if (allow.empty() || config::is_in_any(allow, peer.address())) return false;
  error_code ignored;
  socket.set_option(tcp::socket::linger(true, 0), ignored);
  socket.close(ignored);
  refusals_.tell({.of = Refusal::Of::connection,
                  .listener = options.name,
                  .peer_address = address_text(peer),
                  .reason = "address not allowed"});
  return true;
}

// The oldest half-open connection gives way: a client that means it needs milliseconds.
void Acceptor::State::make_room(const std::string& address) {
  std::size_t of_address = 0;
  auto oldest = clients_.end();
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    if ((*client)->address() != address) continue;
    if (of_address++ == 0) oldest = client;
  }
  if (of_address < rules_->limits.half_open_per_address) {
    oldest = clients_.size() < rules_->limits.half_open ? clients_.end() : clients_.begin();
  }
  if (oldest == clients_.end()) return;
  log::warning("half-open connection closed: too many", {{"peer_address", (*oldest)->address()}});
  count_outcome("aborted", "too many half-open");
  (*oldest)->drop();
  clients_.erase(oldest);
}

void Acceptor::State::done(const std::shared_ptr<HalfOpen>& client, HalfOpen::Outcome outcome) {
  clients_.remove(client);
  switch (outcome) {
    case HalfOpen::Outcome::request:
      requested(client);
      break;
    case HalfOpen::Outcome::closed:
      count_outcome("aborted", "closed before its request");
      log::debug("closed before its request", {{"peer_address", client->address()}});
      client->drop();
      break;
    case HalfOpen::Outcome::timed_out:
      abort(client, kAbortByUser,
            client->is_shaking_hands() ? "no TLS handshake in time" : "no whole request in time");
      break;
    case HalfOpen::Outcome::not_a_request:
      if (client->has_sent_tls()) {
        alert(client, {"TLS on a plain port", "the peer speaks TLS, and this listener does not"});
      }
      abort(client, kAbortUnexpectedPdu, "not an A-ASSOCIATE-RQ");
      break;
    case HalfOpen::Outcome::no_tls:
      alert(client, client->tls() == nullptr ? TlsFailure{"broken TLS", "no TLS session was made"}
                                             : client->tls()->failure());
      count_outcome("aborted", "no TLS");
      client->answer_and_close({});
      break;
    case HalfOpen::Outcome::too_long:
      abort(client, kAbortInvalidParameter, "A-ASSOCIATE-RQ longer than 256 KiB");
      break;
  }
}

void Acceptor::State::abort(const std::shared_ptr<HalfOpen>& client, Abort reason,
                            std::string_view text) {
  count_outcome("aborted", reason.source == 0 ? "time-out" : "broken request");
  log::warning("association aborted", {{"peer_address", client->address()},
                                       {"listener", client->listener().options().name},
                                       {"reason", text}});
  refusals_.pass_on({.of = Refusal::Of::association,
                     .listener = client->listener().options().name,
                     .peer_address = client->address(),
                     .reason = text,
                     .is_alerted = client->has_sent_tls()});
  client->answer_and_close(encode(reason));
}

void Acceptor::State::alert(const std::shared_ptr<HalfOpen>& client, const TlsFailure& failure,
                            const std::string& calling_ae_title) {
  const ListenerOptions& options = client->listener().options();
  raise({std::string(failure.reason), failure.detail, "listener", options.name, client->address(),
         client->tls() == nullptr ? "" : client->tls()->shown_subject(), calling_ae_title},
        options.security_alert);
}

// The certificate was good; whether it may speak for this AE title is another question.
bool Acceptor::State::may_use_ae_title(const std::shared_ptr<HalfOpen>& client,
                                       const AssociateRequest& request) {
  const ListenerOptions& options = client->listener().options();
  if (client->tls() == nullptr) return true;
  const auto certificate = client->tls()->peer_certificate();
  count("sluice_tls_connections_total",
        {{"listener", options.name}, {"version", client->tls()->version()}});
  log::debug("TLS agreed", {{"peer_address", client->address()},
                            {"version", client->tls()->version()},
                            {"cipher_suite", client->tls()->cipher_suite()},
                            {"certificate", client->tls()->shown_subject()},
                            {"sha256", certificate ? certificate->fingerprint : ""}});
  if (options.tls->may_use(certificate ? &*certificate : nullptr, request.calling_ae_title)) {
    return true;
  }
  alert(client,
        {"AE title of another",
         certificate ? "ae_titles do not give this AE title to the certificate, sha256:" +
                           certificate->fingerprint
                     : "the AE title is bound to a certificate, and the peer showed none"},
        request.calling_ae_title);
  return false;
}

void Acceptor::State::reject(const std::shared_ptr<HalfOpen>& client, const Objection& objection,
                             const AssociateRequest& request, bool is_alerted) {
  refusals_.tell({.of = Refusal::Of::association,
                  .listener = client->listener().options().name,
                  .peer_address = client->address(),
                  .calling_ae_title = request.calling_ae_title,
                  .called_ae_title = request.called_ae_title,
                  .reason = objection.reason,
                  .is_transient = objection.answer.result == kLocalLimitExceeded.result,
                  .is_alerted = is_alerted});
  client->answer_and_close(encode(objection.answer));
}

void Acceptor::State::requested(const std::shared_ptr<HalfOpen>& client) {
  const ListenerRules& rules = client->listener();
  std::vector<std::byte> bytes = client->take_bytes();
  auto request = parse_associate_request(bytes);
  if (!request) {
    abort(client, kAbortInvalidParameter, request.error().message);
    return;
  }
  auto unsupported = request->unsupported;
  if (!unsupported && request->called_ae_title.empty()) unsupported = kCalledAeTitleNotRecognized;
  if (!unsupported && request->calling_ae_title.empty()) unsupported = kCallingAeTitleNotRecognized;
  const auto objection = unsupported ? objection_of(*unsupported)
                                     : rules.all->policy(rules.index, client->address(), *request);
  if (objection) {
    reject(client, *objection, *request);
    return;
  }
  if (!may_use_ae_title(client, *request)) {
    reject(client, *objection_of(kCallingAeTitleNotRecognized), *request, true);
    return;
  }
  std::unique_ptr<Slot> slot = slots_->take(client->address());
  if (slot == nullptr) {
    reject(client, *objection_of(kLocalLimitExceeded), *request);
    return;
  }
  if (request->user_identity) blank_user_identity(bytes);
  FileDescriptor socket(client->release_socket());
  if (!socket.is_valid()) {
    log::error("a connection was lost on its way to its thread",
               {{"peer_address", client->address()}});
    return;
  }
  Arrival arrival;
  arrival.listener = rules.index;
  arrival.connection =
      std::make_shared<Connection>(std::move(socket), client->address(), rules.options().timeouts,
                                   std::move(bytes), stop_, client->take_tls());
  arrival.request = std::move(*request);
  arrival.slot = std::move(slot);
  const std::shared_ptr<Connection> connection = arrival.connection;
  if (rules.all->handler(arrival)) return;
  // Ten bytes into an empty send buffer: this does not wait.
  count_outcome("rejected", reason_text(kTemporaryCongestion));
  static_cast<void>(connection->write(encode(kTemporaryCongestion)));
  connection->close(std::chrono::milliseconds(0));
}

void Acceptor::State::stop() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    for (const Socket& socket : sockets_) {
      error_code ignored;
      socket->acceptor.close(ignored);
      socket->pause.cancel();
    }
    for (const auto& client : clients_) client->drop();
    clients_.clear();
    io_.stop();
  });
  thread_.join();
  if (workers_ != nullptr) {
    workers_->stop();
    workers_->join();
  }
}

Acceptor::Acceptor(std::vector<ListenerOptions> listeners, Limits limits, Policy policy,
                   Handler handler, const StopSignal* stop, RefusalHook refused)
    : state_(std::make_shared<State>(
          AcceptorRules{std::move(listeners), limits, std::move(policy), std::move(handler)}, stop,
          std::move(refused))) {}

Acceptor::~Acceptor() {
  stop();
}

Result<void> Acceptor::start(std::vector<InheritedSocket> inherited) {
  return state_->start(std::move(inherited));
}
std::vector<std::uint16_t> Acceptor::ports() const {
  return state_->ports();
}
Result<std::shared_ptr<Acceptor::Change>> Acceptor::prepare(AcceptorRules rules) {
  return state_->prepare(std::move(rules));
}
void Acceptor::apply(const std::shared_ptr<Change>& change) {
  state_->apply(*change);
}
void Acceptor::stop() {
  state_->stop();
}

}  // namespace sluice::net
