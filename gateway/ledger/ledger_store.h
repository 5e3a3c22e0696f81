// Two locks. db_mutex_ guards the connection and is held while a decision is made and
// while COMMIT waits for the disk. state_mutex_ guards caches and counters, and is held
// for moments only, so that a slice of a known series never waits for the disk.
// db_mutex_ is taken first.
//
// Decisions gather in one open transaction. Each has a number, the count of decisions
// made; durable_ is the number up to which they are on disk. commit() looks at the
// number reached when it was called and returns when durable_ has reached it, be it by
// its own COMMIT or by that of a thread that was faster.
//
// This is that machine; which decisions there are, and their caches, stands in ledger.cpp.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "gateway/base/sqlite.h"
#include "gateway/ledger/bounded_cache.h"
#include "gateway/ledger/ledger.h"

namespace sluice {

[[nodiscard]] std::int64_t to_microseconds(Time time);

// Whether an answer that stands in the file may be kept in memory. A kind of answer for which it
// may not has an overload of its own.
template <typename Value>
bool lasts(const Value& /*value*/) {
  return true;
}

class LedgerStore : public Ledger {
 public:
  ~LedgerStore() override = default;
  LedgerStore(const LedgerStore&) = delete;
  LedgerStore& operator=(const LedgerStore&) = delete;

  Result<void> commit() override;

 protected:
  // `last_recorded` is the latest time that stands in the file.
  LedgerStore(std::unique_ptr<sqlite::Connection> db, std::int64_t last_recorded, OnFault on_fault);

  // Begins a thread that commits what is left open.
  void begin_thread();
  // Ends it and commits. Before the caches go.
  void close();

  // With state_mutex_ held: nothing that was decided but is not durable holds any more.
  virtual void forget_decisions() = 0;

  // Also notes that this thread depends on what the cache says.
  template <typename Value>
  std::optional<Value> find_in(const BoundedCache<Value>& cache, const std::string& key) {
    const std::lock_guard lock(state_mutex_);
    note_epoch();
    const Value* found = cache.find(key);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }

  // With db_mutex_ held. A file that is damaged, or that the disk does not give (SQLite says
  // the same of both), is the store's trouble and not the instance's: it must be neither
  // refused nor held for it.
  template <typename Value>
  Result<Value> checked(Result<Value> answer) {
    if (answer || answer.error().code != ErrorCode::corrupt) return answer;
    if (!is_faulted()) take_back(answer.error());
    return failure(ErrorCode::transient, answer.error().message);
  }

  // With db_mutex_ held: what stands in the file, else a new decision. Looks again after
  // BEGIN, since another process may have decided meanwhile.
  template <typename Value, typename Find, typename Make>
  Result<Value> decide(BoundedCache<Value>& cache, const std::string& key, const Find& find,
                       const Make& make) {
    bool begun = false;
    for (;;) {
      auto found = checked(find());
      if (found && !*found && is_faulted())
        found =
            failure(ErrorCode::transient, "ledger failed on an earlier write; its log says why");
      if (!found || *found) {
        if (begun) db_->roll_back();  // nothing was decided in it
        if (!found) return tl::unexpected(found.error());
        const std::lock_guard lock(state_mutex_);
        if (lasts(**found)) cache.set(key, **found);
        return **found;
      }
      if (db_->in_transaction()) break;
      if (auto done = run("BEGIN IMMEDIATE"); !done) return tl::unexpected(done.error());
      begun = true;
    }
    db_->clear_failure();
    auto made = make();
    if (!made) {
      if (db_->last_failure() != sqlite::Failure::none) {
        take_back(made.error());
      } else if (begun) {
        db_->roll_back();
      }
      return checked(std::move(made));
    }
    const std::lock_guard lock(state_mutex_);
    ++decided_;
    decided_something_.notify_one();
    cache.set(key, *made);
    return made;
  }

  // Never goes back, over restarts neither, nor behind a time that was asked for: an instance
  // that was told "not replaced" is told so again when it is sent.
  std::int64_t next_record_time();
  void note_asked(std::int64_t time);
  // These and the next with state_mutex_ held.
  std::int64_t take_record_time();
  void keep_asked(std::int64_t time);
  // This thread depends on what the caches say.
  void note_epoch() { epochs_seen().try_emplace(id_, epoch_); }

  std::mutex db_mutex_;
  std::unique_ptr<sqlite::Connection> db_;
  mutable std::mutex state_mutex_;

 private:
  [[nodiscard]] bool is_settled(std::uint64_t wanted, std::uint64_t epoch) const;
  [[nodiscard]] Result<void> settled(std::uint64_t epoch) const;
  // BEGIN or COMMIT.
  Result<void> run(std::string_view sql);
  // Ends the open transaction after an error. Threads that saw its decisions learn by
  // the epoch, at their commit(), that these do not hold.
  void take_back(const Error& error);
  [[nodiscard]] bool is_faulted() const;
  void commit_what_is_left_open();
  Result<void> commit_without_exception() noexcept;
  // For each ledger the epoch in which this thread last asked for a decision.
  static std::map<std::uint64_t, std::uint64_t>& epochs_seen();

  const std::uint64_t id_;
  const OnFault on_fault_;
  std::uint64_t decided_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t epoch_ = 0;  // grows when decisions are taken back
  std::int64_t last_recorded_ = 0;
  std::int64_t latest_asked_ = 0;
  bool faulted_ = false;
  bool stopping_ = false;
  std::condition_variable decided_something_;
  std::thread thread_;
};

}  // namespace sluice
