// Tells a person when something waits or rests for too long, and ends what rests in
// quarantine for longer than the configuration says, which by default is never.
//
//   AgeWatch watch(config.gateway);
//   watch.look(queue);   // often; it looks now and then
//
// An alarm is a log line and a count when the oldest of a destination and state crosses
// its limit, once more each day while it lasts, and a line when it is over. Age counts
// from receipt. One thread.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/queue/queue.h"

namespace sluice {

// How long a delivery may be in this state; 0: there is no limit.
[[nodiscard]] std::chrono::milliseconds age_limit(const config::Gateway& gateway,
                                                  DeliveryState state);

// Older than its state may be.
[[nodiscard]] bool is_overdue(const QueueEntry& entry, const config::Gateway& gateway, Time now);

class AgeWatch {
 public:
  using Clock = std::chrono::steady_clock;

  explicit AgeWatch(const config::Gateway& gateway);

  // Other limits, from the next look on, which is then due.
  void use(const config::Gateway& gateway);

  // Often enough for the shortest limit, at least each minute. A queue that cannot be
  // read is logged.
  void look(Queue& queue);

  // One look at this, at this time.
  void judge(const std::vector<Queue::Oldest>& oldest, Time now, Clock::time_point monotonic);
  // Returns how many were discarded. Errors: of the queue.
  [[nodiscard]] Result<std::size_t> discard_old(Queue& queue, Time now) const;

  [[nodiscard]] std::size_t alarms() const { return raised_.size(); }

 private:
  // Destination and kind of rest: "waiting", "held" or "quarantined".
  using Place = std::pair<std::string, std::string>;
  struct Found {
    std::uint64_t deliveries = 0;
    std::string instance_id;
    Time received_at;
  };
  void raise(const Place& place, const Found& found, Time now) const;

  config::Gateway gateway_;
  std::chrono::milliseconds interval_;
  Clock::time_point last_look_{};
  std::map<Place, Clock::time_point> raised_;  // when it was last told
};

}  // namespace sluice
