#include "gateway/queue/work_signal.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <utility>

namespace sluice {
namespace {

constexpr int kMostNudges = 16;

// What waits for as long as its destination is left alone is due with it: a moment later
// something less urgent would have been claimed.
constexpr std::chrono::milliseconds kNearlyDue{5};

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

WorkSignal::Clock::time_point WorkSignal::Destination::first_due() const {
  auto first = Clock::time_point::max();
  for (const Deferred& each : deferred) {
    if (!each.empty()) first = std::min(first, each.begin()->first);
  }
  return first;
}

void WorkSignal::set_ready(const std::string& destination,
                           std::optional<config::Priority> priority) {
  const std::lock_guard lock(mutex_);
  Destination& one = destinations_[destination];
  one.ready = true;
  if (priority && (!one.most_urgent || *priority < *one.most_urgent)) one.most_urgent = priority;
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
  Destination& one = destinations_[destination];
  one.ready = false;
  one.most_urgent.reset();
}

void WorkSignal::set_claimed(const std::string& destination, config::Priority last) {
  {
    const std::lock_guard lock(mutex_);
    destinations_[destination].most_urgent = last;
  }
  set_ready(destination);
}

void WorkSignal::add(const rows::Waiting& waiting, Clock::time_point since) {
  const std::lock_guard lock(mutex_);
  Destination& destination = destinations_[waiting.destination];
  destination.of(waiting.priority).emplace(since + waiting.left, waiting);
  destination.changed.notify_all();  // those who wait may have to wake earlier
  tell_members(destination);
}

bool WorkSignal::has_work(std::string_view destination) const {
  const std::lock_guard lock(mutex_);
  const auto found = destinations_.find(destination);
  return found == destinations_.end() || found->second.ready ||
         found->second.first_due() != Clock::time_point::max();
}

bool WorkSignal::has_more_urgent(std::string_view destination, config::Priority than) const {
  const std::lock_guard lock(mutex_);
  const auto found = destinations_.find(destination);
  if (found == destinations_.end()) return false;
  const Destination& one = found->second;
  if (one.most_urgent && *one.most_urgent < than) return true;
  const auto before = std::span(one.deferred).first(static_cast<std::size_t>(than));
  return std::ranges::any_of(before, [now = Clock::now() + kNearlyDue](const Deferred& each) {
    return !each.empty() && each.begin()->first <= now;
  });
}

std::vector<rows::Waiting> WorkSignal::due(std::string_view destination, std::size_t limit) const {
  std::vector<rows::Waiting> due;
  const std::lock_guard lock(mutex_);
  const auto found = destinations_.find(destination);
  if (found == destinations_.end()) return due;
  const auto now = Clock::now() + kNearlyDue;
  for (const Deferred& each : found->second.deferred) {
    for (const auto& [time, waiting] : each) {
      if (time > now || due.size() == limit) break;
      due.push_back(waiting);
    }
  }
  return due;
}

void WorkSignal::remove(const std::vector<rows::Waiting>& waiting) {
  const std::lock_guard lock(mutex_);
  for (const rows::Waiting& one : waiting) {
    Deferred& deferred = destinations_[one.destination].of(one.priority);
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
    const auto first_due = waited_for.first_due();
    const bool is_due = first_due <= now;
    const std::uint64_t woken = wakes();
    const bool is_woken = std::exchange(wakes_seen(), woken) != woken;
    if (waited_for.ready || is_due) {
      waited_for.ready = false;
      return true;
    }
    const bool is_nudged = waited_for.nudges > 0;
    if (is_nudged) --waited_for.nudges;
    if (is_woken || is_nudged || now >= until) return false;
    waited_for.changed.wait_until(lock, std::min(until, first_due));
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
