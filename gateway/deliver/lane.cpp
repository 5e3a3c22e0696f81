#include "gateway/deliver/lane.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "gateway/audit/security_alerts.h"
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
// One that was tried so often lets others be tried before it: an association is proposed for
// an instance, which may be why nobody takes it.
constexpr int kTriesAhead = 3;
// Should a word of the queue ever be missed.
constexpr std::chrono::minutes kLookAnyway{1};

std::pair<config::Priority, int> turn_of(const QueueEntry& entry) {
  const int attempts = entry.delivery.attempts;
  return {entry.delivery.priority, attempts < kTriesAhead ? 0 : attempts};
}

}  // namespace

Lane::Lane(const config::Destination& destination, Services services)
    : destination_(destination), services_(services), counters_(destination), flow_(destination_) {
  for (int worker = 0; worker < destination.associations; ++worker) {
    auto sender = destination.scheme == "file"
                      ? make_folder_sender(destination)
                      : make_dicom_sender(destination, audit::security_alerts(services_.audit));
    senders_.add(audited(std::move(sender), destination, services_.audit));
  }
}

void Lane::serve(std::vector<Served> groups) {
  auto shared = std::make_shared<const std::vector<Served>>(std::move(groups));
  const std::lock_guard lock(mutex_);
  groups_.swap(shared);
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
  do {
    try {
      while (settle_late()) continue;
      senders_.rest(destination_.idle_timeout);
    } catch (const std::exception& error) {
      log::error("an association was not released",
                 {{"destination", destination_.name}, {"reason", error.what()}});
    }
  } while (!may_end());
}

// Receiving threads may still bring something while there is a worker: the last one leaves
// nothing. What was handed over and not sent is ready again.
bool Lane::may_end() {
  std::deque<QueueEntry> left;
  {
    const std::lock_guard lock(mutex_);
    if (late_.empty() && handed_over_.empty()) {
      --running_;
      changed_.notify_all();
      return true;
    }
    left.swap(handed_over_);
  }
  const Claimed released(services_.queue, {left.begin(), left.end()});
  return false;
}

void Lane::look_again() {
  {
    const std::lock_guard lock(mutex_);
    look_again_ = true;
  }
  services_.queue.wake();
}

bool Lane::is_to_look_again() {
  const std::lock_guard lock(mutex_);
  return std::exchange(look_again_, false);
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
    look = services_.queue.wait_for_work(destination_.name, now + kPause) || !groups()->empty() ||
           now - last_look >= kLookAnyway;
    look = is_to_look_again() || look;
  }
}

// True if there was something to do, or may be.
bool Lane::send_batch() {
  if (send_batch_for(destination_.name)) return true;
  const auto is_away = [](const std::weak_ptr<Lane>& before) {
    const auto lane = before.lock();
    return !lane || lane->is_away();
  };
  return std::ranges::any_of(*groups(), [&](const Served& served) {
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

// Those that are not tried are ready again.
void Lane::send_all(std::vector<QueueEntry> entries) {
  std::ranges::stable_sort(entries, {}, turn_of);
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
    const std::string& last = entry.delivery.reason;
    record(entry,
           {AttemptResult::postponed, "", last.empty() ? "too old" : "too old, at last: " + last});
    return;
  }
  const Verdicts verdicts =
      entry.delivery.released.empty() ? Verdicts::binding : Verdicts::overruled;
  const auto setup = services_.current.get();
  const Payload::Origin origin{services_.spool, *setup->pipeline, services_.ledger,
                               setup->config.gateway.data_dir};
  auto payload = Payload::open(entry, origin, verdicts);
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
      if (attempt.is_misconfigured && is_of_group(entry)) {
        outcome.retry_after = back_off_together();  // another may take us
      } else {
        outcome.state = DeliveryState::held;
      }
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
  const milliseconds patience = services_.current.get()->config.gateway.delivery_patience;
  const std::lock_guard lock(mutex_);
  is_slow_ = took > patience;
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

std::shared_ptr<const std::vector<Lane::Served>> Lane::groups() {
  const std::lock_guard lock(mutex_);
  return groups_;
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
