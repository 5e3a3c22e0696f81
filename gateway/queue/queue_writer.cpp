#include "gateway/queue/queue_writer.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice {
namespace {

// How long a command line beside the gateway waits for its effect.
constexpr std::chrono::milliseconds kLookInterval{500};

// Of notes whose directory sync failed. Adds ask for a sync anyway; without any, a
// spool that failed for good is not asked, and not logged about, all the time.
constexpr std::chrono::seconds kNoteAgain{30};

// How long what is not urgent waits for others, and how many are enough.
constexpr std::chrono::milliseconds kGathering{10};
constexpr std::size_t kGathered = 512;

// Operations, before whoever waits for the processor comes first: a large commit must not keep
// the senders of one waiting that are answered without it.
constexpr std::size_t kAtOnce = 4;

void note_sync(std::chrono::nanoseconds took) {
  static const Histogram sync("sluice_sync_seconds", {{"what", "queue commit"}});
  sync.observe(took);
}

Error faulted_error() {
  return {ErrorCode::transient, "queue failed on an earlier write; its log says why"};
}

}  // namespace

QueueWriter::Pending::~Pending() {
  if (waiter_ == nullptr) return;
  const std::lock_guard lock(writer_->mutex_);
  waiter_->is_lost = true;
  waiter_->woken.notify_one();
}

QueueWriter::Pending& QueueWriter::Pending::operator=(Pending&& other) noexcept {
  operation = std::move(other.operation);
  result = std::move(other.result);
  std::swap(waiter_, other.waiter_);
  return *this;
}

// With the lock, behind which the waiter may be gone.
void QueueWriter::Pending::answer(Result<void> with) {
  if (waiter_ == nullptr) return;
  const std::lock_guard lock(writer_->mutex_);
  Waiter& waiter = *std::exchange(waiter_, nullptr);
  waiter.answer.emplace(std::move(with));
  waiter.woken.notify_one();
}

QueueWriter::QueueWriter(std::unique_ptr<sqlite::Connection> db, Queue::Hooks hooks,
                         WorkSignal& signal, DiskReserve* reserve)
    : db_(std::move(db)),
      hooks_(std::move(hooks)),
      signal_(signal),
      threaded_(reserve != nullptr),
      reserve_(reserve) {
  if (!threaded_) return;
  thread_ = std::thread([this] { run_thread(); });
}

QueueWriter::~QueueWriter() {
  if (!threaded_) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

Result<void> QueueWriter::run(Operation operation) {
  if (operation.adds && !has_room()) {
    count("sluice_queue_errors_total", {{"reason", "disk full"}});
    return failure(ErrorCode::transient, "queue: the disk is full");
  }
  Waiter me;
  std::unique_lock lock(mutex_);
  pending_.emplace_back(*this, std::move(operation), &me);
  if (writing_) {
    me.woken.wait(lock, [&] { return me.answer || me.is_lost || me.is_leader; });
  } else {
    writing_ = me.is_leader = true;
  }
  // Its own answer is there when it has led.
  if (me.is_leader) lead(lock);
  if (me.answer) return std::move(*me.answer);
  return failure(ErrorCode::transient, "queue gave no answer; its log says why");
}

// Writes what has gathered, then passes the lead on: to one who waits, or the thread.
void QueueWriter::lead(std::unique_lock<std::mutex>& lock) {
  Batch batch;
  batch.swap(pending_);
  for (std::string& id : just_removed_) removed_files_.insert(std::move(id));
  just_removed_.clear();
  lock.unlock();
  run_once(std::move(batch));
  lock.lock();
  const auto next = std::ranges::find_if(
      pending_, [](const Pending& pending) { return pending.waiter_ != nullptr; });
  if (next != pending_.end()) {
    next->waiter_->is_leader = true;
    next->waiter_->woken.notify_one();
    return;
  }
  writing_ = false;
  if (!pending_.empty() || !to_remove_.empty() || stopping_) arrived_.notify_one();
}

void QueueWriter::post(Operation operation) {
  operation.is_kept = true;
  if (!threaded_) {
    if (auto done = run(std::move(operation)); !done) {
      log::error("queue write failed", {{"error", done.error().message}});
    }
    return;
  }
  const std::lock_guard lock(mutex_);
  const bool wakes = !operation.lazy || pending_.empty() || pending_.size() == kGathered;
  pending_.emplace_back(*this, std::move(operation), nullptr);
  if (!writing_ && wakes) arrived_.notify_one();
}

bool QueueWriter::has_urgent() const {
  return pending_.size() >= kGathered || std::ranges::any_of(pending_, [](const Pending& pending) {
           return !pending.operation.lazy;
         });
}

Result<void> QueueWriter::flush() {
  auto written = run(
      {.apply = [](sqlite::Connection&, Effects&) -> Result<void> { return {}; }, .settles = true});
  if (!threaded_) return written;
  std::unique_lock lock(mutex_);
  removed_.wait(lock, [this] { return to_remove_.empty() && !removing_; });
  return written;
}

void QueueWriter::run_thread() {
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait_for(lock, kLookInterval, [this] {
      return !to_remove_.empty() || (!writing_ && (!pending_.empty() || stopping_));
    });
    if (!to_remove_.empty()) {
      remove_files(lock);
      continue;
    }
    if (!pending_.empty() && !has_urgent() && !stopping_) {
      arrived_.wait_for(lock, kGathering, [this] { return stopping_ || has_urgent(); });
    }
    if (writing_) continue;
    const bool last = stopping_ && pending_.empty();
    // Files that the last commits freed; not noted, they would be found at the next start.
    if (last) last_note_ = {};
    writing_ = true;
    lead(lock);
    if (last && to_remove_.empty()) return;
  }
}

// Beside the commits: to remove a large file takes time.
void QueueWriter::remove_files(std::unique_lock<std::mutex>& lock) {
  std::vector<std::string> instances;
  instances.swap(to_remove_);
  removing_ = true;
  lock.unlock();
  std::erase_if(instances, [this](const std::string& id) { return !remove_file(id); });
  lock.lock();
  removing_ = false;
  std::ranges::move(instances, std::back_inserter(just_removed_));
  removed_.notify_all();
}

void QueueWriter::run_once(Batch batch) {
  try {
    const auto now = std::chrono::steady_clock::now();
    const bool idle = batch.empty();
    if (threaded_ && (idle || now - last_look_ >= kLookInterval)) {
      last_look_ = now;
      look_at_other_processes();
    }
    if (!idle || !kept_.empty() || is_note_due(false)) commit(std::move(batch));
    held_up_ = !kept_.empty();
    if (threaded_ && !held_up_) reserve_->take();
  } catch (const std::exception& exception) {
    // commit() answers its callers itself; this is memory at its end.
    log::error("queue write", {{"error", exception.what()}});
  }
}

// Noted with a sync of the directory: else a power cut could bring a file back of which
// the row says that it is gone. Adds sync it anyway; without any, a sync now and then.
bool QueueWriter::is_note_due(bool names) const {
  return !removed_files_.empty() &&
         (names || std::chrono::steady_clock::now() - last_note_ >= kLookInterval);
}

// What `sluice queue retry` or `discard` changed in this file.
void QueueWriter::look_at_other_processes() {
  if (faulted_) return;
  auto version = db_->prepare("PRAGMA data_version");
  if (!version) return;
  if (const auto row = version->step(); !row || !*row) return;
  const std::int64_t found = version->integer(0);
  if (found == data_version_) return;
  auto superfluous = rows::superfluous_files(*db_);
  if (!superfluous) {
    log::error("queue not read", {{"error", superfluous.error().message}});
    return;  // and looks again
  }
  data_version_ = found;
  leave_files(*superfluous);
  signal_.set_all_ready();
}

void QueueWriter::commit(Batch batch) {
  if (!kept_.empty()) {
    std::move(batch.begin(), batch.end(), std::back_inserter(kept_));
    batch = std::exchange(kept_, {});
  }
  if (faulted_) return refuse(batch, faulted_error());

  Attempt first = attempt(batch, Notes::when_due);
  if (first.verdict == Verdict::committed) return settle(batch, first.effects);
  if (first.verdict == Verdict::faulted) return refuse(batch, first.error);

  const auto rest = std::stable_partition(
      batch.begin(), batch.end(), [](const Pending& pending) { return pending.operation.adds; });
  Batch others(std::make_move_iterator(rest), std::make_move_iterator(batch.end()));
  batch.erase(rest, batch.end());
  const bool try_again = !batch.empty() || first.is_unsynced;
  refuse(batch, first.error);
  if (others.empty()) return;
  const bool reclaimed = first.is_full && reclaim_log();
  if (faulted_) return refuse(others, faulted_error());
  const Notes notes = first.is_unsynced ? Notes::none : Notes::when_due;
  Attempt second = try_again || reclaimed ? attempt(others, notes) : std::move(first);
  if (second.verdict == Verdict::committed) return settle(others, second.effects);
  if (second.verdict == Verdict::faulted) return refuse(others, second.error);
  for (Pending& pending : others) {
    if (pending.operation.is_kept) {
      kept_.push_back(std::move(pending));
    } else {
      pending.answer(tl::unexpected(second.error));
    }
  }
}

// Copies the write-ahead log into the file, so that the next commit writes over it from
// its beginning instead of asking the full disk for more.
bool QueueWriter::reclaim_log() {
  for (;;) {
    db_->clear_failure();
    if (auto checkpoint = db_->prepare("PRAGMA wal_checkpoint(RESTART)")) {
      // That somebody still reads the log is no error but the first column.
      if (const auto row = checkpoint->step(); row) return *row && checkpoint->integer(0) == 0;
    }
    const sqlite::Failure why = db_->last_failure();
    if (why != sqlite::Failure::full && why != sqlite::Failure::busy) {
      fault("its log cannot be copied into it");
    }
    if (why != sqlite::Failure::full || !reserve_ || !reserve_->is_held()) return false;
    reserve_->give_back();
  }
}

void QueueWriter::fault(const std::string& reason) {
  count("sluice_queue_errors_total", {{"reason", "fault"}});
  if (!faulted_.exchange(true) && hooks_.faulted) hooks_.faulted("queue: " + reason);
}

// A savepoint makes SQLite keep a copy of every page that changes, and hardly any operation
// is refused: so first without.
QueueWriter::Attempt QueueWriter::attempt(Batch& batch, Notes notes) {
  Attempt made = attempt_once(batch, notes, false);
  return made.is_refused ? attempt_once(batch, notes, true) : std::move(made);
}

QueueWriter::Attempt QueueWriter::attempt_once(Batch& batch, Notes notes, bool apart) {
  Attempt made;
  is_doubtful_ = false;
  db_->clear_failure();
  Result<void> done;
  try {
    done = apply_all(batch, notes, apart, made);
  } catch (const std::exception& exception) {
    done = failure(ErrorCode::transient, std::string("queue: ") + exception.what());
  }
  if (done) return made;
  if (made.is_refused) {
    db_->roll_back();
    return made;
  }

  using sqlite::Failure;
  const Failure why = db_->last_failure();
  db_->roll_back();
  made.error = {ErrorCode::transient, done.error().message};
  log::error("queue commit failed", {{"error", done.error().message}});
  if (why == Failure::full || why == Failure::busy || (why == Failure::none && !is_doubtful_)) {
    count("sluice_queue_errors_total", {{"reason", why == Failure::full   ? "disk full"
                                                   : why == Failure::busy ? "locked"
                                                   : made.is_unsynced     ? "spool not synced"
                                                                          : "memory"}});
    made.verdict = Verdict::postponed;
    made.is_full = why == Failure::full;
    if (made.is_unsynced) last_note_ = std::chrono::steady_clock::now() + kNoteAgain;
    return made;
  }
  fault(done.error().message);
  made.verdict = Verdict::faulted;
  return made;
}

// The order: files are synced by their receivers, their names by the hook, and only
// then the rows that say so are committed. A row must never promise a file that a power
// cut could take away; a file without a row is only an acknowledgement not given.
Result<void> QueueWriter::apply_all(Batch& batch, Notes allowed, bool apart, Attempt& made) {
  const auto any = [&](auto member) {
    return std::any_of(batch.begin(), batch.end(),
                       [&](const Pending& pending) { return pending.operation.*member; });
  };
  const bool names = any(&Operation::names);
  const bool notes = allowed == Notes::when_due && is_note_due(names);
  const bool durable = notes || any(&Operation::durable);
  if (auto set = set_durable(durable); !set) return set;
  if (auto begun = db_->run("BEGIN IMMEDIATE"); !begun) return begun;
  if (auto applied = apply_each(batch, apart, made); !applied) return applied;
  if (auto counted = made.effects.totals.write(*db_); !counted) return counted;
  if (notes) {
    for (const std::string& id : removed_files_) {
      if (auto noted = rows::note_file_removed(*db_, id); !noted) return noted;
    }
  }
  if (names || notes) {
    if (auto synced = sync_names(made, notes); !synced) return synced;
  }
  // A transaction that changes nothing is not synced.
  const bool settles = any(&Operation::settles);
  if (settles && has_unsynced_) {
    if (auto touched = rows::touch(*db_); !touched) return touched;
  }
  is_doubtful_ = true;
  const auto begun = std::chrono::steady_clock::now();
  if (auto committed = db_->run("COMMIT"); !committed) return committed;
  if (durable) note_sync(std::chrono::steady_clock::now() - begun);
  has_unsynced_ = !durable || (has_unsynced_ && !settles);
  if (notes) {
    removed_files_.clear();
    last_note_ = std::chrono::steady_clock::now();
  }
  return {};
}

Result<void> QueueWriter::apply_each(Batch& batch, bool apart, Attempt& made) {
  std::size_t at_once = 0;
  for (Pending& pending : batch) {
    if (++at_once % kAtOnce == 0) std::this_thread::yield();
    auto applied = apply_one(pending, made.effects, apart);
    if (applied) continue;
    const sqlite::Failure why = db_->last_failure();
    made.is_refused =
        !apart && (why == sqlite::Failure::none || why == sqlite::Failure::constraint);
    return applied;
  }
  return {};
}

Result<void> QueueWriter::set_durable(bool durable) {
  if (durable == is_durable_) return {};
  auto set = db_->run_script(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  if (set) is_durable_ = durable;
  return set;
}

// A failure is the spool's: nothing of this file was committed or is in doubt.
Result<void> QueueWriter::sync_names(Attempt& made, bool notes) const {
  const auto& sync = notes && hooks_.before_note ? hooks_.before_note : hooks_.before_commit;
  if (!sync) return {};
  made.is_unsynced = true;  // also when the hook throws
  auto synced = sync();
  made.is_unsynced = !synced;
  return synced;
}

// The instances that an operation finished are counted with it.
//
// An operation that is refused (a known id, nothing to reroute) leaves no trace, where it has
// a savepoint; an error of the file ends the whole batch.
Result<void> QueueWriter::apply_one(Pending& pending, Effects& effects, bool apart) {
  if (apart) {
    if (auto begun = db_->run("SAVEPOINT operation"); !begun) return begun;
  }
  Effects own;
  Effects& its = apart ? own : effects;  // of what is refused together nothing is left
  const std::size_t done_before = its.done();
  pending.result = pending.operation.apply(*db_, its);
  if (pending.result) {
    its.totals.add(rows::total::kFinished, "", its.done() - done_before);
    if (!apart) return {};
    effects.totals.add(own.totals);
    std::ranges::move(own.signals, std::back_inserter(effects.signals));
    std::ranges::move(own.instances_done, std::back_inserter(effects.instances_done));
    return db_->run("RELEASE operation");
  }
  const sqlite::Failure why = db_->last_failure();
  if (!apart || (why != sqlite::Failure::none && why != sqlite::Failure::constraint)) {
    return pending.result;
  }
  db_->clear_failure();
  if (auto undone = db_->run("ROLLBACK TO operation"); !undone) return undone;
  return db_->run("RELEASE operation");
}

void QueueWriter::refuse(Batch& batch, const Error& error) {
  for (Pending& pending : batch) {
    try {
      pending.answer(tl::unexpected(error));
    } catch (const std::exception&) {
      continue;  // no memory for the text: run() sees that there is no answer
    }
  }
}

void QueueWriter::settle(Batch& batch, Effects& effects) {
  give_signals(effects);
  if (threaded_) leave_files(effects.instances_done);
  for (Pending& pending : batch) pending.answer(std::move(pending.result));
}

// What is committed is committed: no exception may come between it and the answers.
void QueueWriter::give_signals(Effects& effects) {
  bool lost = false;
  for (const auto& signal : effects.signals) {
    try {
      signal(signal_);
    } catch (const std::exception&) {
      lost = true;
    }
  }
  if (lost) signal_.set_all_ready();  // needs no memory, and a needless claim does no harm
}

// To the thread. One that there is no memory for is found at the next start.
void QueueWriter::leave_files(const std::vector<std::string>& instances) noexcept {
  if (instances.empty()) return;
  const std::lock_guard lock(mutex_);
  try {
    for (const std::string& id : instances) {
      if (!removed_files_.contains(id)) to_remove_.push_back(id);
    }
  } catch (const std::exception& exception) {
    log::error("files of finished instances not removed; the next start tries again",
               {{"error", exception.what()}});
  }
  arrived_.notify_one();
}

// Noted only when it is gone. Else the row goes on saying that there is a file, and the
// next start tries again.
bool QueueWriter::remove_file(const std::string& instance_id) const {
  std::string reason;
  try {
    const Result<void> removed = hooks_.file_done ? hooks_.file_done(instance_id) : Result<void>{};
    if (removed) return true;
    reason = removed.error().message;
  } catch (const std::exception& exception) {
    reason = exception.what();
  }
  log::error("file of a finished instance not removed; the next start tries again",
             {{"id", instance_id}, {"error", reason}});
  return false;
}

}  // namespace sluice
