// The running gateway: every part, made in order and ended in reverse.
//
//   auto gateway = RunningGateway::start(setup);
//   while (no signal) gateway->keep_house();
//   gateway->reload(next_setup);          // when a person wants it
//   gateway->stop();
//
// One thread calls it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gateway/audit/recorder.h"
#include "gateway/audit/trail.h"
#include "gateway/base/error.h"
#include "gateway/command/certificates.h"
#include "gateway/command/setup.h"
#include "gateway/deliver/dispatcher.h"
#include "gateway/ledger/ledger.h"
#include "gateway/metrics/endpoint.h"
#include "gateway/metrics/queue_gauges.h"
#include "gateway/net/inherited_sockets.h"
#include "gateway/queue/age_watch.h"
#include "gateway/queue/queue.h"
#include "gateway/receive/server.h"
#include "gateway/spool/spool.h"

namespace sluice::command {

class RunningGateway {
 public:
  // `inherited`: sockets of the service manager. Errors: configuration, transient or
  // corrupt, with path or port and what to do.
  [[nodiscard]] static Result<std::unique_ptr<RunningGateway>> start(
      const std::shared_ptr<const Setup>& setup, std::vector<net::InheritedSocket> inherited);

  // In the order of the listeners; port 0 was replaced by the real one.
  [[nodiscard]] std::vector<std::uint16_t> ports() const { return server_->ports(); }

  ~RunningGateway();
  RunningGateway(const RunningGateway&) = delete;
  RunningGateway& operator=(const RunningGateway&) = delete;

  // What is done now and then: routes anew what a person took out of quarantine, tells
  // what is too old, forgets old history, looks when certificates end, and tells the audit
  // trail that storage failed. Every half second or so.
  void keep_house();

  // Another configuration, checked and with the same for all that a start alone can change,
  // takes the place of the present one: at once and whole, or not at all. Errors:
  // configuration: a port or certificate that cannot be used.
  [[nodiscard]] Result<void> reload(const std::shared_ptr<const Setup>& next);

  // No new associations; running instances may finish until drain_timeout. False when
  // something still hung then: the process should end without waiting for it, which
  // loses nothing.
  [[nodiscard]] bool stop();

 private:
  explicit RunningGateway(const std::shared_ptr<const Setup>& setup)
      : current_(setup),
        data_dir_(setup->config.gateway.data_dir),
        age_watch_(setup->config.gateway),
        certificates_(setup->config) {}
  [[nodiscard]] Result<void> open_stores();
  [[nodiscard]] Result<void> try_to_open_stores();
  void fault(const std::string& reason) noexcept;
  void check_databases() noexcept;
  [[nodiscard]] Result<void> start_network(std::vector<net::InheritedSocket> inherited);
  [[nodiscard]] Result<void> open_audit();
  [[nodiscard]] Result<void> show_metrics();
  [[nodiscard]] std::string trouble() const;
  void report_differences() const;
  void tell_fault();
  void route_anew(const QueueEntry& entry);

  CurrentSetup current_;
  const std::string data_dir_;
  std::atomic<bool> faulted_ = false;
  bool fault_told_ = false;  // to the audit trail
  AgeWatch age_watch_;
  CertificateWatch certificates_;
  std::unique_ptr<audit::Trail> trail_;  // these two: only with [audit]
  std::unique_ptr<audit::Recorder> recorder_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Server> server_;
  std::chrono::steady_clock::time_point last_forgetting_{};
  std::atomic<bool> stopping_ = false;
  std::thread checking_;
  std::atomic<bool> draining_ = false;
  std::unique_ptr<metrics::QueueGauges> queue_gauges_;  // these two: only with [metrics], and
  std::unique_ptr<metrics::Endpoint> endpoint_;         // the first to end
};

}  // namespace sluice::command
