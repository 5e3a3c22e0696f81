#include "gateway/net/acceptor.h"

#include <algorithm>
#include <list>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/net/half_open.h"
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

void count_outcome(const char* outcome, std::string_view reason) {
  count("sluice_associations_total", {{"outcome", outcome}, {"reason", std::string(reason)}});
}

}  // namespace

class Acceptor::State : public std::enable_shared_from_this<Acceptor::State> {
 public:
  State(std::vector<ListenerOptions> listeners, Limits limits, Policy policy, Handler handler,
        const StopSignal* stop, RefusalHook refused)
      : limits_(limits),
        policy_(std::move(policy)),
        handler_(std::move(handler)),
        stop_(stop),
        refusals_(std::move(refused)),
        slots_(std::make_shared<Slots>(limits.associations, limits.associations_per_address)) {
    for (ListenerOptions& options : listeners) listeners_.emplace_back(std::move(options), io_);
  }

  Result<void> start(std::vector<InheritedSocket> inherited);
  std::vector<std::uint16_t> ports() const;
  void stop();

 private:
  struct Listener {
    Listener(ListenerOptions listener_options, asio::io_context& io)
        : options(std::move(listener_options)), acceptor(io), pause(io) {}
    ListenerOptions options;
    tcp::acceptor acceptor;
    asio::steady_timer pause;
    bool paused = false;
    std::uint16_t port = 0;
  };
  using Clients = std::list<std::shared_ptr<HalfOpen>>;

  static Result<void> open(Listener& entry);
  static Result<void> adopt(Listener& entry, InheritedSocket inherited);
  static error_code try_open(Listener& entry, const asio::ip::address& address);
  void accept(std::size_t index);
  void accepted(std::size_t index, const error_code& error, tcp::socket socket);
  void pause(std::size_t index, const error_code& error);
  void make_room(const std::string& address);
  void done(const std::shared_ptr<HalfOpen>& client, HalfOpen::Outcome outcome);
  void requested(const std::shared_ptr<HalfOpen>& client);
  bool is_refused(const Listener& entry, const tcp::endpoint& peer, tcp::socket& socket);
  void reject(const std::shared_ptr<HalfOpen>& client, const Objection& objection,
              const AssociateRequest& request, bool is_alerted = false);
  void abort(const std::shared_ptr<HalfOpen>& client, Abort reason, std::string_view text);
  void alert(const std::shared_ptr<HalfOpen>& client, const TlsFailure& failure,
             const std::string& calling_ae_title = "");
  [[nodiscard]] bool may_use_ae_title(const std::shared_ptr<HalfOpen>& client,
                                      const AssociateRequest& request);
  void run() noexcept;

  asio::io_context io_;
  std::list<Listener> listeners_;
  Limits limits_;
  Policy policy_;
  Handler handler_;
  const StopSignal* stop_;
  Refusals refusals_;
  std::shared_ptr<Slots> slots_;
  Clients clients_;  // oldest first
  std::thread thread_;
  std::unique_ptr<asio::thread_pool> workers_;  // where a listener has TLS

  Listener& listener(std::size_t index) {
    return *std::next(listeners_.begin(), static_cast<std::ptrdiff_t>(index));
  }
};

Result<void> Acceptor::State::start(std::vector<InheritedSocket> inherited) {
  std::vector<ListenerPlace> places;
  for (const Listener& entry : listeners_) {
    places.push_back({entry.options.name, entry.options.port});
  }
  auto sockets = assign_to_listeners(std::move(inherited), places);
  if (!sockets) return tl::unexpected<Error>(sockets.error());
  auto socket = sockets->begin();
  for (Listener& entry : listeners_) {
    InheritedSocket given = std::move(*socket++);
    auto opened = given.socket.is_valid() ? adopt(entry, std::move(given)) : open(entry);
    if (opened) continue;
    error_code ignored;
    for (Listener& other : listeners_) other.acceptor.close(ignored);
    return opened;
  }
  if (std::ranges::any_of(listeners_, [](const Listener& each) { return !!each.options.tls; })) {
    workers_ = std::make_unique<asio::thread_pool>(kHandshakeThreads);
  }
  for (std::size_t i = 0; i < listeners_.size(); ++i) accept(i);
  thread_ = std::thread([this] { run(); });
  return {};
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

error_code Acceptor::State::try_open(Listener& entry, const asio::ip::address& address) {
  error_code error;
  error_code ignored;
  const tcp::endpoint endpoint(address, entry.options.port);
  tcp::acceptor& acceptor = entry.acceptor;
  acceptor.close(ignored);
  acceptor.open(endpoint.protocol(), error);
  if (error) return error;
  if (::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC) != 0) {
    return {errno, boost::system::system_category()};
  }
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (error) return error;
  if (address.is_v6()) {
    // "::" takes both families; any other IPv6 address is IPv6 anyway.
    acceptor.set_option(asio::ip::v6_only(!address.is_unspecified()), error);
    if (error) return error;
  }
  acceptor.bind(endpoint, error);
  if (error) return error;
  acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return error;
  entry.port = acceptor.local_endpoint(error).port();
  return error;
}

Result<void> Acceptor::State::open(Listener& entry) {
  error_code error;
  const auto address = asio::ip::make_address(entry.options.address, error);
  if (error) {
    return failure(ErrorCode::configuration, "listener '" + entry.options.name + "': '" +
                                                 entry.options.address + "' is no IP address");
  }
  error = try_open(entry, address);
  if (error && address.is_v6() && address.is_unspecified() &&
      (error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL)) {
    log::info("no IPv6 on this machine: listening on IPv4", {{"listener", entry.options.name}});
    error = try_open(entry, asio::ip::address_v4::any());
  }
  if (error) {
    return failure(ErrorCode::configuration,
                   "listener '" + entry.options.name + "': cannot listen on " +
                       entry.options.address + " port " + std::to_string(entry.options.port) +
                       ": " + error.message() +
                       "; is another program, or another gateway, on this port?");
  }
  log::info(
      "listening",
      {{"listener", entry.options.name}, {"address", entry.options.address}, {"port", entry.port}});
  return {};
}

Result<void> Acceptor::State::adopt(Listener& entry, InheritedSocket inherited) {
  error_code error;
  entry.acceptor.assign(inherited.is_v6 ? tcp::v6() : tcp::v4(), inherited.socket.get(), error);
  if (error) {
    return failure(ErrorCode::configuration,
                   "listener '" + entry.options.name +
                       "': cannot use its inherited socket: " + error.message());
  }
  static_cast<void>(inherited.socket.release());
  entry.port = inherited.port;
  log::info(
      "listening",
      {{"listener", entry.options.name}, {"inherited", inherited.name}, {"port", entry.port}});
  return {};
}

std::vector<std::uint16_t> Acceptor::State::ports() const {
  std::vector<std::uint16_t> ports;
  for (const Listener& entry : listeners_) ports.push_back(entry.port);
  return ports;
}

void Acceptor::State::accept(std::size_t index) {
  listener(index).acceptor.async_accept(
      [self = this, index](const error_code& error, tcp::socket socket) {
        self->accepted(index, error, std::move(socket));
      });
}

void Acceptor::State::pause(std::size_t index, const error_code& error) {
  // Out of descriptors or memory: trying again at once would only burn the processor.
  // The timer comes first: what is short may be short for the log line too.
  Listener& entry = listener(index);
  entry.pause.expires_after(kAcceptPause);
  entry.pause.async_wait([this, index](const error_code& cancelled) {
    if (!cancelled) accept(index);
  });
  if (!std::exchange(entry.paused, true)) {
    log::error("accepting connections is paused",
               {{"listener", entry.options.name}, {"reason", error.message()}});
  }
  count_outcome("failed", "accept");
}

void Acceptor::State::accepted(std::size_t index, const error_code& error, tcp::socket socket) {
  if (error == asio::error::operation_aborted) return;
  if (error) {
    if (error == asio::error::connection_aborted) {
      accept(index);
    } else {
      pause(index, error);
    }
    return;
  }
  Listener& entry = listener(index);
  try {
    if (std::exchange(entry.paused, false)) {
      log::info("accepting connections again", {{"listener", entry.options.name}});
    }
    error_code gone;
    const tcp::endpoint peer = socket.remote_endpoint(gone);
    static_cast<void>(::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC));
    if (!gone && !is_refused(entry, peer, socket)) {
      const std::string address = address_text(peer);
      make_room(address);
      auto client =
          std::make_shared<HalfOpen>(std::move(socket), address, index,
                                     [this](const std::shared_ptr<HalfOpen>& from,
                                            HalfOpen::Outcome outcome) { done(from, outcome); });
      clients_.push_back(client);
      if (entry.options.tls) {
        client->start(entry.options.request_timeout, entry.options.tls, *workers_);
      } else {
        client->start(entry.options.request_timeout);
      }
    }
  } catch (const std::exception& exception) {
    log::error("a connection was dropped", {{"reason", exception.what()}});
  }
  accept(index);
}

// Closed by a reset: a flood of strangers leaves no state behind, not even TIME_WAIT.
bool Acceptor::State::is_refused(const Listener& entry, const tcp::endpoint& peer,
                                 tcp::socket& socket) {
  const auto& allow = entry.options.allow;
  if (allow.empty() || config::is_in_any(allow, peer.address())) return false;
  error_code ignored;
  socket.set_option(tcp::socket::linger(true, 0), ignored);
  socket.close(ignored);
  refusals_.tell({.of = Refusal::Of::connection,
                  .listener = entry.options.name,
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
  if (of_address < limits_.half_open_per_address) {
    oldest = clients_.size() < limits_.half_open ? clients_.end() : clients_.begin();
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
                                       {"listener", listener(client->listener()).options.name},
                                       {"reason", text}});
  refusals_.pass_on({.of = Refusal::Of::association,
                     .listener = listener(client->listener()).options.name,
                     .peer_address = client->address(),
                     .reason = text,
                     .is_alerted = client->has_sent_tls()});
  client->answer_and_close(encode(reason));
}

void Acceptor::State::alert(const std::shared_ptr<HalfOpen>& client, const TlsFailure& failure,
                            const std::string& calling_ae_title) {
  const ListenerOptions& options = listener(client->listener()).options;
  raise({std::string(failure.reason), failure.detail, "listener", options.name, client->address(),
         client->tls() == nullptr ? "" : client->tls()->shown_subject(), calling_ae_title},
        options.security_alert);
}

// The certificate was good; whether it may speak for this AE title is another question.
bool Acceptor::State::may_use_ae_title(const std::shared_ptr<HalfOpen>& client,
                                       const AssociateRequest& request) {
  const ListenerOptions& options = listener(client->listener()).options;
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
                  .listener = listener(client->listener()).options.name,
                  .peer_address = client->address(),
                  .calling_ae_title = request.calling_ae_title,
                  .called_ae_title = request.called_ae_title,
                  .reason = objection.reason,
                  .is_transient = objection.answer.result == kLocalLimitExceeded.result,
                  .is_alerted = is_alerted});
  client->answer_and_close(encode(objection.answer));
}

void Acceptor::State::requested(const std::shared_ptr<HalfOpen>& client) {
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
                                     : policy_(client->listener(), client->address(), *request);
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
  arrival.listener = client->listener();
  arrival.connection = std::make_shared<Connection>(std::move(socket), client->address(),
                                                    listener(client->listener()).options.timeouts,
                                                    std::move(bytes), stop_, client->take_tls());
  arrival.request = std::move(*request);
  arrival.slot = std::move(slot);
  const std::shared_ptr<Connection> connection = arrival.connection;
  if (handler_(arrival)) return;
  // Ten bytes into an empty send buffer: this does not wait.
  count_outcome("rejected", reason_text(kTemporaryCongestion));
  static_cast<void>(connection->write(encode(kTemporaryCongestion)));
  connection->close(std::chrono::milliseconds(0));
}

void Acceptor::State::stop() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    for (Listener& entry : listeners_) {
      error_code ignored;
      entry.acceptor.close(ignored);
      entry.pause.cancel();
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
    : state_(std::make_shared<State>(std::move(listeners), limits, std::move(policy),
                                     std::move(handler), stop, std::move(refused))) {}

Acceptor::~Acceptor() {
  stop();
}

Result<void> Acceptor::start(std::vector<InheritedSocket> inherited) {
  return state_->start(std::move(inherited));
}
std::vector<std::uint16_t> Acceptor::ports() const {
  return state_->ports();
}
void Acceptor::stop() {
  state_->stop();
}

}  // namespace sluice::net
