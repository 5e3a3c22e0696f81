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
// in two more threads: a flood of them makes handshakes slow, and nothing else. One other
// thread calls the public functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/net/inherited_sockets.h"
#include "gateway/net/listener_rules.h"
#include "gateway/net/refusal.h"
#include "gateway/net/stop_signal.h"

namespace sluice::net {

class Acceptor {
 public:
  using Policy = AcceptorRules::Policy;
  using Handler = AcceptorRules::Handler;

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

  // Other rules for the clients that come from apply() on; who has connected keeps those that
  // it found. A listener with the same address and port keeps its socket. The ports of new
  // ones are open on return, and closed again if the change is not applied. Errors:
  // configuration, with address and port.
  class Change;
  [[nodiscard]] Result<std::shared_ptr<Change>> prepare(AcceptorRules rules);
  // Closes the ports of those that are gone. Waits for the acceptor's thread, for a moment.
  void apply(const std::shared_ptr<Change>& change);

  // Closes the listeners and every connection without an association. Returns when
  // neither policy nor handler runs any more.
  void stop();

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::net
