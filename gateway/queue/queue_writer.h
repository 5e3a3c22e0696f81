// The one writer of the queue: runs operations on its connection, those that gathered
// while a commit ran together in the next one.
//
// Each operation has a savepoint of its own, so that one that is refused spoils no
// other. What an operation wants done in memory it leaves in Effects; that happens
// after the commit, in the order of the operations, and not at all without it.
//
// When a commit fails:
//   disk full, or locked by another process: nothing was changed. Adds are refused and
//       the rest is tried once more without them, over the space that the write-ahead
//       log has already and, where that must be copied first, in a reserve that was
//       kept for it: so a full disk goes on draining. Operations that nobody waits for
//       are kept for the next commit.
//   the spool's directory not synced: adds are refused with that error, and the rest is
//       committed without them and without notes of removed files.
//   anything else: what reached the disk is unknown and a second fsync would not tell.
//       The queue is faulted; everything is refused from then on.
//
// Safe from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gateway/base/sqlite.h"
#include "gateway/queue/disk_reserve.h"
#include "gateway/queue/queue.h"
#include "gateway/queue/queue_rows.h"
#include "gateway/queue/work_signal.h"

namespace sluice {

struct Effects {
  std::vector<std::function<void(WorkSignal&)>> signals;
  std::vector<std::string> instances_done;  // each once: their last delivery ended just now
};

struct Operation {
  // Runs in the writer's thread, again when the first commit failed.
  std::function<Result<void>(sqlite::Connection&, Effects&)> apply;
  bool adds = false;     // the spool's directory must be synced before the commit; never kept
  bool durable = true;   // false: a power cut may undo it, so the commit needs no fsync
  bool is_kept = false;  // nobody waits for it: not dropped when the disk is full
};

class QueueWriter {
 public:
  // With `threaded` false every operation is a transaction of its own in the calling
  // thread, and hooks are never called.
  QueueWriter(const std::string& path, std::unique_ptr<sqlite::Connection> db, Queue::Hooks hooks,
              WorkSignal& signal, bool threaded);
  // Writes what is left.
  ~QueueWriter();
  QueueWriter(const QueueWriter&) = delete;
  QueueWriter& operator=(const QueueWriter&) = delete;

  // Returns when committed. Errors: of the operation, or transient.
  [[nodiscard]] Result<void> run(Operation operation);
  // Returns at once.
  void post(Operation operation);

  [[nodiscard]] bool is_faulted() const { return faulted_; }

 private:
  struct Pending {
    Operation operation;
    std::promise<Result<void>> answer;
    Result<void> result;
  };
  using Batch = std::vector<Pending>;
  enum class Verdict { committed, postponed, faulted };
  struct Attempt {
    Verdict verdict = Verdict::committed;
    bool is_full = false;
    bool is_unsynced = false;  // the hook failed
    Error error;
    Effects effects;
  };

  void run_thread();
  void run_once(Batch batch);
  void look_at_other_processes();
  void commit(Batch batch);
  [[nodiscard]] bool reclaim_log();
  void fault(const std::string& reason);
  enum class Notes { when_due, none };
  [[nodiscard]] Attempt attempt(Batch& batch, Notes notes);
  [[nodiscard]] Result<void> apply_all(Batch& batch, Notes allowed, Attempt& made);
  [[nodiscard]] Result<void> sync_names(Attempt& made) const;
  [[nodiscard]] Result<void> apply_one(Pending& pending, Effects& effects);
  [[nodiscard]] bool is_note_due(bool adds) const;
  static void refuse(Batch& batch, const Error& error);
  void settle(Batch& batch, Effects& effects);
  void give_signals(Effects& effects);
  void remove_file(const std::string& instance_id);

  std::unique_ptr<sqlite::Connection> db_;
  Queue::Hooks hooks_;
  WorkSignal& signal_;
  const bool threaded_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  Batch pending_;
  bool stopping_ = false;

  // Of the writing thread; without one, under direct_.
  std::mutex direct_;
  Batch kept_;                           // to be tried again
  std::set<std::string> removed_files_;  // not noted yet
  std::chrono::steady_clock::time_point last_note_;
  std::int64_t data_version_ = 0;
  std::chrono::steady_clock::time_point last_look_;
  bool is_durable_ = true;    // how PRAGMA synchronous stands
  bool is_doubtful_ = false;  // a failure may be one of the disk
  std::optional<DiskReserve> reserve_;

  std::atomic<bool> faulted_ = false;
  std::thread thread_;
};

}  // namespace sluice
