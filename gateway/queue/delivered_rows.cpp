#include "gateway/queue/delivered_rows.h"

#include <chrono>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/queue/queue_record.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

using sqlite::Connection;

// While the database cannot be written they must not gather.
constexpr int kMostWaiting = 8000;

Time present() {
  return std::chrono::system_clock::now();
}

}  // namespace

Result<std::unique_ptr<DeliveredRows>> DeliveredRows::open(
    const std::string& database, QueueWriter& writer,
    std::function<void(const std::string& reason)> faulted) {
  std::unique_ptr<DeliveredRows> rows(new DeliveredRows(writer));
  auto journal = Journal::open(database + "-journal",
                               {.full = [&made = *rows](std::size_t part) { made.give_over(part); },
                                .faulted = std::move(faulted)});
  if (!journal) {
    log::warning("no journal: every instance waits for a commit of the queue",
                 {{"reason", journal.error().message}});
    return nullptr;
  }
  rows->journal_ = std::move(*journal);
  if (auto replayed = rows->replay(); !replayed) return tl::unexpected(replayed.error());
  return rows;
}

Result<void> DeliveredRows::replay() {
  std::size_t added = 0;
  auto done = writer_.run({.apply = [&](Connection& db, Effects& effects) -> Result<void> {
    added = 0;
    for (const std::string& bytes : journal_->left()) {
      const auto record = record_from(bytes);
      if (!record) return tl::unexpected(record.error());
      const auto known = rows::has_instance(db, record->instance.id);
      if (!known) return tl::unexpected(known.error());
      if (*known) continue;
      auto row = rows::add(db, record->instance, record->deliveries, present(), effects.totals);
      if (!row) return row;
      effects.note_done(record->instance);
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

Result<void> DeliveredRows::add(const InstanceRow& instance,
                                const std::vector<DeliveryRow>& deliveries,
                                UidClaims::Claim claim) {
  if (waiting_.fetch_add(1) >= kMostWaiting) {
    --waiting_;
    return failure(ErrorCode::transient, "the queue does not keep up");
  }
  // The database first: a part of the journal is cleared once it has all that was given to it.
  const auto held = std::make_shared<UidClaims::Claim>(std::move(claim));
  writer_.post({.apply =
                    [this, instance, deliveries, held](Connection& db, Effects& effects) {
                      effects.signals.emplace_back([this, held](WorkSignal&) {
                        --waiting_;
                        held->release();
                      });
                      effects.note_done(instance);
                      return rows::add(db, instance, deliveries, present(), effects.totals);
                    },
                .durable = false,
                .lazy = true});
  if (journal_->append(record_of({instance, deliveries}))) return {};
  return writer_.flush();
}

// Behind all that was posted before.
void DeliveredRows::give_over(std::size_t part) {
  writer_.post({.apply = [this, part](Connection&, Effects& effects) -> Result<void> {
                  effects.signals.emplace_back(
                      [this, part](WorkSignal&) { journal_->clear(part); });
                  return {};
                },
                .settles = true});
}

Result<void> DeliveredRows::settle() {
  auto ended = journal_->end_part();
  return ended ? writer_.flush() : ended;
}

}  // namespace sluice
