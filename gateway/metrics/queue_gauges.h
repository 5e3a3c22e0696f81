// What waits and rests in the queue, as gauges: sluice_queue_deliveries and
// sluice_queue_oldest_age_seconds by destination and state.
//
// They are read when somebody looks, however many do at most once a second, and so seldom that
// no more than a fiftieth of the time goes into it; by a connection of its own that no instance
// waits for. Each destination has each state, if with 0; while the queue cannot be read there
// are none. Safe from any thread.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/base/counter.h"
#include "gateway/base/error.h"
#include "gateway/queue/queue.h"

namespace sluice::metrics {

class QueueGauges {
 public:
  // `file`: of a queue that is open already. Errors: as Queue::open_beside().
  [[nodiscard]] static Result<std::unique_ptr<QueueGauges>> open(
      const std::string& file, std::vector<std::string> destinations);
  QueueGauges(std::unique_ptr<Queue> beside, std::vector<std::string> destinations);

  // Those of another configuration. What waits for others is told too, while it does.
  void set_destinations(std::vector<std::string> destinations);

 private:
  [[nodiscard]] std::vector<GaugesOnDemand::Reading> read();
  void look();

  std::unique_ptr<Queue> queue_;
  std::mutex mutex_;
  std::vector<std::string> destinations_;  // under mutex_
  std::vector<Queue::Oldest> found_;
  bool is_known_ = false;  // what found_ says
  std::chrono::steady_clock::time_point next_look_;
  GaugesOnDemand gauges_{[this] { return read(); }};  // last: it calls into all of the above
};

}  // namespace sluice::metrics
