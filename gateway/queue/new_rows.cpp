#include "gateway/queue/new_rows.h"

#include <chrono>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/queue/queue_record.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

using sqlite::Connection;

// No more than the writer's reserve has room for, should the disk be full.
constexpr int kMostWaiting = 1000;

Result<void> add_row(Connection& db, Effects& effects, const InstanceRow& instance,
                     const std::vector<DeliveryRow>& deliveries) {
  effects.note_added(instance, deliveries);
  return rows::add(db, instance, deliveries, std::chrono::system_clock::now(), effects.totals);
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
      auto row = add_row(db, effects, record->instance, record->deliveries);
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

Result<void> NewRows::add(const InstanceRow& instance, const std::vector<DeliveryRow>& deliveries,
                          UidClaims::Claim claim) {
  if (writer_.is_faulted()) return failure(ErrorCode::transient, "the queue has failed");
  // What the journal takes must have room in the database.
  const auto part = waiting_ < kMostWaiting && writer_.has_room()
                        ? journal_->append(record_of({instance, deliveries}), instance.has_file)
                        : failure(ErrorCode::transient, "the database does not keep up");
  if (!part) {
    return writer_.run(
        {.apply = [&](Connection& db,
                      Effects& effects) { return add_row(db, effects, instance, deliveries); },
         .adds = true,
         .names = instance.has_file});
  }
  ++waiting_;
  const auto held = std::make_shared<UidClaims::Claim>(std::move(claim));
  writer_.post({.apply =
                    [this, instance, deliveries, held](Connection& db, Effects& effects) {
                      effects.signals.emplace_back([this, held](WorkSignal&) {
                        --waiting_;
                        held->release();
                      });
                      return add_row(db, effects, instance, deliveries);
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
