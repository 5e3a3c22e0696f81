#include "gateway/audit/courier.h"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "gateway/audit/syslog.h"
#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice::audit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kBatch = 64;
// Another process may have added some.
constexpr milliseconds kLookAnyway{500};
// Between two looks at what is on its way.
constexpr milliseconds kLookForTaken{50};
// A stream of messages that the collector's system acknowledges only now and then.
constexpr std::size_t kMostOnTrial = 1024;

// Doubled from failure to failure, with jitter. From the beginning without a lock: the
// first failure is told at once, and the first retry is soon.
milliseconds pause_after(int failures, const config::AuditDestination& destination) {
  constexpr int kMostDoublings = 20;
  const long long doubled =
      destination.retry_min.count() * (1LL << std::clamp(failures - 1, 0, kMostDoublings));
  const long long whole = std::clamp<long long>(doubled, 1, destination.retry_max.count());
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<long long>(whole / 2, whole)(random));
}

}  // namespace

Courier::Courier(config::AuditDestination destination, std::unique_ptr<sqlite::Connection> reading,
                 std::int64_t taken, std::function<void()> progressed)
    : destination_(std::move(destination)),
      reading_(std::move(reading)),
      transport_(make_transport(destination_)),
      progressed_(std::move(progressed)),
      taken_(taken),
      sent_(taken) {}

Courier::~Courier() {
  if (thread_.joinable()) thread_.join();
}

void Courier::start() {
  ended_ = false;
  thread_ = std::thread([this] { run(); });
}

void Courier::look() {
  const std::lock_guard lock(mutex_);
  news_ = true;
  changed_.notify_all();
}

void Courier::ask_to_stop(std::int64_t last, SteadyTime deadline) {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  last_ = last;
  deadline_ = deadline;
  changed_.notify_all();
}

bool Courier::wait_ended(SteadyTime until) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_until(lock, until, [this] { return ended_; })) return true;
  transport_->interrupt();
  constexpr std::chrono::seconds kGrace{1};
  return changed_.wait_until(lock, until + kGrace, [this] { return ended_; });
}

// Nothing is left to bring, or there is no time for it.
bool Courier::is_done() {
  const std::lock_guard lock(mutex_);
  return stopping_ && (sent_ >= last_ || steady_clock::now() >= deadline_);
}

void Courier::rest(milliseconds longest) {
  std::unique_lock lock(mutex_);
  if (stopping_) {
    // To try again a few times until the deadline.
    longest = std::min(longest, kLookForTaken);
    changed_.wait_for(lock, longest, [] { return false; });
    return;
  }
  changed_.wait_for(lock, longest, [this] { return news_ || stopping_; });
  news_ = false;
}

void Courier::run() noexcept {
  while (!is_done()) {
    try {
      run_once();
    } catch (const std::exception& exception) {
      // No memory, most likely: what was not taken is sent again.
      fell({ErrorCode::transient, exception.what()});
    }
  }
  end_in_order();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Courier::run_once() {
  const bool more = send_some();
  if (sent_ > taken_) look_what_is_taken();
  if (!more) rest(sent_ > taken_ ? kLookForTaken : kLookAnyway);
}

// True when there may be more to send at once.
bool Courier::send_some() {
  const auto messages = store::read_behind(*reading_, sent_, kBatch);
  if (!messages) {
    fell(messages.error());
    return false;
  }
  if (messages->empty()) return false;
  if (auto opened = transport_->open(); !opened) {
    fell(opened.error());
    return false;
  }
  for (const StoredMessage& each : *messages) {
    const auto sent =
        transport_->send(syslog_message(each.message.header, each.sequence, each.message.xml));
    if (!sent && sent.error().code == ErrorCode::transient) {
      fell(sent.error());
      return false;
    }
    if (!sent) {
      count("sluice_audit_lost_total", {{"reason", "too long"}});
      log::error("audit message lost: it cannot be sent",
                 {{"address", destination_.address}, {"reason", sent.error().message}});
    }
    sent_ = each.sequence;
  }
  return messages->size() == kBatch;
}

void Courier::look_what_is_taken() {
  const auto taken = transport_->is_taken();
  if (!taken) {
    fell(taken.error());
    return;
  }
  const auto now = steady_clock::now();
  const std::int64_t known = on_trial_.empty() ? taken_.load() : on_trial_.back().sequence;
  if (*taken && sent_ > known) {
    if (on_trial_.size() < kMostOnTrial) {
      on_trial_.push_back({sent_, now});
    } else {
      on_trial_.back() = {sent_, now};
    }
  }
  std::int64_t passed = taken_;
  while (!on_trial_.empty() && now - on_trial_.front().since >= transport_->trial()) {
    passed = on_trial_.front().sequence;
    on_trial_.pop_front();
  }
  note_taken(passed);
}

void Courier::note_taken(std::int64_t sequence) {
  if (sequence <= taken_) return;
  if (failures_ > 0) {
    log::info("audit messages are taken again", {{"address", destination_.address}});
  }
  failures_ = 0;
  // Not the difference of the two: a discarded row was never sent. A row is one message.
  taken_ = sequence;
  progressed_();
}

void Courier::fell(const Error& error) {
  transport_->close();
  on_trial_.clear();
  sent_ = taken_;
  ++failures_;
  count("sluice_audit_breaks_total", {{"address", destination_.address}});
  // The first of a row, and then one in a while.
  if (failures_ == 1 || failures_ % 100 == 0) {
    log::warning("audit messages wait: the collector is not to be had",
                 {{"address", destination_.address}, {"reason", error.message}});
  }
  rest(pause_after(failures_, destination_));
}

void Courier::end_in_order() {
  try {
    SteadyTime deadline;
    {
      const std::lock_guard lock(mutex_);
      deadline = deadline_;
    }
    if (sent_ > taken_ && transport_->finish(deadline)) note_taken(sent_);
    transport_->close();
  } catch (const std::exception& exception) {
    log::error("a connection to a collector was not ended", {{"reason", exception.what()}});
  }
}

}  // namespace sluice::audit
