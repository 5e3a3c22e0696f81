// The running gateway: every part, made in order and ended in reverse.
//
//   auto gateway = RunningGateway::start(setup);
//   while (no signal) gateway->keep_house();
//   gateway->stop();
//
// One thread calls it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "gateway/audit/recorder.h"
#include "gateway/audit/trail.h"
#include "gateway/base/error.h"
#include "gateway/command/certificates.h"
#include "gateway/command/setup.h"
#include "gateway/deliver/dispatcher.h"
#include "gateway/ledger/ledger.h"
#include "gateway/queue/queue.h"
#include "gateway/receive/server.h"
#include "gateway/spool/spool.h"

namespace sluice::command {

class RunningGateway {
 public:
  // Errors: configuration, transient or corrupt, with path or port and what to do.
  [[nodiscard]] static Result<std::unique_ptr<RunningGateway>> start(Setup setup);

  // What is done now and then: routes anew what a person released from quarantine,
  // forgets old history, looks when certificates end, and tells the audit trail of a store
  // that failed. Every half second or so.
  void keep_house();

  // No new associations; running instances may finish until drain_timeout. False when
  // something still hung then: the process should end without waiting for it, which
  // loses nothing.
  [[nodiscard]] bool stop();

 private:
  explicit RunningGateway(Setup setup) : setup_(std::move(setup)), certificates_(setup_.config) {}
  [[nodiscard]] Result<void> open_stores();
  [[nodiscard]] Result<void> open_audit();
  [[nodiscard]] Result<void> start_network();
  void report_differences() const;
  void tell_faults();
  void route_anew(const QueueEntry& entry);

  Setup setup_;
  CertificateWatch certificates_;
  std::unique_ptr<audit::Trail> trail_;  // these two: only with [audit]
  std::unique_ptr<audit::Recorder> recorder_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Server> server_;
  std::chrono::steady_clock::time_point last_forgetting_{};
  bool spool_fault_told_ = false;
  bool queue_fault_told_ = false;
};

}  // namespace sluice::command
