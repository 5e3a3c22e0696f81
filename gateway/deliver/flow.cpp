#include "gateway/deliver/flow.h"

#include <algorithm>

namespace sluice {

using std::chrono::steady_clock;

bool Flow::is_open(std::chrono::system_clock::time_point now) const {
  const auto& windows = destination_.schedule;
  return windows.empty() || std::ranges::any_of(windows, [&](const config::TimeWindow& window) {
           return window.contains(now);
         });
}

steady_clock::time_point Flow::take_turn(std::uint64_t bytes) {
  using Seconds = std::chrono::duration<double>;
  Seconds cost{0};
  if (destination_.max_rate > 0) cost = Seconds(1.0 / destination_.max_rate);
  if (destination_.max_bandwidth > 0) {
    const double share =
        static_cast<double>(bytes) / static_cast<double>(destination_.max_bandwidth);
    cost = std::max(cost, Seconds(share));
  }
  const std::lock_guard lock(mutex_);
  const auto turn = std::max(next_, steady_clock::now());
  next_ = turn + std::chrono::duration_cast<steady_clock::duration>(cost);
  return turn;
}

}  // namespace sluice
