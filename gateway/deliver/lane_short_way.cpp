// The short way: what receiving threads send themselves, or hand over.
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gateway/deliver/lane.h"
#include "gateway/deliver/lane_log.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Of what receiving threads hand over. More of it is behind a destination that is not prompt.
constexpr std::size_t kHandedOverAtOnce = 4;
constexpr std::size_t kMostHandedOver = 64;

}  // namespace

bool Lane::is_prompt() {
  if (flow_.is_paced() || !flow_.is_open(std::chrono::system_clock::now())) return false;
  std::shared_ptr<const std::vector<Served>> groups;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || running_ == 0 || is_slow_ || handed_over_.size() >= kMostHandedOver ||
        steady_clock::now() < blocked_until_) {
      return false;
    }
    groups = groups_;
  }
  // Nothing is overtaken.
  return !services_.queue.has_work(destination_.name) &&
         std::ranges::none_of(
             *groups, [&](const Served& served) { return services_.queue.has_work(served.group); });
}

Lane::Relayed Lane::relay(const QueueEntry& entry, Payload& payload, SteadyTime until) {
  Relayed relayed{{AttemptResult::not_now}, payload.length()};
  bool wants_more = false;
  SenderPool::Lease sender = senders_.take_open(until, wants_more);
  if (wants_more) ask_for_more(entry);
  if (!sender) return relayed;
  sender->prepare(std::span(&entry, 1));
  const auto begun = steady_clock::now();
  relayed.attempt = sender->send_now(payload, until);
  relayed.took = steady_clock::now() - begun;
  if (relayed.attempt.result == AttemptResult::unanswered) {
    relayed.sender = std::move(sender);
  } else {
    note(relayed.attempt, relayed.took);
  }
  return relayed;
}

std::string Lane::reason_in_row(const DeliveryRow& row, std::string reason) const {
  if (row.destination == destination_.name) return reason;
  return told_by(destination_.name, reason);
}

void Lane::wait(Relayed& relayed, SteadyTime until) {
  if (!relayed.sender) return;
  const auto begun = steady_clock::now();
  relayed.attempt = relayed.sender->answer(until);
  relayed.took += steady_clock::now() - begun;
  note(relayed.attempt, relayed.took);
  if (relayed.attempt.result != AttemptResult::unanswered) relayed.sender = {};
}

Lane::Relayed Lane::pass_on(const QueueEntry& entry, Payload& payload) {
  Relayed relayed{{AttemptResult::away, "", "all its associations are in use"}};
  SenderPool::Lease sender = senders_.take(steady_clock::now() + destination_.response_timeout);
  if (!sender) return relayed;
  sender->prepare(std::span(&entry, 1));
  const auto begun = steady_clock::now();
  relayed.attempt = sender->send(payload);
  relayed.took = steady_clock::now() - begun;
  relayed.bytes = payload.length();
  note(relayed.attempt, relayed.took);
  return relayed;
}

// Of a worker, once in a while: to open one takes its time, and may fail.
void Lane::ask_for_more(const QueueEntry& entry) {
  {
    const std::lock_guard lock(mutex_);
    if (!more_wanted_.empty() || steady_clock::now() < next_more_) return;
    more_wanted_.push_back(entry);
  }
  services_.queue.wake();
}

// True if one was asked for.
bool Lane::open_more() {
  std::vector<QueueEntry> wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted.swap(more_wanted_);
  }
  if (wanted.empty()) return false;
  bool opened = false;
  if (SenderPool::Lease sender = senders_.take_closed()) {
    sender->prepare(wanted);
    opened = sender->open();
  }
  const std::lock_guard lock(mutex_);
  next_more_ = steady_clock::now() + (opened ? milliseconds(0) : kPause);
  return true;
}

void Lane::hand_over(QueueEntry entry) {
  std::unique_lock lock(mutex_);
  if (running_ == 0) {
    lock.unlock();
    return services_.queue.release(entry.instance.id, entry.delivery.destination);
  }
  insert_by_priority(handed_over_, std::move(entry));
  lock.unlock();
  services_.queue.nudge(destination_.name);
}

// True if there was something to do.
bool Lane::send_handed_over() {
  std::vector<QueueEntry> batch;
  {
    const std::lock_guard lock(mutex_);
    // Some for each worker.
    while (!handed_over_.empty() && batch.size() < kHandedOverAtOnce) {
      batch.push_back(std::move(handed_over_.front()));
      handed_over_.pop_front();
    }
  }
  if (batch.empty()) return false;
  send_all(std::move(batch));
  return true;
}

void Lane::settle(const QueueEntry& entry, Relayed relayed) {
  switch (relayed.attempt.result) {
    case AttemptResult::not_now:
      return;  // it waits, and was not tried
    case AttemptResult::delivered:
      return report(entry, outcome_of(entry, relayed.attempt), relayed.attempt, relayed.bytes,
                    relayed.took);
    case AttemptResult::unanswered: {
      Late late{entry, std::move(relayed)};
      std::unique_lock lock(mutex_);
      const bool has_workers = running_ > 0;
      if (has_workers) late_.push_back(std::move(late));
      lock.unlock();
      return has_workers ? services_.queue.wake() : settle_now(late);
    }
    default:
      return record(entry, relayed.attempt, relayed.bytes, relayed.took);
  }
}

// True if there was one.
bool Lane::settle_late() {
  std::optional<Late> late;
  {
    const std::lock_guard lock(mutex_);
    if (late_.empty()) return false;
    late.emplace(std::move(late_.back()));
    late_.pop_back();
  }
  settle_now(*late);
  return true;
}

void Lane::settle_now(Late& late) {
  const auto begun = steady_clock::now();
  const Attempt attempt = late.relayed.sender->answer(SteadyTime::max());
  const auto took = late.relayed.took + (steady_clock::now() - begun);
  note(attempt, took);
  record(late.entry, attempt, late.relayed.bytes, took);
}

}  // namespace sluice
