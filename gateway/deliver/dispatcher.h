// The sending side: for each destination a few workers that claim deliveries, send
// them, and record how it went. One destination's trouble is its own: nothing is
// shared between destinations but queue and spool.
//
// stop() lets running instances finish until the deadline; what was claimed and not
// tried is ready again. The services must outlive the dispatcher.
#pragma once

#include <chrono>
#include <memory>

#include "gateway/audit/recorder.h"
#include "gateway/config/config.h"
#include "gateway/deliver/lane.h"
#include "gateway/ledger/ledger.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/queue/queue.h"
#include "gateway/spool/spool.h"

namespace sluice {

class Dispatcher {
 public:
  Dispatcher(const config::Config& config, Spool& spool, Queue& queue, Ledger& ledger,
             const Pipeline& pipeline, audit::Recorder* audit = nullptr);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Warns of deliveries whose destination the configuration does not have any more.
  void start();
  // Ends by the time-out and a little more. False when a worker still hung then, in a name
  // look-up or an association that is not answered; the process should then end without
  // destroying this. Nothing is lost: its deliveries are ready at the next start.
  [[nodiscard]] bool stop(std::chrono::milliseconds drain_timeout);

  // For what is relayed. nullptr: no such destination. Any thread.
  [[nodiscard]] Lane* lane(std::string_view destination);
  [[nodiscard]] std::chrono::milliseconds patience() const;
  [[nodiscard]] const Payload::Origin& origin() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
