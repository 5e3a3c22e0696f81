#include "gateway/ledger/ledger_store.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice {
namespace {

using sqlite::Connection;
using sqlite::Failure;

// A decision whose thread does not commit (its association broke) must not keep the
// file locked against another gateway.
constexpr std::chrono::milliseconds kLongestOpen{200};

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

}  // namespace

std::int64_t to_microseconds(Time time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

LedgerStore::LedgerStore(std::unique_ptr<Connection> db, std::int64_t last_recorded,
                         OnFault on_fault)
    : db_(std::move(db)),
      id_(next_id()),
      on_fault_(std::move(on_fault)),
      last_recorded_(last_recorded) {}

void LedgerStore::begin_thread() {
  thread_ = std::thread([this] { commit_what_is_left_open(); });
}

void LedgerStore::close() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(state_mutex_);
      stopping_ = true;
    }
    decided_something_.notify_one();
    thread_.join();
  }
  if (auto done = commit_without_exception(); !done) {
    log::error("ledger closed with decisions not written", {{"error", done.error().message}});
  }
}

std::map<std::uint64_t, std::uint64_t>& LedgerStore::epochs_seen() {
  thread_local std::map<std::uint64_t, std::uint64_t> seen;
  return seen;
}

Result<void> LedgerStore::commit() {
  std::uint64_t wanted = 0;
  std::uint64_t epoch = 0;
  {
    const std::lock_guard lock(state_mutex_);
    const auto seen = epochs_seen().extract(id_);
    epoch = seen.empty() ? epoch_ : seen.mapped();
    wanted = decided_;
    if (is_settled(wanted, epoch)) return settled(epoch);
  }
  const std::lock_guard lock(db_mutex_);
  {
    const std::lock_guard state(state_mutex_);
    if (is_settled(wanted, epoch)) return settled(epoch);
  }
  static const Histogram took("sluice_sync_seconds", {{"what", "ledger commit"}});
  const auto begun = std::chrono::steady_clock::now();
  if (auto committed = run("COMMIT"); !committed) return committed;
  took.observe(std::chrono::steady_clock::now() - begun);
  const std::lock_guard state(state_mutex_);
  durable_ = decided_;
  return {};
}

bool LedgerStore::is_settled(std::uint64_t wanted, std::uint64_t epoch) const {
  return epoch != epoch_ || durable_ >= wanted;
}

// Whether the ledger is faulted does not matter: decisions that are not durable were
// taken back then, and whoever saw one is of an earlier epoch.
Result<void> LedgerStore::settled(std::uint64_t epoch) const {
  if (epoch != epoch_) {
    return failure(ErrorCode::transient, "ledger could not write a decision, send again later");
  }
  return {};
}

std::int64_t LedgerStore::next_record_time() {
  const std::lock_guard lock(state_mutex_);
  return take_record_time();
}

std::int64_t LedgerStore::take_record_time() {
  const std::int64_t now = to_microseconds(std::chrono::system_clock::now());
  last_recorded_ = std::max({now, last_recorded_ + 1, latest_asked_ + 1});
  return last_recorded_;
}

void LedgerStore::note_asked(std::int64_t time) {
  const std::lock_guard lock(state_mutex_);
  keep_asked(time);
}

void LedgerStore::keep_asked(std::int64_t time) {
  latest_asked_ = std::max(latest_asked_, time);
}

Result<void> LedgerStore::run(std::string_view sql) {
  db_->clear_failure();
  auto done = db_->run(sql);
  if (!done) take_back(done.error());
  return done;
}

void LedgerStore::take_back(const Error& error) {
  const Failure why = db_->last_failure();
  db_->roll_back();
  const bool passes = why == Failure::full || why == Failure::busy;
  {
    const std::lock_guard lock(state_mutex_);
    forget_decisions();
    if (durable_ != decided_) ++epoch_;
    durable_ = decided_;
    faulted_ = faulted_ || !passes;
  }
  count("sluice_ledger_errors_total", {{"reason", why == Failure::full   ? "disk full"
                                                  : why == Failure::busy ? "locked"
                                                                         : "fault"}});
  log::error("ledger failed", {{"error", error.message}});
  if (!passes && on_fault_) on_fault_("ledger: " + error.message);
}

bool LedgerStore::is_faulted() const {
  const std::lock_guard lock(state_mutex_);
  return faulted_;
}

void LedgerStore::commit_what_is_left_open() {
  std::unique_lock lock(state_mutex_);
  while (!stopping_) {
    decided_something_.wait(lock, [this] { return stopping_ || durable_ != decided_; });
    decided_something_.wait_for(lock, kLongestOpen, [this] { return stopping_; });
    if (durable_ == decided_) continue;
    lock.unlock();
    // A failure is told to the threads that depend on it, and logged.
    (void)commit_without_exception();
    lock.lock();
  }
}

// For the thread and the destructor, out of which no exception may come. What is left
// open then is tried again, or was never said to be durable.
Result<void> LedgerStore::commit_without_exception() noexcept {
  try {
    return commit();
  } catch (const std::exception&) {
    try {
      log::error("ledger not committed", {{"error", "no memory"}});
    } catch (const std::exception&) {
      return {};  // not even for a log line
    }
    return {};
  }
}

}  // namespace sluice
