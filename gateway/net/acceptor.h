// The accepting side up to the A-ASSOCIATE-RQ: listeners on IPv4 and IPv6, each
// request read and checked whole under one deadline, without a thread per client.
//
// What is refused here never costs a thread: a client from an address that the listener
// does not allow (closed before a byte is read), a request that is broken (A-ABORT), not
// to be had or against the policy (permanent A-ASSOCIATE-RJ), or above a limit
// (transient A-ASSOCIATE-RJ). A flood of half-open connections pushes out its own
// oldest ones, per address and in all, so that who sends its request at once is served.
//
// All work is done in one thread of the acceptor's own; policy, handler, `refused` and alert
// hook are called there and must not block. Only the steps of TLS handshakes run beside it,
// in two more threads: a flood of them makes handshakes slow, and nothing else.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/config/network.h"
#include "gateway/net/associate_request.h"
#include "gateway/net/connection.h"
#include "gateway/net/inherited_sockets.h"
#include "gateway/net/refusal.h"
#include "gateway/net/security_alert.h"
#include "gateway/net/stop_signal.h"
#include "gateway/net/tls.h"

namespace sluice::net {

struct ListenerOptions {
  std::string name;
  std::string address = "::";          // takes both families, or IPv4 where there is no IPv6
  std::uint16_t port = 0;              // 0: a free one
  std::vector<config::Network> allow;  // a client elsewhere is closed at once
  // From accept to the last byte of the RQ, the TLS handshake included.
  std::chrono::milliseconds request_timeout{10'000};
  Timeouts timeouts;                // of the association
  std::shared_ptr<TlsContext> tls;  // nullptr: plain TCP
  SecurityAlertHook security_alert;
};

struct Limits {
  int associations = 200;
  int associations_per_address = 100;
  std::size_t half_open = 1024;
  std::size_t half_open_per_address = 256;
};

// Counts an association for as long as it lives. Any thread.
class Slot {
 public:
  Slot() = default;
  virtual ~Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
};

// A request that was read and found good. Its bytes are the first that the connection gives.
struct Arrival {
  std::size_t listener = 0;  // index
  std::shared_ptr<Connection> connection;
  AssociateRequest request;
  std::unique_ptr<Slot> slot;
};

// Why a request is not accepted: what the peer is told, and what the log says.
struct Objection {
  Rejection answer;
  std::string_view reason;  // one of a few fixed texts
};

class Acceptor {
 public:
  // What is to be said against a request by the rules, or nullopt.
  using Policy = std::function<std::optional<Objection>(
      std::size_t listener, const std::string& peer_address, const AssociateRequest&)>;
  // Takes the association over. False: it cannot be served now, and is rejected.
  using Handler = std::function<bool(Arrival&)>;
  // Hears of every refusal; may be empty. Must not throw.
  using Observer = std::function<void(const Refusal&)>;

  // `stop` goes into every connection and must outlive them. `refused` hears of each
  // client that is turned away.
  Acceptor(std::vector<ListenerOptions> listeners, Limits limits, Policy policy, Handler handler,
           const StopSignal* stop, RefusalHook refused = {});
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Binds all listeners or none, but those that a socket is inherited for. Errors:
  // configuration, with address and port.
  [[nodiscard]] Result<void> start(std::vector<InheritedSocket> inherited = {});

  // In the order of the listeners; after start().
  [[nodiscard]] std::vector<std::uint16_t> ports() const;

  // Closes the listeners and every connection without an association. Returns when
  // neither policy nor handler runs any more.
  void stop();

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::net
