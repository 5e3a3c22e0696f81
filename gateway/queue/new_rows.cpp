#include "gateway/queue/new_rows.h"

#include <chrono>
#include <exception>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/queue/queue_record.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

using sqlite::Connection;

// No more than the writer's reserve has room for, should the disk be full.
constexpr int kMostWaiting = 1000;
constexpr const char* kOutOfMemory = "no memory";  // short: it needs none itself

Result<void> add_rows(Connection& db, Effects& effects, const QueueRecord& added) {
  effects.note_added(added.instance, added.deliveries);
  return rows::add(db, added.instance, added.deliveries, std::chrono::system_clock::now(),
                   effects.totals);
}

}  // namespace

Result<std::unique_ptr<NewRows>> NewRows::open(const std::string& database, QueueWriter& writer,
                                               const Queue::Hooks& hooks) {
  std::unique_ptr<NewRows> rows(new NewRows(writer));
  auto journal = Journal::open(database + "-journal",
                               {.sync_names = hooks.before_commit,
                                .full = [&made = *rows](std::size_t part) { made.give_over(part); },
                                .faulted = hooks.faulted});
  if (!journal) {
    log::warning("no journal: every instance waits for a commit of the queue",
                 {{"reason", journal.error().message}});
    return nullptr;
  }
  rows->journal_ = std::move(*journal);
  if (auto replayed = rows->replay(); !replayed) return tl::unexpected(replayed.error());
  return rows;
}

Result<void> NewRows::replay() {
  std::size_t added = 0;
  auto done = writer_.run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
    added = 0;
    for (const std::string& bytes : journal_->left()) {
      const auto record = record_from(bytes);
      if (!record) return tl::unexpected(record.error());
      const auto known = rows::has_instance(db, record->instance.id);
      if (!known) return tl::unexpected(known.error());
      if (*known) continue;
      auto row = add_rows(db, effects, *record);
      if (!row) return row;
      ++added;
    }
    return {};
  }});
  if (!done) return done;
  if (added > 0) log::info("the queue got rows from its journal", {{"instances", added}});
  journal_->clear(0);
  journal_->clear(1);
  return {};
}

void NewRows::add(std::shared_ptr<const QueueRecord> rows, UidClaims::Claim claim,
                  Queue::Done done) {
  if (writer_.is_faulted()) return done(failure(ErrorCode::transient, "the queue has failed"));
  const auto added = std::make_shared<Claimed>(Claimed{std::move(rows), std::move(claim)});
  // What the journal takes must have room in the database.
  if (waiting_ >= kMostWaiting || !writer_.has_room()) {
    return done(hand_on(failure(ErrorCode::transient, "the database does not keep up"), added));
  }
  journal_->append(record_of(*added->rows), added->rows->instance.has_file,
                   [this, added, done = std::move(done)](const Result<std::size_t>& part) {
                     Result<void> handed_on;
                     try {
                       handed_on = hand_on(part, added);
                     } catch (const std::exception&) {
                       handed_on = failure(ErrorCode::transient, kOutOfMemory);
                     }
                     done(std::move(handed_on));
                   });
}

// What has no place in the journal goes the long way, before its sender is answered.
Result<void> NewRows::hand_on(const Result<std::size_t>& part,
                              const std::shared_ptr<Claimed>& added) {
  const auto add = [rows = added->rows](Connection& db, Effects& effects) {
    return add_rows(db, effects, *rows);
  };
  if (!part) {
    return writer_.run({.apply = add, .adds = true, .names = added->rows->instance.has_file});
  }
  ++waiting_;
  writer_.post({.apply =
                    [this, added](Connection& db, Effects& effects) {
                      effects.signals.emplace_back([this, added](WorkSignal&) {
                        --waiting_;
                        added->claim.release();
                      });
                      return add_rows(db, effects, *added->rows);
                    },
                .durable = false,
                .lazy = true});
  journal_->given(*part);
  return {};
}

// Behind all that was posted before: they are in the same commit, or an earlier one.
void NewRows::give_over(std::size_t part) {
  writer_.post({.apply = [this, part](Connection&, Effects& effects) -> Result<void> {
                  effects.signals.emplace_back(
                      [this, part](WorkSignal&) { journal_->clear(part); });
                  return {};
                },
                .settles = true});
}

Result<void> NewRows::settle() {
  auto ended = journal_->end_part();
  return ended ? writer_.flush() : ended;
}

}  // namespace sluice
