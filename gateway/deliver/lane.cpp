#include "gateway/deliver/lane.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "gateway/audit/security_alerts.h"
#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/deliver/audited_sender.h"
#include "gateway/deliver/back_off.h"
#include "gateway/deliver/lane_log.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Claimed at once: enough to negotiate one association for, few enough that two
// workers share a short queue.
constexpr std::size_t kBatch = 16;
// Of what receiving threads hand over. More of it is behind a destination that is not prompt.
constexpr std::size_t kHandedOverAtOnce = 4;
constexpr std::size_t kMostHandedOver = 64;
// Between two looks at an idle association, and when the queue itself fails.
constexpr milliseconds kPause{1000};
// Should a word of the queue ever be missed.
constexpr std::chrono::minutes kLookAnyway{1};

}  // namespace

Lane::Lane(const config::Destination& destination, Services services)
    : destination_(destination),
      services_(std::move(services)),
      counters_(destination),
      flow_(destination_) {
  for (int worker = 0; worker < destination.associations; ++worker) {
    auto sender = destination.scheme == "file"
                      ? make_folder_sender(destination)
                      : make_dicom_sender(destination, audit::security_alerts(services_.audit));
    senders_.add(audited(std::move(sender), destination, services_.audit));
  }
}

void Lane::serve(Served group) {
  services_.queue.serve(destination_.name, group.group);
  groups_.push_back(std::move(group));
}

void Lane::start(milliseconds last_wait) {
  failures_ = failures_before(last_wait, destination_.retry_min);
  for (int worker = 0; worker < destination_.associations; ++worker) {
    const std::lock_guard lock(mutex_);
    try {
      threads_.emplace_back([this] { run(); });
      ++running_;
    } catch (const std::system_error& error) {
      log::error("a delivery worker was not started",
                 {{"destination", destination_.name}, {"reason", error.what()}});
    }
  }
}

void Lane::ask_to_stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

bool Lane::wait_ended(steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, until, [this] { return running_ == 0; });
}

void Lane::interrupt() {
  senders_.interrupt();
}

void Lane::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Lane::run() {
  while (!is_stopping()) {
    try {
      work();
    } catch (const std::exception& error) {
      log::error("delivery worker failed",
                 {{"destination", destination_.name}, {"reason", error.what()}});
      pause(steady_clock::now() + kPause);
    }
  }
  try {
    while (settle_late()) continue;
    senders_.rest(destination_.idle_timeout);
  } catch (const std::exception& error) {
    log::error("an association was not released",
               {{"destination", destination_.name}, {"reason", error.what()}});
  }
  const std::lock_guard lock(mutex_);
  --running_;
  changed_.notify_all();
}

void Lane::work() {
  auto last_look = steady_clock::now();
  bool look = true;
  while (!is_stopping()) {
    if (settle_late() || open_more()) continue;
    if (!may_send()) {
      if (send_handed_over()) continue;  // none is tried
      senders_.rest();
      std::unique_lock lock(mutex_);
      const auto now = steady_clock::now();
      const auto until = blocked_until_ > now ? std::min(blocked_until_, now + kPause)
                                              : now + kPause;  // outside of its schedule
      changed_.wait_until(lock, until, [this] { return stopping_; });
      continue;
    }
    if (send_handed_over()) continue;
    if (look) {
      last_look = steady_clock::now();
      if (send_batch()) continue;
    }
    senders_.rest();
    const auto now = steady_clock::now();
    look = services_.queue.wait_for_work(destination_.name, now + kPause) || !groups_.empty() ||
           now - last_look >= kLookAnyway;
  }
}

// True if there was something to do, or may be.
bool Lane::send_batch() {
  if (send_batch_for(destination_.name)) return true;
  const auto is_away = [](Lane* lane) { return lane->is_away(); };
  return std::ranges::any_of(groups_, [&](const Served& served) {
    return std::ranges::all_of(served.before, is_away) && send_batch_for(served.group);
  });
}

bool Lane::send_batch_for(const std::string& name) {
  auto batch = services_.queue.claim(name, kBatch);
  if (!batch) {
    log::error("deliveries cannot be claimed",
               {{"destination", name}, {"reason", batch.error().message}});
    pause(steady_clock::now() + kPause);
    return true;
  }
  if (batch->empty()) return false;
  send_all(std::move(*batch));
  return true;
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

void Lane::hand_over(QueueEntry entry) {
  {
    const std::lock_guard lock(mutex_);
    insert_by_priority(handed_over_, std::move(entry));
  }
  services_.queue.nudge(destination_.name);
}

// Those that are not tried are ready again.
void Lane::send_all(std::vector<QueueEntry> entries) {
  Claimed claimed(services_.queue, std::move(entries));
  // All may be lent to receiving threads, which may take their time where they are the only
  // way. Whoever waits here must hear of a stop.
  SenderPool::Lease sender;
  while (!sender && !is_stopping()) sender = senders_.take(steady_clock::now() + kPause);
  if (!sender) return;
  sender->prepare(claimed.entries());
  while (claimed.may_go_on() && !is_overtaken(*claimed.next()) && wait_for_turn(*claimed.next())) {
    send_or_postpone(*sender, *claimed.next());
    claimed.next_is_tried();
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
  const auto begun = steady_clock::now();
  const Attempt attempt = late->relayed.sender->answer(SteadyTime::max());
  const auto took = late->relayed.took + (steady_clock::now() - begun);
  note(attempt, took);
  record(late->entry, attempt, late->relayed.bytes, took);
  return true;
}

bool Lane::is_prompt() {
  if (flow_.is_paced() || !flow_.is_open(std::chrono::system_clock::now())) return false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || is_slow_ || handed_over_.size() >= kMostHandedOver ||
        steady_clock::now() < blocked_until_) {
      return false;
    }
  }
  // Nothing is overtaken.
  return !services_.queue.has_work(destination_.name) &&
         std::ranges::none_of(
             groups_, [&](const Served& served) { return services_.queue.has_work(served.group); });
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

void Lane::settle(const QueueEntry& entry, Relayed relayed) {
  switch (relayed.attempt.result) {
    case AttemptResult::not_now:
      return;  // it waits, and was not tried
    case AttemptResult::delivered:
      return report(entry, outcome_of(entry, relayed.attempt), relayed.attempt, relayed.bytes,
                    relayed.took);
    case AttemptResult::unanswered: {
      {
        const std::lock_guard lock(mutex_);
        late_.push_back({entry, std::move(relayed)});
      }
      return services_.queue.wake();
    }
    default:
      return record(entry, relayed.attempt, relayed.bytes, relayed.took);
  }
}

// An instance that cannot even be tried, for want of memory perhaps, must not be the
// first in line for ever.
void Lane::send_or_postpone(Sender& sender, const QueueEntry& entry) {
  try {
    send(sender, entry);
  } catch (const std::exception& error) {
    record(entry, {AttemptResult::postponed, "", std::string("not tried: ") + error.what()});
  }
}

void Lane::send(Sender& sender, const QueueEntry& entry) {
  if (is_too_old(entry)) {
    record(entry, {AttemptResult::postponed, "", "too old"});
    return;
  }
  const Verdicts verdicts =
      entry.delivery.released.empty() ? Verdicts::binding : Verdicts::overruled;
  auto payload = Payload::open(entry, services_.origin, verdicts);
  if (!payload) {
    Attempt attempt = attempt_of_error(payload.error(), AttemptResult::postponed);
    attempt.is_damaged = payload.error().code == ErrorCode::corrupt;
    record(entry, attempt);
    return;
  }
  const auto begun = steady_clock::now();
  const Attempt attempt = sender.send(*payload);
  const auto took = steady_clock::now() - begun;
  note(attempt, took);
  record(entry, attempt, payload->length(), took);
}

void Lane::record(const QueueEntry& entry, const Attempt& attempt, std::uint64_t bytes,
                  steady_clock::duration took) {
  Outcome outcome = outcome_of(entry, attempt);
  outcome.reason = full_reason(attempt);
  outcome.reason = reason_in_row(entry.delivery, std::move(outcome.reason));
  if (outcome.state == DeliveryState::discarded) {
    outcome.reason = "given up, since not required: " + outcome.reason;
  }
  services_.queue.finish(outcome);
  outcome.reason = attempt.reason;
  report(entry, outcome, attempt, bytes, took);
}

void Lane::report(const QueueEntry& entry, const Outcome& outcome, const Attempt& attempt,
                  std::uint64_t bytes, steady_clock::duration took) {
  if (!attempt.comment.empty()) {
    log::debug("comment of a destination", {{"id", outcome.instance_id},
                                            {"destination", outcome.destination},
                                            {"comment", attempt.comment}});
  }
  counters_.note(outcome, entry.instance.received_at, bytes, took);
  if (outcome.state == DeliveryState::delivered) {
    log_delivered(outcome, destination_.name, bytes,
                  std::chrono::duration_cast<milliseconds>(took));
  } else {
    log_undelivered(outcome, destination_.name);
  }
  if (attempt.is_misconfigured) raise_configuration_alarm(outcome);
}

// Once for all that it holds: until something is delivered, or the reason is another.
void Lane::raise_configuration_alarm(const Outcome& outcome) {
  {
    const std::lock_guard lock(mutex_);
    if (alarm_ == outcome.reason) return;
    alarm_ = outcome.reason;
  }
  log_configuration_alarm(outcome, destination_);
}

Outcome Lane::outcome_of(const QueueEntry& entry, const Attempt& attempt) {
  Outcome outcome;
  outcome.instance_id = entry.instance.id;
  outcome.destination = entry.delivery.destination;
  outcome.route = entry.delivery.route;
  outcome.priority = entry.delivery.priority;
  outcome.reason = attempt.reason;
  outcome.status = attempt.status;
  outcome.is_damaged = attempt.is_damaged;
  outcome.state = DeliveryState::deferred;
  const int attempts = entry.delivery.attempts + 1;
  const int failures = entry.delivery.failures + 1;
  switch (attempt.result) {
    case AttemptResult::delivered:
      outcome.state = DeliveryState::delivered;
      break;
    case AttemptResult::hold:
      outcome.state = DeliveryState::held;
      break;
    case AttemptResult::not_now:
    case AttemptResult::unanswered:
    case AttemptResult::away:
      outcome.retry_after = back_off_together();
      break;
    case AttemptResult::failed: {
      const milliseconds together = back_off_together();
      outcome.retry_after =
          std::max(together, std::min(together + back_off(attempts), destination_.retry_max));
      break;
    }
    case AttemptResult::postponed:
      outcome.retry_after = back_off(attempts);
      break;
    case AttemptResult::refused:
      outcome.counts_as_failure = true;
      if (failures >= destination_.max_failures) {
        outcome.state = DeliveryState::held;
      } else {
        outcome.retry_after = back_off(failures);
      }
      break;
  }
  // Another of the group may take it at once; behind a second failure it waits as any other.
  if (is_of_group(entry) && attempts == 1) outcome.retry_after = milliseconds(0);
  const bool is_given_up = outcome.state == DeliveryState::held || is_too_old(entry);
  if (!destination_.required && outcome.state != DeliveryState::delivered && is_given_up) {
    outcome.state = DeliveryState::discarded;
  }
  return outcome;
}

milliseconds Lane::back_off(int failures) const {
  return sluice::back_off(failures, destination_.retry_min, destination_.retry_max);
}

milliseconds Lane::back_off_together() {
  const std::lock_guard lock(mutex_);
  const auto now = steady_clock::now();
  // Two associations that break at once are one failure of the destination.
  if (now >= blocked_until_) {
    ++failures_;
    blocked_until_ = now + back_off(failures_);
  }
  return std::chrono::ceil<milliseconds>(blocked_until_ - now);
}

void Lane::note(const Attempt& attempt, steady_clock::duration took) {
  const std::lock_guard lock(mutex_);
  is_slow_ = took > services_.patience;
  if (attempt.result != AttemptResult::delivered) return;
  failures_ = 0;
  alarm_.clear();
}

bool Lane::may_send() {
  return !is_backing_off() && flow_.is_open(std::chrono::system_clock::now());
}

bool Lane::wait_for_turn(const QueueEntry& entry) {
  if (flow_.is_paced() && may_send()) {
    pause(flow_.take_turn(entry.instance.data_set_length));
  }
  return !is_stopping() && may_send();
}

bool Lane::is_too_old(const QueueEntry& entry) const {
  return !destination_.required &&
         std::chrono::system_clock::now() - entry.instance.received_at > destination_.give_up_after;
}

bool Lane::is_backing_off() {
  const std::lock_guard lock(mutex_);
  return steady_clock::now() < blocked_until_;
}

bool Lane::is_stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void Lane::pause(steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [this] { return stopping_; });
}

}  // namespace sluice
