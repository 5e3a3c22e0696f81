// The queue's tables and every SQL statement on them. Each function is a step of a
// transaction that the caller begins and commits.
//
// instances   one row per instance received
//   sequence    the order of receipt; unlike received_at it never goes back
//   id          of the file in the spool
//   received_at microseconds since 1970 UTC, as all times here
//   user_name   that the sender gave, for destinations that are told it; '' without
//   irregular_tags  top-level tags that come twice or out of order, as text; '' without
//   other_bytes_of        id of the one that had this SOP Instance UID first; '' without
//   new_sop_instance_uid  that it is delivered with for that; '' is its own
//   damaged     1: its file was found damaged or missing
//   sent_again, sent_again_at  how often the same bytes came again, and when last
//   file        1: the spool has its file. 0: removed, after the last delivery was final
// deliveries  one row per instance, route and destination
//   instance    instances.sequence
//   destination '' while quarantined or dropped
//   priority    0 high, 1 medium, 2 low
//   state       as in queue.h, by name, for the person who looks with sqlite3
//   next_attempt, retry_after_ms  of a deferred one: when, and how long the wait was in
//               all. A clock that was set back cannot make the wait longer than that.
//   released    by whom, why and despite what, when a person overruled a verdict; else ''
//   reroute     of a quarantined one. 0: waits for a person. 1: to be routed again.
//               2: the running gateway is at it
// rejections  one row per instance, sender and status that was refused; a list for people,
//             bounded in number and age, that nothing else relies on
//   id, updated_at  of the last attempt; received_at is that of the first
// totals      what was ever accepted, and how it ended: sum.h. Outlives the rows
//
// checksum    of both: row_sum() of the columns that decide what is sent, and where to;
//             a bit that changes in a value is seen by it alone. Who writes these by hand
//             damages the row.
//
// deliveries_by_state serves claims, counts and all look-ups of unfinished deliveries;
// their cost does not grow with the history. Only the numbers of counts() do. It has them in the
// order in which they are claimed: by state, destination, priority and receipt.
//
// Format 5 (PRAGMA user_version); application_id is "SLQU". What each version added
// stands in queue_rows.cpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/sqlite.h"
#include "gateway/queue/queue.h"

namespace sluice::rows {

using sqlite::Connection;

extern const sqlite::Format kFormat;

// Queries that find a row whose checksum does not fit.
[[nodiscard]] std::vector<std::string> damaged_rows();

[[nodiscard]] std::int64_t to_microseconds(Time time);

[[nodiscard]] bool is_final(DeliveryState state);

// Names of totals, as sum.h explains them. What ends a delivery else is named as its state.
namespace total {
inline constexpr std::string_view kInstances = "instances";
inline constexpr std::string_view kFinished = "finished";  // instances
inline constexpr std::string_view kAccepted = "accepted";
inline constexpr std::string_view kReplaced = "replaced";
inline constexpr std::string_view kRerouted = "rerouted";
}  // namespace total

// What a transaction adds to them.
class Totals {
 public:
  void add(std::string_view what, std::string_view destination, std::size_t by);
  void add(const Totals& more);
  [[nodiscard]] Result<void> write(Connection& db) const;

 private:
  std::map<std::pair<std::string, std::string>, std::size_t> totals_;
};

// A delivery that waits. `next_attempt` tells this wait from a later one of the same row.
struct Waiting {
  std::string destination;
  std::int64_t delivery = 0;
  config::Priority priority = config::Priority::medium;
  std::int64_t next_attempt = 0;
  std::chrono::milliseconds left{0};
};

[[nodiscard]] Result<void> add(Connection& db, const InstanceRow& row,
                               const std::vector<DeliveryRow>& deliveries, Time now,
                               Totals& totals);

// Makes it ready if it still waits this wait.
[[nodiscard]] Result<void> make_ready(Connection& db, const Waiting& due);

// Of deliveries that are damaged none is claimed: what was ready is held. Errors: corrupt,
// when an index leads to other rows than it says.
[[nodiscard]] Result<std::vector<QueueEntry>> claim(Connection& db, std::string_view destination,
                                                    std::size_t limit, Time now);

struct Finished {
  std::size_t rows = 0;
  bool instance_done = false;    // its last delivery is final now
  std::vector<Waiting> waiting;  // when deferred
};
[[nodiscard]] Result<Finished> finish(Connection& db, const Outcome& outcome, Time now,
                                      Totals& totals);

[[nodiscard]] Result<void> release(Connection& db, std::string_view instance_id,
                                   std::string_view destination, Time now);

// Undoes what a stopped gateway left half done: `sending`, and reroutes.
[[nodiscard]] Result<void> recover(Connection& db, Time now);
[[nodiscard]] Result<std::vector<Waiting>> waiting(Connection& db, Time now);
[[nodiscard]] Result<std::map<std::string, std::chrono::milliseconds>> longest_waits(
    Connection& db);

[[nodiscard]] Result<std::vector<std::string>> unfinished_instances(Connection& db);
// Instances that need their file no longer and are said to have one.
[[nodiscard]] Result<std::vector<std::string>> superfluous_files(Connection& db);
// The same, of these instances only.
[[nodiscard]] Result<std::vector<std::string>> superfluous_files_of(
    Connection& db, const std::set<std::int64_t>& instances);
[[nodiscard]] Result<void> note_file_removed(Connection& db, std::string_view instance_id);

[[nodiscard]] Result<std::vector<QueueEntry>> list(Connection& db, const QueueFilter& filter);
[[nodiscard]] Result<std::vector<Queue::Count>> counts(Connection& db);

struct Changed {
  std::size_t rows = 0;
  std::map<std::string, std::size_t> destinations;  // of the rows, and how many of each
  std::set<std::int64_t> instances;                 // of the rows, by sequence
};
[[nodiscard]] Result<Changed> retry(Connection& db, const QueueFilter& filter, Time now);
[[nodiscard]] Result<Changed> discard(Connection& db, const QueueFilter& filter,
                                      std::string_view reason, Time now);

[[nodiscard]] Result<bool> has_reroutes(Connection& db);
[[nodiscard]] Result<std::vector<QueueEntry>> claim_for_reroute(Connection& db, std::size_t limit,
                                                                Time now);
[[nodiscard]] Result<Changed> reroute(Connection& db, std::string_view instance_id,
                                      std::vector<DeliveryRow> deliveries,
                                      const SameUidRules& rules, Time now);
// `rows` of the answer are those that were quarantined.
[[nodiscard]] Result<Changed> release_quarantined(Connection& db, const QueueFilter& filter,
                                                  const Queue::Release& release, Time now);

// Of same_uid.h.
struct AddedRows {
  Added added;
  std::vector<DeliveryRow> deliveries;  // that the new instance has
  std::set<std::int64_t> replaced;      // instances of which deliveries were ended
};
[[nodiscard]] Result<AddedRows> add_unless_known(Connection& db, InstanceRow instance,
                                                 std::vector<DeliveryRow> deliveries,
                                                 const SameUidRules& rules, Time now,
                                                 Totals& totals);
// Whether the history has an instance with this UID.
[[nodiscard]] Result<bool> is_known(Connection& db, std::string_view sop_instance_uid);
// The first so many that it has behind this one, in their order, each once.
[[nodiscard]] Result<std::vector<std::string>> known_uids(Connection& db, std::string_view behind,
                                                          std::size_t limit);
// Changes the file, and nothing in it.
[[nodiscard]] Result<void> touch(Connection& db);
[[nodiscard]] Result<bool> has_instance(Connection& db, std::string_view id);
// Changes instance and deliveries as the rules say when another holds its UID with other
// bytes. `sequence` is its own; 0: it has none yet.
[[nodiscard]] Result<void> settle_other_bytes(Connection& db, std::int64_t sequence,
                                              InstanceRow& instance,
                                              std::vector<DeliveryRow>& deliveries,
                                              const SameUidRules& rules);

[[nodiscard]] Result<void> note_rejection(Connection& db, const Rejection& rejection);
[[nodiscard]] Result<std::vector<Rejection>> rejections(Connection& db, const QueueFilter& filter);
// Returns how many.
[[nodiscard]] Result<std::size_t> forget_rejections(Connection& db, Time before);

[[nodiscard]] Result<std::vector<Queue::Oldest>> oldest(Connection& db);

[[nodiscard]] Result<Sums> sums(Connection& db);

// Whose history may go: received before, all final, the file removed. By sequence.
[[nodiscard]] Result<std::vector<std::int64_t>> forgettable(Connection& db, Time before,
                                                            std::size_t limit);
[[nodiscard]] Result<void> forget(Connection& db, const std::vector<std::int64_t>& sequences);

}  // namespace sluice::rows
