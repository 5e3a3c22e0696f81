// Rows that a person selects: list, retry, reroute, release, discard, forget.
#include "gateway/queue/queue_entry.h"
#include "gateway/queue/queue_rows.h"

namespace sluice::rows {
namespace {

using sqlite::Value;

struct Conditions {
  std::string sql;
  std::vector<Value> values;  // views into the filter
};

Conditions conditions_of(const QueueFilter& filter) {
  Conditions conditions{"1", {}};
  const auto require = [&](std::string_view column, const std::string& value) {
    if (value.empty()) return;
    conditions.sql += " AND " + std::string(column) + " = ?";
    conditions.values.emplace_back(value);
  };
  require("i.id", filter.instance_id);
  require("i.sop_instance_uid", filter.sop_instance_uid);
  require("d.destination", filter.destination);
  for (std::size_t n = 0; n < filter.states.size(); ++n) {
    conditions.sql += n == 0 ? " AND d.state IN (?" : ", ?";
    conditions.values.emplace_back(to_string(filter.states[n]));
  }
  if (!filter.states.empty()) conditions.sql += ")";
  if (filter.updated_before) {
    conditions.sql += " AND d.updated_at < ?";
    conditions.values.emplace_back(to_microseconds(*filter.updated_before));
  }
  return conditions;
}

// `assignments` has one question mark, for `first`.
Result<Changed> update(Connection& db, std::string_view assignments, Value first,
                       std::string_view rows, const Conditions& conditions, Time now) {
  std::vector<Value> values{first, to_microseconds(now)};
  values.insert(values.end(), conditions.values.begin(), conditions.values.end());
  auto statement = db.prepare(
      "UPDATE deliveries SET " + std::string(assignments) +
          ", updated_at = ? WHERE delivery IN (SELECT d.delivery FROM deliveries d "
          "JOIN instances i ON i.sequence = d.instance WHERE " +
          std::string(rows) + " AND " + conditions.sql + ") RETURNING destination, instance",
      values);
  if (!statement) return tl::unexpected(statement.error());
  Changed changed;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return changed;
    ++changed.rows;
    ++changed.destinations[statement->text(0)];
    changed.instances.insert(statement->integer(1));
  }
}

Result<bool> exists(Connection& db, std::string_view sql, const std::vector<Value>& values) {
  auto statement = db.prepare(sql, values);
  if (!statement) return tl::unexpected(statement.error());
  return statement->step();
}

Result<void> add_to_totals(Connection& db, std::string_view what,
                           const std::map<std::string, std::size_t>& destinations) {
  Totals totals;
  for (const auto& [destination, rows] : destinations) totals.add(what, destination, rows);
  return totals.write(db);
}

// What others take the place of, once the sums have it.
Result<std::size_t> remove_quarantined(Connection& db, std::string_view which, std::int64_t key) {
  auto removed = db.prepare("DELETE FROM deliveries WHERE state = 'quarantined' AND " +
                                std::string(which) + " = ? RETURNING destination",
                            {key});
  if (!removed) return tl::unexpected(removed.error());
  std::map<std::string, std::size_t> destinations;
  std::size_t rows = 0;
  for (;;) {
    const auto row = removed->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) break;
    ++destinations[removed->text(0)];
    ++rows;
  }
  if (auto counted = add_to_totals(db, total::kRerouted, destinations); !counted) {
    return tl::unexpected(counted.error());
  }
  return rows;
}

// Unless the instance has one for this destination, or for none by this route.
Result<void> add_if_new(Connection& db, std::int64_t instance, const DeliveryRow& delivery,
                        Time now, Changed& changed) {
  const auto kept = exists(db,
                           "SELECT 1 FROM deliveries WHERE instance = ? AND destination = ? "
                           "AND (? <> '' OR route = ?)",
                           {instance, delivery.destination, delivery.destination, delivery.route});
  if (!kept) return tl::unexpected(kept.error());
  if (*kept) return {};
  Totals totals;
  auto inserted = insert_deliveries(db, instance, {delivery}, now, totals);
  if (inserted) inserted = totals.write(db);
  if (!inserted) return inserted;
  ++changed.rows;
  ++changed.destinations[delivery.destination];
  return {};
}

// Whether another holds the UID is asked anew: it may have been discarded meanwhile. A
// new UID is given only to what nobody can have got under the old one.
Result<void> settle_again(Connection& db, const Entry& entry, std::vector<DeliveryRow>& deliveries,
                          const SameUidRules& rules) {
  InstanceRow instance = entry.entry.instance;
  const auto went =
      exists(db, "SELECT 1 FROM deliveries WHERE instance = ? AND state <> 'quarantined'",
             {entry.instance});
  if (!went) return tl::unexpected(went.error());
  SameUidRules today = rules;
  if (*went) today.new_uid = instance.new_sop_instance_uid;
  if (auto settled = settle_other_bytes(db, entry.instance, instance, deliveries, today);
      !settled) {
    return settled;
  }
  return keep_new_uid(db, entry.instance, instance);
}

}  // namespace

Result<std::vector<QueueEntry>> list(Connection& db, const QueueFilter& filter) {
  Conditions conditions = conditions_of(filter);
  conditions.values.emplace_back(static_cast<std::int64_t>(filter.limit));
  auto entries =
      read_entries(db, entries_where(conditions.sql + " ORDER BY d.instance, d.delivery LIMIT ?"),
                   conditions.values);
  if (!entries) return tl::unexpected(entries.error());
  std::vector<QueueEntry> found;
  found.reserve(entries->size());
  for (Entry& entry : *entries) found.push_back(std::move(entry.entry));
  return found;
}

Result<std::vector<Queue::Count>> counts(Connection& db) {
  auto statement =
      db.prepare("SELECT destination, state, count(*) FROM deliveries GROUP BY state, destination");
  if (!statement) return tl::unexpected(statement.error());
  std::vector<Queue::Count> all;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back({statement->text(0),
                   parse_delivery_state(statement->text(1)).value_or(DeliveryState::held),
                   static_cast<std::uint64_t>(statement->integer(2))});
  }
}

// The first in the order of receipt; the index has all that is looked at of each delivery.
Result<std::vector<Queue::Oldest>> oldest(Connection& db) {
  auto statement = db.prepare(
      "SELECT d.destination, d.state, d.count, i.id, i.received_at FROM "
      "(SELECT destination, state, count(*) AS count, min(instance) AS first FROM deliveries "
      "WHERE state IN ('ready', 'sending', 'deferred', 'held', 'quarantined') "
      "GROUP BY state, destination) d JOIN instances i ON i.sequence = d.first");
  if (!statement) return tl::unexpected(statement.error());
  std::vector<Queue::Oldest> all;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return all;
    all.push_back({statement->text(0),
                   parse_delivery_state(statement->text(1)).value_or(DeliveryState::held),
                   static_cast<std::uint64_t>(statement->integer(2)), statement->text(3),
                   to_time(statement->integer(4))});
  }
}

Result<Changed> retry(Connection& db, const QueueFilter& filter, Time now) {
  const Conditions conditions = conditions_of(filter);
  auto changed = update(db, "state = 'ready', failures = ?, next_attempt = 0, retry_after_ms = 0",
                        0, "d.state IN ('held', 'deferred', 'quarantined') AND d.destination <> ''",
                        conditions, now);
  if (!changed) return changed;
  auto marked = update(db, "failures = 0, reroute = ?", 1,
                       "d.state = 'quarantined' AND d.destination = ''", conditions, now);
  if (!marked) return marked;
  changed->rows += marked->rows;
  for (const std::int64_t instance : changed->instances) {
    // Whether the file is good will be seen again; a person may have mended it.
    auto forgiven = db.run("UPDATE instances SET damaged = 0 WHERE sequence = ?", {instance});
    if (!forgiven) return tl::unexpected(forgiven.error());
  }
  return changed;
}

Result<Changed> discard(Connection& db, const QueueFilter& filter, std::string_view reason,
                        Time now) {
  auto ended =
      update(db, "state = 'discarded', reason = ?", reason,
             "d.state IN ('ready', 'deferred', 'held', 'quarantined')", conditions_of(filter), now);
  if (!ended) return ended;
  if (auto counted = add_to_totals(db, "discarded", ended->destinations); !counted) {
    return tl::unexpected(counted.error());
  }
  return ended;
}

Result<bool> has_reroutes(Connection& db) {
  return exists(db,
                "SELECT 1 FROM deliveries "
                "WHERE state = 'quarantined' AND destination = '' AND reroute = 1 LIMIT 1",
                {});
}

Result<std::vector<QueueEntry>> claim_for_reroute(Connection& db, std::size_t limit, Time now) {
  // In the order of the index. One row per instance and priority: reroute() replaces all of an
  // instance that are quarantined.
  auto entries =
      read_entries(db,
                   entries_where("d.state = 'quarantined' AND d.destination = '' AND d.reroute = 1 "
                                 "GROUP BY d.priority, d.instance ORDER BY d.priority, d.instance "
                                 "LIMIT ?"),
                   {static_cast<std::int64_t>(limit)});
  if (!entries) return tl::unexpected(entries.error());
  // A damaged one rests on, and is not asked for again until the next retry.
  if (auto rests = hold_damaged(db, *entries, DeliveryState::quarantined, now); !rests) {
    return tl::unexpected(rests.error());
  }
  std::vector<QueueEntry> claimed;
  claimed.reserve(entries->size());
  std::set<std::int64_t> instances;
  for (Entry& entry : *entries) {
    if (!instances.insert(entry.instance).second) continue;
    auto taken =
        db.run("UPDATE deliveries SET reroute = 2 WHERE instance = ? AND state = 'quarantined'",
               {entry.instance});
    if (!taken) return tl::unexpected(taken.error());
    claimed.push_back(std::move(entry.entry));
  }
  return claimed;
}

Result<Changed> reroute(Connection& db, std::string_view instance_id,
                        std::vector<DeliveryRow> deliveries, const SameUidRules& rules, Time now) {
  const auto refuse = [&](std::string_view why) {
    return failure(ErrorCode::permanent,
                   "queue: instance " + std::string(instance_id) + " " + std::string(why));
  };
  if (deliveries.empty()) return refuse("has no delivery");
  auto found = read_entries(db, entries_where("i.id = ? LIMIT 1"), {instance_id});
  if (!found) return tl::unexpected(found.error());
  if (found->empty()) return refuse("is not known");
  const std::int64_t instance = found->front().instance;
  if (auto settled = settle_again(db, found->front(), deliveries, rules); !settled) {
    return tl::unexpected(settled.error());
  }
  const auto removed = remove_quarantined(db, "instance", instance);
  if (!removed) return tl::unexpected(removed.error());
  if (*removed == 0) return refuse("has nothing quarantined");
  Changed changed;
  changed.instances.insert(instance);
  for (const DeliveryRow& delivery : deliveries) {
    if (auto added = add_if_new(db, instance, delivery, now, changed); !added) {
      return tl::unexpected(added.error());
    }
  }
  return changed;
}

Result<Changed> release_quarantined(Connection& db, const QueueFilter& filter,
                                    const Queue::Release& release, Time now) {
  const Conditions conditions = conditions_of(filter);
  auto entries = read_entries(
      db, entries_where("d.state = 'quarantined' AND d.destination = '' AND " + conditions.sql),
      conditions.values);
  if (!entries) return tl::unexpected(entries.error());
  Changed changed;
  if (auto rests = hold_damaged(db, *entries, DeliveryState::quarantined, now); !rests) {
    return tl::unexpected(rests.error());
  }
  for (const Entry& entry : *entries) {
    DeliveryRow released = entry.entry.delivery;
    const std::vector<std::string> destinations = release.destinations(released.route);
    if (destinations.empty()) continue;
    const auto removed = remove_quarantined(db, "delivery", entry.delivery);
    if (!removed) return tl::unexpected(removed.error());
    released.state = DeliveryState::ready;
    released.released =
        "released by " + release.who + ": " + release.why + " (despite: " + released.reason + ")";
    released.reason.clear();
    Changed added;  // counts what is sent, not what was quarantined
    for (const std::string& destination : destinations) {
      released.destination = destination;
      if (auto one = add_if_new(db, entry.instance, released, now, added); !one) {
        return tl::unexpected(one.error());
      }
    }
    changed.destinations.merge(added.destinations);
    changed.instances.insert(entry.instance);
    ++changed.rows;
  }
  return changed;
}

Result<std::vector<std::string>> superfluous_files_of(Connection& db,
                                                      const std::set<std::int64_t>& instances) {
  std::vector<std::string> ids;
  for (const std::int64_t instance : instances) {
    auto found = db.prepare(
        "SELECT id FROM instances WHERE sequence = ? AND file = 1 AND NOT EXISTS (SELECT 1 FROM "
        "deliveries WHERE instance = sequence AND state NOT IN "
        "('delivered', 'dropped', 'discarded'))",
        {instance});
    if (!found) return tl::unexpected(found.error());
    const auto row = found->step();
    if (!row) return tl::unexpected(row.error());
    if (*row) ids.push_back(found->text(0));
  }
  return ids;
}

Result<std::vector<std::int64_t>> forgettable(Connection& db, Time before, std::size_t limit) {
  auto statement = db.prepare(
      "SELECT sequence FROM instances i WHERE received_at < ? AND file = 0 AND NOT EXISTS "
      "(SELECT 1 FROM deliveries d WHERE d.instance = i.sequence AND d.state NOT IN "
      "('delivered', 'dropped', 'discarded')) LIMIT ?",
      {to_microseconds(before), static_cast<std::int64_t>(limit)});
  if (!statement) return tl::unexpected(statement.error());
  std::vector<std::int64_t> sequences;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return sequences;
    sequences.push_back(statement->integer(0));
  }
}

Result<void> forget(Connection& db, const std::vector<std::int64_t>& sequences) {
  for (const std::int64_t sequence : sequences) {
    // Its deliveries go with it.
    if (auto gone = db.run("DELETE FROM instances WHERE sequence = ?", {sequence}); !gone) {
      return gone;
    }
  }
  return {};
}

}  // namespace sluice::rows
