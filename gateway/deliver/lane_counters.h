// What one destination's attempts add to the counters. Safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "gateway/base/counter.h"
#include "gateway/config/config.h"
#include "gateway/queue/queue.h"

namespace sluice {

class LaneCounters {
 public:
  explicit LaneCounters(const config::Destination& destination);

  // One attempt. `took`: 0 when the destination was not even asked.
  void note(const Outcome& outcome, Time received_at, std::uint64_t bytes,
            std::chrono::nanoseconds took) const;

 private:
  std::string destination_;
  std::string usual_status_;  // of nearly all that is delivered
  Counter delivered_;         // with that
  Counter delivered_bytes_;
  Histogram delivery_seconds_;
  Histogram attempt_seconds_;
};

}  // namespace sluice
