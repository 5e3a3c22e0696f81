// Who waits for work, and when deferred deliveries are due: the queue's memory beside
// its tables. Deadlines are on the monotonic clock. Safe from any thread.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/queue/queue_rows.h"

namespace sluice {

class WorkSignal {
 public:
  using Clock = std::chrono::steady_clock;

  // Something that has this priority, or a lower one; nullopt: it was there at the last claim.
  void set_ready(const std::string& destination,
                 std::optional<config::Priority> priority = std::nullopt);
  void set_all_ready();
  // A claim found fewer than it asked for.
  void set_empty(const std::string& destination);
  // It found as many, and this is the priority of the last: more of it may be left.
  void set_claimed(const std::string& destination, config::Priority last);

  // Due after waiting.left from then.
  void add(const rows::Waiting& waiting, Clock::time_point since = Clock::now());
  // Up to `limit` whose time has come, of the highest priority the longest due first. They stay
  // until removed.
  [[nodiscard]] std::vector<rows::Waiting> due(std::string_view destination,
                                               std::size_t limit) const;
  void remove(const std::vector<rows::Waiting>& waiting);

  // As Queue::has_more_urgent(), Queue::has_work(), Queue::wait_for_work() and Queue::wake().
  [[nodiscard]] bool has_more_urgent(std::string_view destination, config::Priority than) const;
  [[nodiscard]] bool has_work(std::string_view destination) const;
  bool wait(std::string_view destination, Clock::time_point until);
  void wake();
  void nudge(std::string_view destination);
  void serve(const std::string& group, std::vector<std::string> destinations);

 private:
  using Deferred = std::multimap<Clock::time_point, rows::Waiting>;
  struct Destination;
  static void nudge(Destination& one);  // with mutex_ held
  void tell_members(const Destination& group);
  struct Destination {
    bool ready = true;  // until one that waits has heard of it: a claim of many tells the next
    std::optional<config::Priority> most_urgent;  // of what is ready since the last claim
    std::array<Deferred, config::kPriorityNames.size()> deferred;  // by priority
    [[nodiscard]] Deferred& of(config::Priority priority) {
      return deferred.at(static_cast<std::size_t>(priority));
    }
    // When the first of them is due.
    [[nodiscard]] Clock::time_point first_due() const;
    int nudges = 0;
    std::vector<std::string> served_by;  // of a group: its members
    std::condition_variable changed;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Destination, std::less<>> destinations_;
};

}  // namespace sluice
