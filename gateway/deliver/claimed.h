#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/queue/queue.h"

namespace sluice {

[[nodiscard]] inline bool is_more_urgent(const QueueEntry& one, const QueueEntry& other) {
  return one.delivery.priority < other.delivery.priority;
}

// Behind those that are as urgent.
inline void insert_by_priority(std::deque<QueueEntry>& entries, QueueEntry entry) {
  const auto place = std::ranges::upper_bound(entries, entry, is_more_urgent);
  entries.insert(place, std::move(entry));
}

// Deliveries that are `sending`. Those that were not tried when it ends, by an
// exception too, are ready again.
class Claimed {
 public:
  Claimed(Queue& queue, std::vector<QueueEntry> entries)
      : queue_(queue), entries_(std::move(entries)) {}
  ~Claimed() {
    try {
      for (; next_ < entries_.size(); ++next_) {
        queue_.release(entries_[next_].instance.id, entries_[next_].delivery.destination);
      }
    } catch (const std::exception& error) {
      // Memory is at its end; the next start makes them ready.
      log::error("claimed deliveries were not released", {{"reason", error.what()}});
    }
  }
  Claimed(const Claimed&) = delete;
  Claimed& operator=(const Claimed&) = delete;

  [[nodiscard]] const std::vector<QueueEntry>& entries() const { return entries_; }
  [[nodiscard]] const QueueEntry* next() const {
    return next_ < entries_.size() ? &entries_[next_] : nullptr;
  }
  void next_is_tried() { ++next_; }
  // There is a next one, and nothing more urgent waits that is to be claimed before it.
  [[nodiscard]] bool may_go_on() const {
    const QueueEntry* const entry = next();
    return entry != nullptr &&
           !queue_.has_more_urgent(entry->delivery.destination, entry->delivery.priority);
  }

 private:
  Queue& queue_;
  std::vector<QueueEntry> entries_;
  std::size_t next_ = 0;
};

}  // namespace sluice
