#include "gateway/audit/trail.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice::audit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What may wait in memory for the disk.
constexpr std::size_t kMostMessages = 10'000;
constexpr std::size_t kMostBytes = std::size_t{32} * 1024 * 1024;
// So long messages gather for one commit.
constexpr milliseconds kGather{50};
constexpr milliseconds kLook{1000};
constexpr std::chrono::seconds kReportInterval{10};
// Of one commit: on a disk that is nearly full, a few still find room.
constexpr std::size_t kMostPerCommit = 500;
// Removed at once when the file is full.
constexpr std::size_t kRemovedAtOnce = 100;

std::size_t bytes_of(const Message& message) {
  return message.header.size() + message.xml.size();
}

}  // namespace

Result<std::unique_ptr<Trail>> Trail::open(const std::string& path, const config::Audit& audit,
                                           LostMessage lost_message) {
  auto db = sqlite::Connection::open(path, store::kFormat);
  if (!db) return tl::unexpected(db.error());
  std::unique_ptr<Trail> trail(new Trail(std::move(*db), audit.max_size, std::move(lost_message)));
  if (auto added = trail->add_couriers(path, audit); !added) return tl::unexpected(added.error());
  trail->thread_ = std::thread([raw = trail.get()] { raw->run(); });
  for (const auto& courier : trail->couriers_) courier->start();
  return trail;
}

Result<void> Trail::add_beside(const std::string& path, const std::vector<Message>& messages) {
  auto db = sqlite::Connection::open(path, store::kFormat);
  if (!db) return tl::unexpected(db.error());
  if (auto begun = (*db)->run("BEGIN IMMEDIATE"); !begun) return begun;
  for (const Message& message : messages) {
    if (auto added = store::add(**db, message); !added) return added;
  }
  return (*db)->run("COMMIT");
}

Trail::Trail(std::unique_ptr<sqlite::Connection> db, std::uint64_t max_size,
             LostMessage lost_message)
    : db_(std::move(db)), max_size_(max_size), lost_message_(std::move(lost_message)) {}

Trail::~Trail() {
  if (thread_.joinable() && !stop(steady_clock::now())) {
    // A thread that uses this object still runs, and nothing can end it.
    log::error("a courier of audit messages hangs; the process ends");
    std::quick_exit(1);
  }
}

Result<void> Trail::add_couriers(const std::string& path, const config::Audit& audit) {
  std::vector<std::string> addresses;
  for (const config::AuditDestination& destination : audit.destinations) {
    addresses.push_back(destination.address);
  }
  if (auto begun = db_->run("BEGIN IMMEDIATE"); !begun) return begun;
  auto set = store::set_destinations(*db_, addresses);
  if (set) set = db_->run("COMMIT");
  db_->roll_back();
  if (!set) return set;
  for (const config::AuditDestination& destination : audit.destinations) {
    const auto taken = store::taken(*db_, destination.address);
    if (!taken) return tl::unexpected(taken.error());
    auto reading = sqlite::Connection::open(path, store::kFormat);
    if (!reading) return tl::unexpected(reading.error());
    couriers_.push_back(std::make_unique<Courier>(destination, std::move(*reading), *taken,
                                                  [this] { note_progress(); }));
    written_taken_.push_back(*taken);
  }
  return {};
}

void Trail::add(Message message) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = bytes_of(message);
    if (stopping_ || count_ >= kMostMessages || bytes_ + bytes > kMostBytes) {
      lose(Loss::list_full, 1);
      return;
    }
    list_.push_back(std::move(message));
    ++count_;
    bytes_ += bytes;
    changed_.notify_all();
  } catch (const std::exception&) {
    lose(Loss::list_full, 1);  // the list itself failed to grow, under the lock
  }
}

// With mutex_ held.
void Trail::lose(Loss why, std::uint64_t count) noexcept {
  lost_[static_cast<std::size_t>(why)] += count;
  lost_in_all_[static_cast<std::size_t>(why)] += count;
}

void Trail::note_progress() {
  const std::lock_guard lock(mutex_);
  progress_ = true;
}

void Trail::run() {
  for (bool last = false; !last;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLook, [this] { return !list_.empty() || stopping_; });
      changed_.wait_for(lock, kGather, [this] { return stopping_; });
      last = stopping_;
      if (!faulted_) std::move(list_.begin(), list_.end(), std::back_inserter(batch_));
      if (faulted_) lose(Loss::store_failed, list_.size());
      list_.clear();
      if (faulted_) count_ = bytes_ = 0;
    }
    try {
      while (write() && !batch_.empty()) continue;
      report_losses();
    } catch (const std::exception& exception) {
      // Memory is at its end; the batch is still there.
      log::error("audit messages are not written yet", {{"reason", exception.what()}});
    }
  }
}

// The first of what has gathered, in one commit; kept when the disk does not take it now,
// and then false.
bool Trail::write() {
  Losses lost{};
  {
    const std::lock_guard lock(mutex_);
    lost = lost_;
    const bool something = !batch_.empty() || progress_ || lost != Losses{};
    progress_ = false;
    if (faulted_ || !something) return false;
  }
  const auto end =
      batch_.begin() + static_cast<std::ptrdiff_t>(std::min(batch_.size(), kMostPerCommit));
  const Losses told = lost;
  db_->clear_failure();
  const auto committed = commit({batch_.begin(), end}, lost);
  if (!committed) {
    judge_failure(committed.error());
    db_->roll_back();
    const std::lock_guard lock(mutex_);
    progress_ = true;
    if (!faulted_) return false;
    lose(Loss::store_failed, batch_.size());
    batch_.clear();
    count_ = list_.size();
    return false;
  }
  failing_ = false;
  const auto written = static_cast<std::size_t>(end - batch_.begin());
  count("sluice_audit_messages_total", {}, written);
  {
    const std::lock_guard lock(mutex_);
    std::for_each(batch_.begin(), end, [&](const Message& each) { bytes_ -= bytes_of(each); });
    count_ -= written;
    batch_.erase(batch_.begin(), end);
    for (std::size_t i = 0; i < kLosses.size(); ++i) {
      lost_[i] -= told[i];
      lost_in_all_[i] += lost[i] - told[i];  // what this commit itself removed
    }
  }
  if (written > 0) {
    for (const auto& courier : couriers_) courier->look();
  }
  return true;
}

// `lost` comes with what was lost before, and goes with what was told of.
Result<void> Trail::commit(std::span<const Message> messages, Losses& lost) {
  if (auto begun = db_->run("BEGIN IMMEDIATE"); !begun) return begun;
  for (const Message& message : messages) {
    if (auto added = store::add(*db_, message); !added) return added;
  }
  if (auto noted = note_taken(); !noted) return noted;
  if (auto kept = keep_size(lost); !kept) return kept;
  for (std::size_t i = 0; i < kLosses.size(); ++i) {
    if (lost[i] == 0) continue;
    if (auto added = store::add(*db_, lost_message_(lost[i], kLosses[i])); !added) return added;
  }
  return db_->run("COMMIT");
}

Result<void> Trail::note_taken() {
  bool any = false;
  for (std::size_t i = 0; i < couriers_.size(); ++i) {
    const std::int64_t taken = couriers_[i]->taken();
    if (taken == written_taken_[i]) continue;
    if (auto set = store::set_taken(*db_, couriers_[i]->address(), taken); !set) return set;
    written_taken_[i] = taken;  // forgotten, should this commit fail
    any = true;
  }
  return any ? store::remove_taken(*db_) : Result<void>{};
}

Result<void> Trail::keep_size(Losses& lost) {
  auto used = store::used_bytes(*db_);
  if (!used) return tl::unexpected(used.error());
  if (*used <= max_size_) return {};
  // Some more than must be, lest every commit removes a few and tells of it.
  const std::uint64_t wanted = max_size_ - max_size_ / 8;
  while (*used > wanted) {
    const auto removed = store::remove_oldest(*db_, kRemovedAtOnce);
    if (!removed) return tl::unexpected(removed.error());
    if (*removed == 0) break;
    lost[static_cast<std::size_t>(Loss::size_limit)] += *removed;
    used = store::used_bytes(*db_);
    if (!used) return tl::unexpected(used.error());
  }
  return {};
}

void Trail::judge_failure(const Error& error) {
  const sqlite::Failure why = db_->last_failure();
  written_taken_.assign(couriers_.size(), -1);  // nothing of it may have been written
  if (why == sqlite::Failure::full || why == sqlite::Failure::busy) {
    if (!std::exchange(failing_, true)) {
      log::error("audit messages are kept in memory: the disk does not take them",
                 {{"reason", error.message}});
    }
    return;
  }
  faulted_ = true;
  log::error("audit trail faulted: messages are lost until the gateway is started again",
             {{"reason", error.message}, {"advice", "check disk and file system first"}});
}

void Trail::report_losses() {
  const auto now = steady_clock::now();
  Losses in_all{};
  {
    const std::lock_guard lock(mutex_);
    if (lost_in_all_ == reported_) return;
    if (now - last_report_ < kReportInterval && !stopping_) return;
    in_all = lost_in_all_;
  }
  last_report_ = now;
  for (std::size_t i = 0; i < kLosses.size(); ++i) {
    const std::uint64_t more = in_all[i] - reported_[i];
    if (more == 0) continue;
    count("sluice_audit_lost_total", {{"reason", kLosses[i]}}, more);
    log::error("audit messages lost", {{"count", more}, {"reason", kLosses[i]}});
  }
  reported_ = in_all;
}

std::int64_t Trail::last_sequence() {
  auto statement = db_->prepare("SELECT coalesce(max(sequence), 0) FROM messages");
  if (!statement) return 0;
  const auto row = statement->step();
  return row && *row ? statement->integer(0) : 0;
}

bool Trail::stop(SteadyTime deadline) {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (!thread_.joinable()) return true;
  thread_.join();
  if (!batch_.empty()) {
    log::error("audit messages lost", {{"count", batch_.size()}, {"reason", "disk full at stop"}});
    count("sluice_audit_lost_total", {{"reason", "list full"}}, batch_.size());
    batch_.clear();
  }
  const std::int64_t last = last_sequence();
  for (const auto& courier : couriers_) courier->ask_to_stop(last, deadline);
  bool ended = true;
  for (const auto& courier : couriers_) ended = courier->wait_ended(deadline) && ended;
  (void)write();  // how far they came
  return ended;
}

}  // namespace sluice::audit
