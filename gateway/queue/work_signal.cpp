#include "gateway/queue/work_signal.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace sluice {
namespace {

constexpr int kMostNudges = 16;

// Counts every wake() of the process. A thread that has not seen the last one does not
// begin to wait: between its look at a stop flag and its wait a wake() would be lost.
// Shared by all queues: a wake too many is harmless.
std::atomic<std::uint64_t>& wakes() {
  static std::atomic<std::uint64_t> count = 0;
  return count;
}

std::uint64_t& wakes_seen() {
  thread_local std::uint64_t count = 0;
  return count;
}

}  // namespace

void WorkSignal::set_ready(const std::string& destination) {
  const std::lock_guard lock(mutex_);
  Destination& one = destinations_[destination];
  one.ready = true;
  one.changed.notify_one();
  tell_members(one);
}

void WorkSignal::tell_members(const Destination& group) {
  for (const std::string& member : group.served_by) nudge(destinations_[member]);
}

void WorkSignal::serve(const std::string& group, std::vector<std::string> destinations) {
  const std::lock_guard lock(mutex_);
  destinations_[group].served_by = std::move(destinations);
}

void WorkSignal::set_all_ready() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, destination] : destinations_) {
    destination.ready = true;
    destination.changed.notify_one();
  }
}

void WorkSignal::set_empty(const std::string& destination) {
  const std::lock_guard lock(mutex_);
  destinations_[destination].ready = false;
}

void WorkSignal::add(const rows::Waiting& waiting) {
  const std::lock_guard lock(mutex_);
  Destination& destination = destinations_[waiting.destination];
  destination.deferred.emplace(Clock::now() + waiting.left, waiting);
  destination.changed.notify_all();  // those who wait may have to wake earlier
  tell_members(destination);
}

bool WorkSignal::has_work(std::string_view destination) const {
  const std::lock_guard lock(mutex_);
  const auto found = destinations_.find(destination);
  return found == destinations_.end() || found->second.ready || !found->second.deferred.empty();
}

std::vector<rows::Waiting> WorkSignal::due(std::string_view destination, std::size_t limit) const {
  std::vector<rows::Waiting> due;
  const std::lock_guard lock(mutex_);
  const auto found = destinations_.find(destination);
  if (found == destinations_.end()) return due;
  const auto now = Clock::now();
  for (const auto& [time, waiting] : found->second.deferred) {
    if (time > now || due.size() == limit) break;
    due.push_back(waiting);
  }
  return due;
}

void WorkSignal::remove(const std::vector<rows::Waiting>& waiting) {
  const std::lock_guard lock(mutex_);
  for (const rows::Waiting& one : waiting) {
    auto& deferred = destinations_[one.destination].deferred;
    // They are the first ones: due() took them from there.
    const auto found = std::find_if(deferred.begin(), deferred.end(), [&](const auto& entry) {
      return entry.second.delivery == one.delivery && entry.second.next_attempt == one.next_attempt;
    });
    if (found != deferred.end()) deferred.erase(found);
  }
}

bool WorkSignal::wait(std::string_view destination, Clock::time_point until) {
  std::unique_lock lock(mutex_);
  Destination& waited_for = destinations_[std::string(destination)];
  for (;;) {
    const auto now = Clock::now();
    const bool is_due = !waited_for.deferred.empty() && waited_for.deferred.begin()->first <= now;
    const std::uint64_t woken = wakes();
    const bool is_woken = std::exchange(wakes_seen(), woken) != woken;
    if (waited_for.ready || is_due) {
      waited_for.ready = false;
      return true;
    }
    const bool is_nudged = waited_for.nudges > 0;
    if (is_nudged) --waited_for.nudges;
    if (is_woken || is_nudged || now >= until) return false;
    auto next = until;
    if (!waited_for.deferred.empty()) next = std::min(next, waited_for.deferred.begin()->first);
    waited_for.changed.wait_until(lock, next);
  }
}

void WorkSignal::nudge(std::string_view destination) {
  const std::lock_guard lock(mutex_);
  nudge(destinations_[std::string(destination)]);
}

void WorkSignal::nudge(Destination& one) {
  // While there is one nobody sleeps. More than there are workers would only be waited off.
  one.nudges = std::min(one.nudges + 1, kMostNudges);
  one.changed.notify_one();
}

void WorkSignal::wake() {
  const std::lock_guard lock(mutex_);
  ++wakes();
  for (auto& [name, destination] : destinations_) destination.changed.notify_all();
}

}  // namespace sluice
