// Who waits for work, and when deferred deliveries are due: the queue's memory beside
// its tables. Deadlines are on the monotonic clock. Safe from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/queue/queue_rows.h"

namespace sluice {

class WorkSignal {
 public:
  using Clock = std::chrono::steady_clock;

  void set_ready(const std::string& destination);
  void set_all_ready();
  // A claim found fewer than it asked for.
  void set_empty(const std::string& destination);

  // Due after waiting.left from now.
  void add(const rows::Waiting& waiting);
  // Up to `limit` whose time has come, the longest due first. They stay until removed.
  [[nodiscard]] std::vector<rows::Waiting> due(std::string_view destination,
                                               std::size_t limit) const;
  void remove(const std::vector<rows::Waiting>& waiting);

  // As Queue::has_work(), Queue::wait_for_work() and Queue::wake().
  [[nodiscard]] bool has_work(std::string_view destination) const;
  bool wait(std::string_view destination, Clock::time_point until);
  void wake();
  void nudge(std::string_view destination);
  void serve(const std::string& group, std::vector<std::string> destinations);

 private:
  struct Destination;
  static void nudge(Destination& one);  // with mutex_ held
  void tell_members(const Destination& group);
  struct Destination {
    bool ready = true;  // until one that waits has heard of it: a claim of many tells the next
    std::multimap<Clock::time_point, rows::Waiting> deferred;
    int nudges = 0;
    std::vector<std::string> served_by;  // of a group: its members
    std::condition_variable changed;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Destination, std::less<>> destinations_;
};

}  // namespace sluice
