// The one writer of the queue: runs operations on its connection, those that gathered
// while a commit ran together in the next one.
//
// Whoever waits for an operation writes it himself, with all that has gathered, unless a
// commit is running; at its end one of those who wait goes on. So a commit costs no change of
// threads. A thread of its own writes what nobody waits for, and removes files.
//
// An operation that is refused spoils no other: all are then run again, each with a
// savepoint of its own. What an operation wants done in memory it leaves in Effects; that happens
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
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/base/sqlite.h"
#include "gateway/queue/disk_reserve.h"
#include "gateway/queue/queue.h"
#include "gateway/queue/queue_rows.h"
#include "gateway/queue/work_signal.h"

namespace sluice {

struct Effects {
  rows::Totals totals;  // written with the commit
  std::vector<std::function<void(WorkSignal&)>> signals;
  std::vector<std::string> instances_done;  // each once: their last delivery ended just now
  std::size_t done_without_file = 0;        // more of them, which have no file to remove

  // Of an instance that was added: its destinations are told, or it is over already.
  void note_added(const InstanceRow& instance, const std::vector<DeliveryRow>& deliveries) {
    bool is_over = !deliveries.empty();
    for (const DeliveryRow& delivery : deliveries) {
      is_over = is_over && rows::is_final(delivery.state);
      if (delivery.state != DeliveryState::ready || delivery.destination.empty()) continue;
      signals.emplace_back([name = delivery.destination, priority = delivery.priority](
                               WorkSignal& signal) { signal.set_ready(name, priority); });
    }
    if (is_over) note_done(instance);
  }
  [[nodiscard]] std::size_t done() const { return instances_done.size() + done_without_file; }
  void note_done(const InstanceRow& instance) {
    if (instance.has_file) {
      instances_done.push_back(instance.id);
    } else {
      ++done_without_file;
    }
  }
};

struct Operation {
  // Runs in the writer's thread, again when the first commit failed.
  std::function<Result<void>(sqlite::Connection&, Effects&)> apply;
  bool adds = false;     // an instance: its sender waits, and sends it again; never kept
  bool names = false;    // of a file: the spool's directory must be synced before the commit
  bool durable = true;   // false: a power cut may undo it, so the commit needs no fsync
  bool settles = false;  // what was committed without a sync is to be durable with this, too
  bool lazy = false;     // posted: may wait for others, so that many share a commit
  bool is_kept = false;  // nobody waits for it: not dropped when the disk is full
};

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): members stand by who guards them
class QueueWriter {
 public:
  // Without a reserve there is no thread: nothing happens by itself, and hooks are never
  // called. The reserve must outlive it.
  QueueWriter(std::unique_ptr<sqlite::Connection> db, Queue::Hooks hooks, WorkSignal& signal,
              DiskReserve* reserve);
  // Writes what is left.
  ~QueueWriter();
  QueueWriter(const QueueWriter&) = delete;
  QueueWriter& operator=(const QueueWriter&) = delete;

  // Returns when committed. Errors: of the operation, or transient.
  [[nodiscard]] Result<void> run(Operation operation);
  // Returns at once.
  void post(Operation operation);
  // Returns when all that was said before is committed, and files that it freed are removed.
  [[nodiscard]] Result<void> flush();

  [[nodiscard]] bool is_faulted() const { return faulted_; }
  // As Queue::has_room(). What was posted by then has room, whatever else is written to the disk.
  [[nodiscard]] bool has_room() const { return !threaded_ || (reserve_->is_held() && !held_up_); }

 private:
  // Who waits for an operation, on his stack.
  struct Waiter {
    std::condition_variable woken;
    std::optional<Result<void>> answer;
    bool is_lost = false;    // there was no memory for an answer
    bool is_leader = false;  // is to write, himself too
  };
  // Answers for sure: at its end, if not before.
  class Pending {
   public:
    Pending(QueueWriter& writer, Operation what, Waiter* waiter)
        : operation(std::move(what)), writer_(&writer), waiter_(waiter) {}
    ~Pending();
    Pending(Pending&& other) noexcept
        : operation(std::move(other.operation)),
          result(std::move(other.result)),
          writer_(other.writer_),
          waiter_(std::exchange(other.waiter_, nullptr)) {}
    Pending& operator=(Pending&& other) noexcept;
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    void answer(Result<void> with);

    Operation operation;
    Result<void> result;

   private:
    friend class QueueWriter;
    QueueWriter* writer_;
    Waiter* waiter_;  // nullptr: nobody, or answered
  };
  using Batch = std::vector<Pending>;
  enum class Verdict { committed, postponed, faulted };
  struct Attempt {
    Verdict verdict = Verdict::committed;
    bool is_full = false;
    bool is_unsynced = false;  // the hook failed
    bool is_refused = false;   // an operation was, among others: nothing was committed
    Error error;
    Effects effects;
  };

  void run_thread();
  [[nodiscard]] bool has_urgent() const;
  void lead(std::unique_lock<std::mutex>& lock);
  void run_once(Batch batch);
  void look_at_other_processes();
  void commit(Batch batch);
  [[nodiscard]] bool reclaim_log();
  void fault(const std::string& reason);
  enum class Notes { when_due, none };
  [[nodiscard]] Attempt attempt(Batch& batch, Notes notes);
  [[nodiscard]] Attempt attempt_once(Batch& batch, Notes notes, bool apart);
  [[nodiscard]] Result<void> apply_all(Batch& batch, Notes allowed, bool apart, Attempt& made);
  [[nodiscard]] Result<void> set_durable(bool durable);
  [[nodiscard]] Result<void> sync_names(Attempt& made, bool notes) const;
  [[nodiscard]] Result<void> apply_each(Batch& batch, bool apart, Attempt& made);
  [[nodiscard]] Result<void> apply_one(Pending& pending, Effects& effects, bool apart);
  [[nodiscard]] bool is_note_due(bool names) const;
  static void refuse(Batch& batch, const Error& error);
  void settle(Batch& batch, Effects& effects);
  void give_signals(Effects& effects);
  void leave_files(const std::vector<std::string>& instances) noexcept;
  void remove_files(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool remove_file(const std::string& instance_id) const;

  std::unique_ptr<sqlite::Connection> db_;
  Queue::Hooks hooks_;
  WorkSignal& signal_;
  const bool threaded_;
  DiskReserve* const reserve_;

  std::mutex mutex_;
  std::condition_variable arrived_;  // for the thread
  std::condition_variable removed_;  // for flush()
  Batch pending_;
  bool writing_ = false;  // somebody is
  bool stopping_ = false;
  std::vector<std::string> to_remove_;
  std::vector<std::string> just_removed_;
  bool removing_ = false;

  // Of whoever is writing.
  Batch kept_;                           // to be tried again
  std::atomic<bool> held_up_ = false;    // there is something kept
  std::set<std::string> removed_files_;  // not noted yet
  std::chrono::steady_clock::time_point last_note_;
  std::int64_t data_version_ = 0;
  std::chrono::steady_clock::time_point last_look_;
  bool is_durable_ = true;     // how PRAGMA synchronous stands
  bool has_unsynced_ = false;  // commits that a power cut would undo
  bool is_doubtful_ = false;   // a failure may be one of the disk

  std::atomic<bool> faulted_ = false;
  std::thread thread_;
};

}  // namespace sluice
