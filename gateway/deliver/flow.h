// When a destination may be sent to: its schedule and its pace (config::Destination's
// `schedule`, `max_rate` and `max_bandwidth`).
//
// Safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "gateway/config/config.h"

namespace sluice {

class Flow {
 public:
  explicit Flow(const config::Destination& destination) : destination_(destination) {}

  // In one of its windows, or there are none.
  [[nodiscard]] bool is_open(std::chrono::system_clock::time_point now) const;

  [[nodiscard]] bool is_paced() const {
    return destination_.max_rate > 0 || destination_.max_bandwidth > 0;
  }

  // When an instance of so many bytes may begin; what comes behind it waits for it. Nothing
  // is saved up: after a pause no burst follows.
  [[nodiscard]] std::chrono::steady_clock::time_point take_turn(std::uint64_t bytes);

 private:
  const config::Destination& destination_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace sluice
