// The receiving side: listeners, associations, C-ECHO and C-STORE.
//
// start() binds every listener; from then on each association runs in a thread of
// its own. stop() closes the listeners, lets running instances finish, and aborts
// what is left at the deadline. The services must outlive the server.
//
// Another configuration is for the clients that connect from then on:
//
//   auto change = server.prepare(setup);    // all that can fail: certificates, new ports
//   if (change) server.apply(*change);
//
// One thread calls it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "gateway/audit/recorder.h"
#include "gateway/base/error.h"
#include "gateway/deliver/dispatcher.h"
#include "gateway/ledger/ledger.h"
#include "gateway/net/acceptor.h"
#include "gateway/net/inherited_sockets.h"
#include "gateway/net/refusal.h"
#include "gateway/net/security_alert.h"
#include "gateway/pipeline/setup.h"
#include "gateway/queue/queue.h"
#include "gateway/spool/spool.h"

namespace sluice {

// What an instance needs on its way; owned by the application.
struct Services {
  Spool& spool;
  Queue& queue;
  Ledger& ledger;
  const Pipeline& pipeline;                    // of the setup under which the instance came
  net::SecurityAlertHook security_alert = {};  // hears of refused peers; see there
  audit::Recorder* audit = nullptr;            // nullptr: no audit trail
  Dispatcher* dispatcher = nullptr;            // nullptr: nothing is relayed
};

class Server {
 public:
  // The services but the pipeline, which is that of each association's setup.
  struct Parts {
    Spool& spool;
    Queue& queue;
    Ledger& ledger;
    net::SecurityAlertHook security_alert = {};
    audit::Recorder* audit = nullptr;
    Dispatcher* dispatcher = nullptr;
  };

  // `refused` hears of each client that is turned away; see net::RefusalHook.
  Server(std::shared_ptr<const Setup> setup, Parts parts, net::RefusalHook refused = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `inherited`: listen already, for listeners that then bind nothing. Errors:
  // configuration, with address and port, or with the file that TLS cannot use.
  [[nodiscard]] Result<void> start(std::vector<net::InheritedSocket> inherited = {});

  // After start(): the ports in the order of the configuration; port 0 was replaced by the real
  // one.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;

  // Another configuration, its new ports open already. Nothing happens until apply(), or at
  // all when it ends before. Errors: as start().
  using Change = std::shared_ptr<net::Acceptor::Change>;
  [[nodiscard]] Result<Change> prepare(const std::shared_ptr<const Setup>& next);
  void apply(const Change& change);

  void stop(std::chrono::milliseconds drain_timeout);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
