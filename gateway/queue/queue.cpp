#include "gateway/queue/queue.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <system_error>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/queue/disk_reserve.h"
#include "gateway/queue/new_rows.h"
#include "gateway/queue/queue_record.h"
#include "gateway/queue/queue_rows.h"
#include "gateway/queue/queue_writer.h"
#include "gateway/queue/uid_history.h"
#include "gateway/queue/work_signal.h"

namespace sluice {
namespace {

using sqlite::Connection;

// Deferred deliveries that become ready with one claim: a long outage makes many due at
// once, and one claim must not hold up the others.
constexpr std::size_t kDueAtOnce = 1000;
// Twice what the write-ahead log holds when SQLite copies it into the file by itself.
constexpr std::int64_t kReserveBytes = std::int64_t{8} * 1024 * 1024;
constexpr std::size_t kForgottenAtOnce = 500;
// Another with the same UID ends soon, unless the disk is in trouble.
constexpr std::chrono::seconds kOtherSender{10};
// On a full disk the other one does not end.
constexpr std::chrono::milliseconds kLookForRoom{100};
// Notes that wait for a commit: while nothing can be written they must not gather.
constexpr int kMostUnwritten = 1000;

Time now() {
  return std::chrono::system_clock::now();
}

class SqliteQueue final : public Queue {
 public:
  SqliteQueue(const std::string& path, std::unique_ptr<Connection> writing,
              std::unique_ptr<Connection> reading, std::unique_ptr<Connection> looking, Hooks hooks,
              const std::vector<rows::Waiting>& waiting, bool threaded)
      : path_(path), reading_(std::move(reading)), history_(std::move(looking)) {
    for (const rows::Waiting& one : waiting) signal_.add(one);
    if (threaded) reserve_.emplace(DiskReserve::path_of(path), kReserveBytes);
    writer_ = std::make_unique<QueueWriter>(std::move(writing), std::move(hooks), signal_,
                                            threaded ? &*reserve_ : nullptr);
  }

  bool has_room() const override { return writer_->has_room(); }

  Result<void> add(const InstanceRow& instance,
                   const std::vector<DeliveryRow>& deliveries) override {
    history_.add(instance.sop_instance_uid);
    return writer_->run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
                           auto added = rows::add(db, instance, deliveries, now(), effects.totals);
                           if (!added) return added;
                           effects.note_added(instance, deliveries);
                           return {};
                         },
                         .adds = true,
                         .names = instance.has_file});
  }

  Result<UidClaims::Claim> claim_uid(const std::string& sop_instance_uid) override {
    const auto end = std::chrono::steady_clock::now() + kOtherSender;
    for (auto now = end - kOtherSender; now < end && has_room();
         now = std::chrono::steady_clock::now()) {
      auto claim = claims_.claim(sop_instance_uid, std::min(now + kLookForRoom, end));
      if (claim) return std::move(*claim);
    }
    return failure(ErrorCode::transient, has_room()
                                             ? "the same instance is being stored for too long"
                                             : "queue: the disk is full");
  }

  Result<void> read_history(const std::atomic<bool>& stop) override {
    return history_.read(path_, stop);
  }

  Result<bool> knows_uid(std::string_view sop_instance_uid) override {
    return history_.knows(sop_instance_uid);
  }

  Result<Added> add_unless_known(const InstanceRow& instance,
                                 const std::vector<DeliveryRow>& deliveries,
                                 const SameUidRules& rules) override {
    history_.add(instance.sop_instance_uid);
    Added made;
    auto done = writer_->run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
                                auto added = rows::add_unless_known(db, instance, deliveries, rules,
                                                                    now(), effects.totals);
                                if (!added) return tl::unexpected(added.error());
                                made = std::move(added->added);
                                if (auto told = tell_done(db, effects, added->replaced); !told)
                                  return told;
                                effects.note_added(instance, added->deliveries);
                                return {};
                              },
                              .adds = true,
                              .names = true});
    if (!done) return tl::unexpected(done.error());
    return made;
  }

  void add_new(std::shared_ptr<const QueueRecord> rows, UidClaims::Claim claim,
               Done done) override {
    if (new_rows_ == nullptr) return done(add(rows->instance, rows->deliveries));
    history_.add(rows->instance.sop_instance_uid);
    new_rows_->add(std::move(rows), std::move(claim), std::move(done));
  }

  void note_passed(const InstanceRow& instance, const DeliveryRow& delivery) override {
    if (!may_note("sluice_unrecorded_total")) return;
    history_.add(instance.sop_instance_uid);
    writer_->post({.apply =
                       [this, instance, delivery](Connection& db, Effects& effects) {
                         effects.signals.emplace_back([this](WorkSignal&) { --unwritten_; });
                         effects.note_done(instance);
                         return rows::add(db, instance, {delivery}, now(), effects.totals);
                       },
                   .durable = false});
  }

  Result<std::vector<QueueEntry>> claim(std::string_view destination, std::size_t limit) override {
    std::vector<QueueEntry> claimed;
    const auto apply = [&](Connection& db, Effects& effects) -> Result<void> {
      auto due = signal_.due(destination, std::max(limit, kDueAtOnce));
      for (const rows::Waiting& one : due) {
        if (auto made = rows::make_ready(db, one); !made) return made;
      }
      auto found = rows::claim(db, destination, limit, now());
      if (!found) return tl::unexpected(found.error());
      claimed = std::move(*found);
      if (!due.empty()) {
        effects.signals.emplace_back(
            [due = std::move(due)](WorkSignal& signal) { signal.remove(due); });
      }
      if (claimed.empty() || claimed.size() < limit) {
        effects.signals.emplace_back(
            [name = std::string(destination)](WorkSignal& signal) { signal.set_empty(name); });
      } else {
        // Of those that were due, more may be left: other threads can take them.
        effects.signals.emplace_back([name = std::string(destination),
                                      last = claimed.back().delivery.priority](WorkSignal& signal) {
          signal.set_claimed(name, last);
        });
      }
      return {};
    };
    auto done = writer_->run({.apply = apply, .durable = false});
    if (!done) return tl::unexpected(done.error());
    return claimed;
  }

  void finish(const Outcome& outcome) override {
    writer_->post(
        {.apply = [outcome, said = std::chrono::steady_clock::now()](
                      Connection& db, Effects& effects) -> Result<void> {
           auto finished = rows::finish(db, outcome, now(), effects.totals);
           if (!finished) return tl::unexpected(finished.error());
           if (finished->rows == 0) {
             log::info("outcome of a delivery that is not being sent any more",
                       {{"id", outcome.instance_id}, {"destination", outcome.destination}});
           }
           if (finished->instance_done) effects.instances_done.push_back(outcome.instance_id);
           for (rows::Waiting& waiting : finished->waiting) {
             effects.signals.emplace_back([waiting = std::move(waiting), said](WorkSignal& signal) {
               signal.add(waiting, said);
             });
           }
           if (outcome.state == DeliveryState::ready) tell_ready(effects, outcome.destination);
           return {};
         },
         .lazy = true});
  }

  void release(const std::string& instance_id, std::string_view destination) override {
    writer_->post({.apply = [instance_id, name = std::string(destination)](
                                Connection& db, Effects& effects) -> Result<void> {
                     auto released = rows::release(db, instance_id, name, now());
                     if (released) tell_ready(effects, name);
                     return released;
                   },
                   .durable = false});
  }

  bool has_more_urgent(std::string_view destination, config::Priority than) override {
    return signal_.has_more_urgent(destination, than);
  }
  bool has_work(std::string_view destination) override { return signal_.has_work(destination); }

  void nudge(std::string_view destination) override { signal_.nudge(destination); }
  void serve(const std::string& group, std::vector<std::string> destinations) override {
    signal_.serve(group, std::move(destinations));
  }

  bool wait_for_work(std::string_view destination,
                     std::chrono::steady_clock::time_point until) override {
    return signal_.wait(destination, until);
  }

  void wake() override { signal_.wake(); }

  Result<void> flush() override { return writer_->flush(); }

  Result<std::vector<QueueEntry>> list(const QueueFilter& filter) override {
    const std::lock_guard lock(reading_mutex_);
    return rows::list(*reading_, filter);
  }

  Result<std::vector<Count>> counts() override {
    const std::lock_guard lock(reading_mutex_);
    return rows::counts(*reading_);
  }

  Result<Sums> sums() override {
    const std::lock_guard lock(reading_mutex_);
    return rows::sums(*reading_);
  }

  Result<std::map<std::string, std::chrono::milliseconds>> longest_waits() override {
    const std::lock_guard lock(reading_mutex_);
    return rows::longest_waits(*reading_);
  }

  Result<std::vector<std::string>> unfinished_instances() override {
    const std::lock_guard lock(reading_mutex_);
    return rows::unfinished_instances(*reading_);
  }

  Result<std::size_t> retry(const QueueFilter& filter) override {
    std::size_t rows = 0;
    auto done = writer_->run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
      auto changed = rows::retry(db, filter, now());
      if (!changed) return tl::unexpected(changed.error());
      rows = changed->rows;
      tell_changed(effects, *changed);
      return {};
    }});
    if (!done) return tl::unexpected(done.error());
    return rows;
  }

  Result<std::vector<QueueEntry>> claim_for_reroute(std::size_t limit) override {
    {
      // Asked for regularly, and there is hardly ever one: a look costs no transaction.
      const std::lock_guard lock(reading_mutex_);
      auto waits = rows::has_reroutes(*reading_);
      if (!waits) return tl::unexpected(waits.error());
      if (!*waits) return std::vector<QueueEntry>{};
    }
    std::vector<QueueEntry> claimed;
    auto done = writer_->run({.apply = [&](Connection& db, Effects&) -> Result<void> {
                                auto found = rows::claim_for_reroute(db, limit, now());
                                if (!found) return tl::unexpected(found.error());
                                claimed = std::move(*found);
                                return {};
                              },
                              .durable = false});
    if (!done) return tl::unexpected(done.error());
    return claimed;
  }

  Result<void> reroute(const std::string& instance_id, const std::vector<DeliveryRow>& deliveries,
                       const SameUidRules& rules) override {
    return writer_->run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
      auto changed = rows::reroute(db, instance_id, deliveries, rules, now());
      if (!changed) return tl::unexpected(changed.error());
      tell_changed(effects, *changed);
      return tell_done(db, effects, changed->instances);
    }});
  }

  Result<std::size_t> release_quarantined(const QueueFilter& filter,
                                          const Release& release) override {
    std::size_t rows = 0;
    auto done = writer_->run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
      auto changed = rows::release_quarantined(db, filter, release, now());
      if (!changed) return tl::unexpected(changed.error());
      rows = changed->rows;
      tell_changed(effects, *changed);
      return tell_done(db, effects, changed->instances);
    }});
    if (!done) return tl::unexpected(done.error());
    return rows;
  }

  void note_rejection(const Rejection& rejection) override {
    if (!may_note("sluice_rejections_not_listed_total")) return;
    writer_->post({.apply = [this, rejection](Connection& db, Effects& effects) -> Result<void> {
                     effects.signals.emplace_back([this](WorkSignal&) { --unwritten_; });
                     return rows::note_rejection(db, rejection);
                   },
                   .durable = false});
  }

  Result<std::vector<Rejection>> rejections(const QueueFilter& filter) override {
    const std::lock_guard lock(reading_mutex_);
    return rows::rejections(*reading_, filter);
  }

  Result<std::vector<Oldest>> oldest() override {
    const std::lock_guard lock(reading_mutex_);
    return rows::oldest(*reading_);
  }

  Result<std::size_t> discard(const QueueFilter& filter, std::string_view who,
                              std::string_view why) override {
    const std::string reason = "discarded by " + std::string(who) + ": " + std::string(why);
    std::size_t rows = 0;
    auto done = writer_->run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
      auto changed = rows::discard(db, filter, reason, now());
      if (!changed) return tl::unexpected(changed.error());
      rows = changed->rows;
      return tell_done(db, effects, changed->instances);
    }});
    if (!done) return tl::unexpected(done.error());
    return rows;
  }

  // In small transactions: years of history must not keep a sender waiting.
  Result<std::size_t> forget_before(Time time) override {
    if (new_rows_ != nullptr) {
      if (auto settled = new_rows_->settle(); !settled) return tl::unexpected(settled.error());
    }
    std::size_t forgotten = 0;
    auto refused = writer_->run({.apply = [&](Connection& db, Effects&) -> Result<void> {
                                   auto gone = rows::forget_rejections(db, time);
                                   if (!gone) return tl::unexpected(gone.error());
                                   forgotten = *gone;
                                   return {};
                                 },
                                 .durable = false});
    if (!refused) return tl::unexpected(refused.error());
    for (;;) {
      Result<std::vector<std::int64_t>> old;
      {
        const std::lock_guard lock(reading_mutex_);
        old = rows::forgettable(*reading_, time, kForgottenAtOnce);
      }
      if (!old) return tl::unexpected(old.error());
      if (old->empty()) return forgotten;
      auto done =
          writer_->run({.apply = [&](Connection& db, Effects&) { return rows::forget(db, *old); }});
      if (!done) return tl::unexpected(done.error());
      forgotten += old->size();
    }
  }

  bool is_faulted() const override { return writer_->is_faulted(); }

  [[nodiscard]] Result<void> open_journal(const std::string& path, const Hooks& hooks) {
    auto opened = NewRows::open(path, *writer_, hooks);
    if (!opened) return tl::unexpected(opened.error());
    new_rows_ = std::move(*opened);
    return {};
  }

  SqliteQueue(const SqliteQueue&) = delete;
  SqliteQueue& operator=(const SqliteQueue&) = delete;
  ~SqliteQueue() override {
    if (new_rows_ == nullptr) return;
    if (const auto settled = new_rows_->settle(); !settled) {
      log::warning("the journal is kept for the next start", {{"reason", settled.error().message}});
    }
  }

 private:
  // Else it is forgotten, and counted.
  bool may_note(const char* counter) {
    if (unwritten_.fetch_add(1) < kMostUnwritten) return true;
    --unwritten_;
    count(counter);
    return false;
  }

  static void tell_ready(Effects& effects, const std::string& destination,
                         std::optional<config::Priority> priority = std::nullopt) {
    if (destination.empty()) return;
    effects.signals.emplace_back(
        [destination, priority](WorkSignal& signal) { signal.set_ready(destination, priority); });
  }

  // What a person let go, or is routed anew, may be urgent.
  static void tell_changed(Effects& effects, const rows::Changed& changed) {
    for (const auto& [name, count] : changed.destinations) {
      tell_ready(effects, name, config::Priority::high);
    }
  }

  static Result<void> tell_done(Connection& db, Effects& effects,
                                const std::set<std::int64_t>& instances) {
    auto done = rows::superfluous_files_of(db, instances);
    if (!done) return tl::unexpected(done.error());
    std::move(done->begin(), done->end(), std::back_inserter(effects.instances_done));
    return {};
  }

  const std::string path_;
  std::atomic<int> unwritten_ = 0;  // notes
  WorkSignal signal_;
  std::optional<DiskReserve> reserve_;  // destroyed last: without connections there is no log
  std::mutex reading_mutex_;
  std::unique_ptr<Connection> reading_;
  UidClaims claims_;
  UidHistory history_;                 // apart from reading_: a long list must not stop what comes
  std::unique_ptr<NewRows> new_rows_;  // nullptr: no journal
  std::unique_ptr<QueueWriter> writer_;  // destroyed first: its thread uses all of these
};

}  // namespace

Result<void> check_queue(const std::string& path, const std::atomic<bool>& stop) {
  return sqlite::check_file(path, rows::damaged_rows(), stop);
}

namespace {

struct Connections {
  std::unique_ptr<Connection> writing;
  std::unique_ptr<Connection> reading;
  std::unique_ptr<Connection> looking;
};

Result<Connections> open_connections(const std::string& path) {
  Connections made;
  for (auto* each : {&made.writing, &made.reading, &made.looking}) {
    auto opened = Connection::open(path, rows::kFormat);
    if (!opened) return tl::unexpected(opened.error());
    *each = std::move(*opened);
  }
  // The system has the pages, too: only who writes needs many at hand.
  for (Connection* each : {made.reading.get(), made.looking.get()}) {
    if (auto set = each->run_script("PRAGMA cache_size = -2048"); !set) {
      return tl::unexpected(set.error());
    }
  }
  return made;
}

}  // namespace

Result<std::unique_ptr<Queue>> Queue::open(const std::string& path, Hooks hooks) {
  auto opened = open_connections(path);
  if (!opened) return tl::unexpected(opened.error());
  Connection& db = *opened->writing;
  if (auto begun = db.run("BEGIN IMMEDIATE"); !begun) return tl::unexpected(begun.error());
  auto recovered = rows::recover(db, now());
  if (recovered) recovered = db.run("COMMIT");
  db.roll_back();
  if (!recovered) return tl::unexpected(recovered.error());
  const auto waiting = rows::waiting(db, now());
  if (!waiting) return tl::unexpected(waiting.error());
  const Hooks hooks_of_journal = hooks;
  auto queue =
      std::make_unique<SqliteQueue>(path, std::move(opened->writing), std::move(opened->reading),
                                    std::move(opened->looking), std::move(hooks), *waiting, true);
  if (auto journal = queue->open_journal(path, hooks_of_journal); !journal) {
    return tl::unexpected(journal.error());
  }
  return queue;
}

Result<std::unique_ptr<Queue>> Queue::open_beside(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return failure(ErrorCode::configuration,
                   path + ": no queue here; is this the data_dir of a gateway that has run?");
  }
  auto opened = open_connections(path);
  if (!opened) return tl::unexpected(opened.error());
  return std::make_unique<SqliteQueue>(path, std::move(opened->writing), std::move(opened->reading),
                                       std::move(opened->looking), Hooks{},
                                       std::vector<rows::Waiting>{}, false);
}

}  // namespace sluice
