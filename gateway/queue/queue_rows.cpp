#include "gateway/queue/queue_rows.h"
#include "gateway/queue/queue_entry.h"

#include <algorithm>
#include <array>
#include <set>

namespace sluice {
namespace {

constexpr std::array<std::string_view, 8> kStateNames = {
    "ready", "sending", "delivered", "deferred", "held", "quarantined", "dropped", "discarded"};

}  // namespace

std::string_view to_string(DeliveryState state) {
  return kStateNames.at(static_cast<std::size_t>(state));
}

std::optional<DeliveryState> parse_delivery_state(std::string_view text) {
  for (std::size_t n = 0; n < kStateNames.size(); ++n) {
    if (kStateNames.at(n) == text) return static_cast<DeliveryState>(n);
  }
  return std::nullopt;
}

}  // namespace sluice

namespace sluice::rows {
namespace {

using sqlite::Value;

// Version 1; kSteps has what came later.
constexpr std::string_view kSchema = R"(
CREATE TABLE instances(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,
  calling_ae_title TEXT NOT NULL,
  called_ae_title TEXT NOT NULL,
  peer_address TEXT NOT NULL,
  listener TEXT NOT NULL,
  sop_class_uid TEXT NOT NULL,
  sop_instance_uid TEXT NOT NULL,
  study_instance_uid TEXT NOT NULL,
  series_instance_uid TEXT NOT NULL,
  transfer_syntax_uid TEXT NOT NULL,
  data_set_offset INTEGER NOT NULL,
  data_set_length INTEGER NOT NULL,
  digest TEXT NOT NULL,
  file INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX instances_by_sop_instance_uid ON instances(sop_instance_uid);
CREATE INDEX instances_with_file ON instances(sequence) WHERE file = 1;
CREATE TABLE deliveries(
  delivery INTEGER PRIMARY KEY,
  instance INTEGER NOT NULL REFERENCES instances(sequence) ON DELETE CASCADE,
  route TEXT NOT NULL,
  destination TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('ready', 'sending', 'delivered', 'deferred', 'held',
                                       'quarantined', 'dropped', 'discarded')),
  reason TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  next_attempt INTEGER NOT NULL,
  retry_after_ms INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  reroute INTEGER NOT NULL DEFAULT 0,
  UNIQUE (instance, route, destination)
);
CREATE INDEX deliveries_by_state ON deliveries(state, destination, instance);
)";

// Each from one version to the next; never changed once released, only added to.
constexpr std::array<std::string_view, 4> kSteps = {
    // 2: the user's name, for destinations that are told it
    "ALTER TABLE instances ADD COLUMN user_name TEXT NOT NULL DEFAULT ''",
    // 3: two instances with one UID, verdicts that a person overruled, what was refused
    R"(
ALTER TABLE instances ADD COLUMN other_bytes_of TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN new_sop_instance_uid TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN sent_again INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN sent_again_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN released TEXT NOT NULL DEFAULT '';
CREATE TABLE rejections(
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  calling_ae_title TEXT NOT NULL,
  called_ae_title TEXT NOT NULL,
  peer_address TEXT NOT NULL,
  listener TEXT NOT NULL,
  sop_class_uid TEXT NOT NULL,
  sop_instance_uid TEXT NOT NULL,
  transfer_syntax_uid TEXT NOT NULL,
  data_set_length INTEGER NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  UNIQUE (sop_instance_uid, calling_ae_title, status)
))",
    // 4: what was ever accepted and what became of it, counted from the rows there are; tags
    // twice or out of order, and sums of what must not change
    R"(
CREATE TABLE totals(
  what TEXT NOT NULL,
  destination TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (what, destination)
) WITHOUT ROWID;
INSERT INTO totals SELECT 'accepted', destination, count(*) FROM deliveries GROUP BY destination;
INSERT INTO totals
  SELECT CASE WHEN state = 'discarded' AND reason LIKE 'sent again as %' THEN 'replaced'
         ELSE state END AS ended, destination, count(*) FROM deliveries
  WHERE state IN ('delivered', 'dropped', 'discarded') GROUP BY ended, destination;
INSERT INTO totals SELECT 'instances', '', count(*) FROM instances;
INSERT INTO totals SELECT 'finished', '', count(*) FROM instances i WHERE NOT EXISTS
  (SELECT 1 FROM deliveries d WHERE d.instance = i.sequence AND
   d.state IN ('ready', 'sending', 'deferred', 'held', 'quarantined'));
ALTER TABLE instances ADD COLUMN irregular_tags TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE instances SET checksum = row_sum(sequence, id, received_at, calling_ae_title, called_ae_title,
  peer_address, listener, sop_class_uid, sop_instance_uid, study_instance_uid,
  series_instance_uid, transfer_syntax_uid, data_set_offset, data_set_length, digest, user_name,
  other_bytes_of, new_sop_instance_uid, irregular_tags);
UPDATE deliveries SET checksum = row_sum(instance, route, destination, released))",
    // 5: what is more urgent is claimed first. A row whose sum did not fit gets none that does.
    R"(
ALTER TABLE deliveries ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
DROP INDEX deliveries_by_state;
CREATE INDEX deliveries_by_state ON deliveries(state, destination, priority, instance);
UPDATE deliveries SET checksum = row_sum(instance, route, destination, released, priority)
  WHERE checksum = row_sum(instance, route, destination, released))",
};

// A row with another number has a sum that does not fit.
config::Priority to_priority(std::int64_t number) {
  if (number == 0) return config::Priority::high;
  return number == 2 ? config::Priority::low : config::Priority::medium;
}

Result<void> insert_delivery(Connection& db, std::int64_t instance, const DeliveryRow& row,
                             Time now, Totals& totals) {
  // One that failed is told by finish(), which knows when it is due again.
  const DeliveryState state =
      row.state == DeliveryState::deferred ? DeliveryState::ready : row.state;
  auto inserted = db.run(
      "INSERT INTO deliveries(instance, route, destination, state, reason, status, attempts, "
      "failures, next_attempt, retry_after_ms, updated_at, released, priority, checksum) "
      "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,0,?9,?10,?11,row_sum(?1,?2,?3,?10,?11))",
      {instance, row.route, row.destination, to_string(state), row.reason, row.status, row.attempts,
       row.failures, to_microseconds(now), row.released, static_cast<std::int64_t>(row.priority)});
  if (!inserted) return inserted;
  totals.add(total::kAccepted, row.destination, 1);
  if (is_final(row.state)) totals.add(to_string(row.state), row.destination, 1);
  return {};
}

// Behind all that there ever were, as AUTOINCREMENT says: before the row is there, for its
// checksum.
Result<std::int64_t> next_sequence(Connection& db) {
  auto row = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'instances'");
  if (!row) return tl::unexpected(row.error());
  const auto found = row->step();
  if (!found) return tl::unexpected(found.error());
  return *found ? row->integer(0) + 1 : 1;
}

}  // namespace

const sqlite::Format kFormat{0x534C5155, kSchema, kSteps};

std::int64_t to_microseconds(Time time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

// A damaged row may say any; ages of what is told can be reckoned.
Time to_time(std::int64_t microseconds) {
  const std::int64_t latest = to_microseconds(Time::max()) / 2;
  return Time(std::chrono::microseconds(std::clamp<std::int64_t>(microseconds, 0, latest)));
}

bool is_final(DeliveryState state) {
  return state == DeliveryState::delivered || state == DeliveryState::dropped ||
         state == DeliveryState::discarded;
}

std::string entries_where(std::string_view conditions) {
  return "SELECT i.id, i.received_at, i.calling_ae_title, i.called_ae_title, i.peer_address, "
         "i.listener, i.sop_class_uid, i.sop_instance_uid, i.study_instance_uid, "
         "i.series_instance_uid, i.transfer_syntax_uid, i.data_set_offset, i.data_set_length, "
         "i.digest, d.route, d.destination, d.state, d.reason, d.status, d.attempts, d.failures, "
         "d.next_attempt, d.updated_at, d.delivery, d.instance, i.user_name, "
         "i.other_bytes_of, i.new_sop_instance_uid, i.damaged, i.sent_again, i.sent_again_at, "
         "d.released, i.irregular_tags, d.priority, " +
         entry_is_sound() +
         " "
         "FROM deliveries d JOIN instances i ON i.sequence = d.instance WHERE " +
         std::string(conditions);
}

std::string claimable_entries() {
  return entries_where(
      "d.state = 'ready' AND d.destination = ? ORDER BY d.priority, d.instance LIMIT ?");
}

Result<std::vector<Entry>> read_entries(Connection& db, std::string_view sql,
                                        const std::vector<Value>& values) {
  auto row = db.prepare(sql, values);
  if (!row) return tl::unexpected(row.error());
  std::vector<Entry> entries;
  for (;;) {
    const auto found = row->step();
    if (!found) return tl::unexpected(found.error());
    if (!*found) return entries;
    Entry entry;
    InstanceRow& instance = entry.entry.instance;
    instance.id = row->text(0);
    instance.received_at = to_time(row->integer(1));
    instance.calling_ae_title = row->text(2);
    instance.called_ae_title = row->text(3);
    instance.peer_address = row->text(4);
    instance.listener = row->text(5);
    instance.sop_class_uid = row->text(6);
    instance.sop_instance_uid = row->text(7);
    instance.study_instance_uid = row->text(8);
    instance.series_instance_uid = row->text(9);
    instance.transfer_syntax_uid = row->text(10);
    instance.data_set_offset = static_cast<std::uint64_t>(row->integer(11));
    instance.data_set_length = static_cast<std::uint64_t>(row->integer(12));
    instance.digest = row->text(13);
    DeliveryRow& delivery = entry.entry.delivery;
    delivery.instance_id = instance.id;
    delivery.route = row->text(14);
    delivery.destination = row->text(15);
    // The table's CHECK knows the same names.
    delivery.state = parse_delivery_state(row->text(16)).value_or(DeliveryState::held);
    delivery.reason = row->text(17);
    delivery.status = row->text(18);
    delivery.attempts = static_cast<int>(row->integer(19));
    delivery.failures = static_cast<int>(row->integer(20));
    delivery.next_attempt = to_time(row->integer(21));
    delivery.updated_at = to_time(row->integer(22));
    entry.delivery = row->integer(23);
    entry.instance = row->integer(24);
    instance.user_name = row->text(25);
    instance.other_bytes_of = row->text(26);
    instance.new_sop_instance_uid = row->text(27);
    instance.is_damaged = row->integer(28) != 0;
    instance.sent_again = static_cast<std::uint64_t>(row->integer(29));
    instance.sent_again_at = to_time(row->integer(30));
    delivery.released = row->text(31);
    instance.irregular_tags = row->text(32);
    delivery.priority = to_priority(row->integer(33));
    entry.is_sound = row->integer(34) != 0;
    entries.push_back(std::move(entry));
  }
}

Result<void> insert_deliveries(Connection& db, std::int64_t instance,
                               const std::vector<DeliveryRow>& deliveries, Time now,
                               Totals& totals) {
  for (const DeliveryRow& delivery : deliveries) {
    auto inserted = insert_delivery(db, instance, delivery, now, totals);
    if (!inserted) return inserted;
  }
  return {};
}

Result<void> add(Connection& db, const InstanceRow& row, const std::vector<DeliveryRow>& deliveries,
                 Time now, Totals& totals) {
  if (deliveries.empty()) {
    return failure(ErrorCode::permanent, "queue: instance " + row.id + " has no delivery");
  }
  static const std::string sql = insert_instance();
  const auto sequence = next_sequence(db);
  if (!sequence) return tl::unexpected(sequence.error());
  auto inserted = db.run(sql, {*sequence,
                               row.id,
                               to_microseconds(row.received_at),
                               row.calling_ae_title,
                               row.called_ae_title,
                               row.peer_address,
                               row.listener,
                               row.sop_class_uid,
                               row.sop_instance_uid,
                               row.study_instance_uid,
                               row.series_instance_uid,
                               row.transfer_syntax_uid,
                               static_cast<std::int64_t>(row.data_set_offset),
                               static_cast<std::int64_t>(row.data_set_length),
                               row.digest,
                               row.user_name,
                               row.other_bytes_of,
                               row.new_sop_instance_uid,
                               row.irregular_tags,
                               std::int64_t{row.has_file ? 1 : 0}});
  if (!inserted) return inserted;
  totals.add(total::kInstances, "", 1);
  return insert_deliveries(db, *sequence, deliveries, now, totals);
}

Result<void> make_ready(Connection& db, const Waiting& due) {
  return db.run(
      "UPDATE deliveries SET state = 'ready' "
      "WHERE delivery = ? AND state = 'deferred' AND next_attempt = ?",
      {due.delivery, due.next_attempt});
}

// Until none of those that are first is damaged. One that is ready again after it was held,
// or has another state or destination than was asked for, shows that the index names other
// rows than it says.
Result<std::vector<Entry>> claimable(Connection& db, std::string_view destination,
                                     std::size_t limit, Time now) {
  static const std::string sql = claimable_entries();
  std::set<std::int64_t> held;
  for (;;) {
    auto entries = read_entries(db, sql, {destination, static_cast<std::int64_t>(limit)});
    if (!entries) return entries;
    for (const Entry& entry : *entries) {
      const DeliveryRow& row = entry.entry.delivery;
      const bool was_asked_for =
          row.state == DeliveryState::ready && row.destination == destination;
      if (was_asked_for && (entry.is_sound || held.insert(entry.delivery).second)) continue;
      return failure(ErrorCode::corrupt,
                     "queue: an index is damaged; stop the gateway and restore the file, or let "
                     "sqlite3 do REINDEX");
    }
    const auto any = hold_damaged(db, *entries, DeliveryState::held, now);
    if (!any) return tl::unexpected(any.error());
    if (!*any) return entries;
  }
}

Result<std::vector<QueueEntry>> claim(Connection& db, std::string_view destination,
                                      std::size_t limit, Time now) {
  auto entries = claimable(db, destination, limit, now);
  if (!entries) return tl::unexpected(entries.error());
  std::vector<QueueEntry> claimed;
  claimed.reserve(entries->size());
  for (Entry& entry : *entries) {
    auto updated =
        db.run("UPDATE deliveries SET state = 'sending', updated_at = ? WHERE delivery = ?",
               {to_microseconds(now), entry.delivery});
    if (!updated) return tl::unexpected(updated.error());
    entry.entry.delivery.state = DeliveryState::sending;
    entry.entry.delivery.updated_at = now;
    claimed.push_back(std::move(entry.entry));
  }
  return claimed;
}

Result<Finished> finish(Connection& db, const Outcome& outcome, Time now, Totals& totals) {
  const bool deferred = outcome.state == DeliveryState::deferred;
  const auto wait = deferred ? std::max(outcome.retry_after, std::chrono::milliseconds{0})
                             : std::chrono::milliseconds{0};
  const std::int64_t next_attempt = deferred ? to_microseconds(now + wait) : 0;
  // `sending` would never end: what a caller cannot name, a person must look at.
  const DeliveryState state =
      outcome.state == DeliveryState::sending ? DeliveryState::held : outcome.state;
  auto updated = db.prepare(
      "UPDATE deliveries SET state = ?, reason = ?, status = ?, attempts = attempts + 1, "
      "failures = failures + ?, next_attempt = ?, retry_after_ms = ?, updated_at = ? "
      // The id twice: an index that is out of order finds another one.
      "WHERE instance = (SELECT sequence FROM instances WHERE id = ? AND id || '' = ?) "
      "AND destination = ? AND (? = '' OR route = ?) AND state = 'sending' RETURNING delivery, "
      "priority",
      {to_string(state), outcome.reason, outcome.status, outcome.counts_as_failure ? 1 : 0,
       next_attempt, wait.count(), to_microseconds(now), outcome.instance_id, outcome.instance_id,
       outcome.destination, outcome.route, outcome.route});
  if (!updated) return tl::unexpected(updated.error());
  Finished finished;
  for (;;) {
    const auto row = updated->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) break;
    ++finished.rows;
    if (deferred) {
      finished.waiting.push_back({outcome.destination, updated->integer(0),
                                  to_priority(updated->integer(1)), next_attempt, wait});
    }
  }
  if (finished.rows > 0 && outcome.is_damaged) {
    auto marked = db.run("UPDATE instances SET damaged = 1 WHERE id = ?", {outcome.instance_id});
    if (!marked) return tl::unexpected(marked.error());
  }
  if (finished.rows == 0 || !is_final(state)) return finished;
  totals.add(to_string(state), outcome.destination, finished.rows);
  // Whatever is not known to be final needs its file, a state that is damaged too.
  auto unfinished = db.prepare(
      "SELECT 1 FROM deliveries WHERE instance = (SELECT sequence FROM instances WHERE id = ?) AND "
      "state NOT IN ('delivered', 'dropped', 'discarded') LIMIT 1",
      {outcome.instance_id});
  if (!unfinished) return tl::unexpected(unfinished.error());
  const auto row = unfinished->step();
  if (!row) return tl::unexpected(row.error());
  finished.instance_done = !*row;
  return finished;
}

Result<void> release(Connection& db, std::string_view instance_id, std::string_view destination,
                     Time now) {
  return db.run(
      "UPDATE deliveries SET state = 'ready', updated_at = ? WHERE instance = "
      "(SELECT sequence FROM instances WHERE id = ?) AND destination = ? AND state = 'sending'",
      {to_microseconds(now), instance_id, destination});
}

Result<void> recover(Connection& db, Time now) {
  auto recovered =
      db.run("UPDATE deliveries SET state = 'ready', updated_at = ? WHERE state = 'sending'",
             {to_microseconds(now)});
  if (!recovered) return recovered;
  return db.run(
      "UPDATE deliveries SET reroute = 1 "
      "WHERE state = 'quarantined' AND destination = '' AND reroute = 2");
}

Result<std::vector<Waiting>> waiting(Connection& db, Time now) {
  auto statement = db.prepare(
      "SELECT destination, delivery, next_attempt, retry_after_ms, priority FROM deliveries "
      "WHERE state = 'deferred'");
  if (!statement) return tl::unexpected(statement.error());
  std::vector<Waiting> all;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    Waiting one{statement->text(0),
                statement->integer(1),
                to_priority(statement->integer(4)),
                statement->integer(2),
                {}};
    const std::int64_t left_ms = (one.next_attempt - to_microseconds(now)) / 1000;
    const std::int64_t whole_ms = std::max<std::int64_t>(0, statement->integer(3));
    one.left = std::chrono::milliseconds(std::clamp<std::int64_t>(left_ms, 0, whole_ms));
    all.push_back(std::move(one));
  }
}

// The wait of one that was refused grows with its own failures and says nothing of the rest.
Result<std::map<std::string, std::chrono::milliseconds>> longest_waits(Connection& db) {
  auto row = db.prepare(
      "SELECT destination, max(retry_after_ms) FROM deliveries "
      "WHERE state = 'deferred' AND failures = 0 GROUP BY destination");
  if (!row) return tl::unexpected(row.error());
  std::map<std::string, std::chrono::milliseconds> waits;
  for (;;) {
    const auto more = row->step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return waits;
    waits[row->text(0)] = std::chrono::milliseconds(row->integer(1));
  }
}

Result<std::vector<std::string>> unfinished_instances(Connection& db) {
  return read_texts(db,
                    "SELECT id FROM instances WHERE sequence IN (SELECT instance FROM deliveries "
                    "WHERE state IN ('ready', 'sending', 'deferred', 'held', 'quarantined')) "
                    "ORDER BY id");
}

Result<std::vector<std::string>> superfluous_files(Connection& db) {
  return read_texts(
      db,
      "SELECT id FROM instances i WHERE file = 1 AND EXISTS (SELECT 1 FROM deliveries "
      "d WHERE d.instance = i.sequence) AND NOT EXISTS (SELECT 1 FROM "
      "deliveries d WHERE d.instance = i.sequence AND d.state NOT IN "
      "('delivered', 'dropped', 'discarded'))");
}

Result<void> touch(Connection& db) {
  // Written whatever it was before.
  static const std::string sql = "PRAGMA user_version = " + std::to_string(kFormat.version());
  return db.run_script(sql);
}

Result<void> note_file_removed(Connection& db, std::string_view instance_id) {
  return db.run("UPDATE instances SET file = 0 WHERE id = ?", {instance_id});
}

}  // namespace sluice::rows
