// The rows of instances with one SOP Instance UID: same_uid.h as statements.
//
// An instance whose UID is new costs one look into instances_by_sop_instance_uid.
#include <algorithm>
#include <utility>

#include "gateway/queue/queue_entry.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {

std::optional<OtherBytes> parse_other_bytes(std::string_view text) {
  if (text == "deliver") return OtherBytes::deliver;
  if (text == "quarantine") return OtherBytes::quarantine;
  if (text == "new_uid") return OtherBytes::new_uid;
  return std::nullopt;
}

namespace rows {
namespace {

// Of one UID so many instances are looked at. Nobody has more, but for a sender that
// wants to keep the writer busy.
constexpr std::int64_t kMostOfOneUid = 200;

bool has_same_bytes(const InstanceRow& one, const InstanceRow& other) {
  return one.digest == other.digest && one.data_set_length == other.data_set_length &&
         one.sop_class_uid == other.sop_class_uid &&
         one.transfer_syntax_uid == other.transfer_syntax_uid;
}

// Every delivery of earlier instances with the same bytes, the latest instance first.
Result<std::vector<Entry>> same_bytes(Connection& db, const InstanceRow& instance) {
  static const std::string sql = entries_where(
      "i.sequence IN (SELECT sequence FROM instances WHERE sop_instance_uid = ? "
      "ORDER BY sequence DESC LIMIT ?) AND i.digest = ? ORDER BY i.sequence DESC, d.delivery");
  auto entries = read_entries(db, sql, {instance.sop_instance_uid, kMostOfOneUid, instance.digest});
  if (!entries) return entries;
  std::erase_if(*entries, [&](const Entry& entry) {
    // A damaged row is not relied on: it may name what was delivered elsewhere.
    return !entry.is_sound || !has_same_bytes(entry.entry.instance, instance);
  });
  return entries;
}

bool names(const std::vector<std::string>& ids, const std::string& id) {
  return std::ranges::find(ids, id) != ids.end();
}

// What the earlier deliveries of the same bytes leave to do.
class Earlier {
 public:
  Earlier(const std::vector<Entry>& entries, const SameUidRules& rules, Time now)
      : entries_(entries), rules_(rules), now_(now) {}

  // Nothing is left to do for this one: it waits or rests already, or is done.
  [[nodiscard]] bool serves(const DeliveryRow& wanted) {
    return std::ranges::any_of(entries_, [&](const Entry& entry) {
      const DeliveryRow& delivery = entry.entry.delivery;
      if (!answers(delivery, wanted)) return false;
      switch (delivery.state) {
        case DeliveryState::ready:
        case DeliveryState::sending:
        case DeliveryState::deferred:
        case DeliveryState::quarantined:
          return relies_on(entry.entry.instance);
        case DeliveryState::delivered:
        case DeliveryState::dropped:
          return delivery.updated_at >= now_ - rules_.window;
        default:
          return false;
      }
    });
  }

  // Whose place a delivery that none serves takes.
  [[nodiscard]] bool replaces(const DeliveryRow& wanted, const Entry& entry) const {
    const DeliveryRow& delivery = entry.entry.delivery;
    if (wanted.destination.empty() || entry.entry.instance.is_damaged ||
        names(rules_.unsound, entry.entry.instance.id)) {
      return false;
    }
    if (delivery.state == DeliveryState::held) return delivery.destination == wanted.destination;
    return delivery.state == DeliveryState::quarantined && delivery.destination.empty() &&
           (delivery.route.empty() || delivery.route == wanted.route);
  }

  [[nodiscard]] const std::vector<std::string>& to_check() const { return to_check_; }

 private:
  // The same place: a destination, a route's quarantine or drop, or where a person let go
  // what the route would quarantine again.
  static bool answers(const DeliveryRow& delivery, const DeliveryRow& wanted) {
    if (!wanted.destination.empty()) return delivery.destination == wanted.destination;
    if (delivery.route != wanted.route) return false;
    if (delivery.destination.empty()) return delivery.state == wanted.state;
    return wanted.state == DeliveryState::quarantined && !delivery.released.empty();
  }

  // What waits in a damaged file will not be delivered: the new one is needed.
  [[nodiscard]] bool relies_on(const InstanceRow& instance) {
    if (instance.is_damaged || names(rules_.unsound, instance.id)) return false;
    if (!names(rules_.sound, instance.id) && !names(to_check_, instance.id)) {
      to_check_.push_back(instance.id);
    }
    return true;
  }

  const std::vector<Entry>& entries_;
  const SameUidRules& rules_;
  Time now_;
  std::vector<std::string> to_check_;
};

// One that the running gateway is routing anew stays: it is under way.
Result<void> replace_all(Connection& db, const std::vector<Entry>& same, const std::string& by,
                         const std::vector<DeliveryRow>& deliveries, const Earlier& earlier,
                         Time now, AddedRows& made, Totals& totals) {
  for (const Entry& entry : same) {
    const bool replaced = std::ranges::any_of(
        deliveries, [&](const DeliveryRow& row) { return earlier.replaces(row, entry); });
    if (!replaced) continue;
    auto ended = db.run(
        "UPDATE deliveries SET state = 'discarded', updated_at = ?, reason = 'sent again as ' || ? "
        "|| ', which took its place; before: ' || reason WHERE delivery = ? AND reroute = 0",
        {to_microseconds(now), by, entry.delivery});
    if (!ended) return ended;
    if (db.changed_rows() == 0) continue;
    totals.add(total::kReplaced, entry.entry.delivery.destination, 1);
    ++made.added.replaced;
    made.replaced.insert(entry.instance);
  }
  return {};
}

Result<void> count_again(Connection& db, std::int64_t instance, Time now) {
  return db.run(
      "UPDATE instances SET sent_again = sent_again + 1, sent_again_at = ? WHERE sequence = ?",
      {to_microseconds(now), instance});
}

// Quarantined by each route that would have sent it, so that it can be released there.
void quarantine(std::vector<DeliveryRow>& deliveries, const std::string& first) {
  std::vector<DeliveryRow> kept;
  for (DeliveryRow& delivery : deliveries) {
    if (!delivery.destination.empty()) {
      delivery.destination.clear();
      delivery.state = DeliveryState::quarantined;
      delivery.reason = "other bytes than " + first + ", which has this SOP Instance UID";
    }
    const bool is_there = std::ranges::any_of(kept, [&](const DeliveryRow& one) {
      return one.destination.empty() && one.route == delivery.route;
    });
    if (!is_there) kept.push_back(std::move(delivery));
  }
  deliveries = std::move(kept);
}

// The one that holds the UID: the first that goes or went somewhere. One that was
// flagged itself and rests holds nothing; else two that rest would block each other.
Result<std::optional<InstanceRow>> holder(Connection& db, std::int64_t sequence,
                                          std::string_view sop_instance_uid) {
  static const std::string sql = entries_where(
      "i.sequence IN (SELECT sequence FROM instances WHERE sop_instance_uid = ? "
      "ORDER BY sequence LIMIT ?) AND i.sequence <> ? AND i.new_sop_instance_uid = '' "
      "AND d.state NOT IN ('dropped', 'discarded') "
      "AND (i.other_bytes_of = '' OR d.state <> 'quarantined') ORDER BY i.sequence LIMIT 1");
  auto found = read_entries(db, sql, {sop_instance_uid, kMostOfOneUid, sequence});
  if (!found) return tl::unexpected(found.error());
  if (found->empty()) return std::nullopt;
  return std::move(found->front().entry.instance);
}

}  // namespace

Result<bool> is_known(Connection& db, std::string_view sop_instance_uid) {
  auto statement =
      db.prepare("SELECT 1 FROM instances WHERE sop_instance_uid = ? LIMIT 1", {sop_instance_uid});
  if (!statement) return tl::unexpected(statement.error());
  return statement->step();
}

Result<std::vector<std::string>> read_texts(Connection& db, std::string_view sql,
                                            const std::vector<sqlite::Value>& values) {
  auto statement = db.prepare(sql, values);
  if (!statement) return tl::unexpected(statement.error());
  std::vector<std::string> texts;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return texts;
    texts.push_back(statement->text(0));
  }
}

Result<std::vector<std::string>> known_uids(Connection& db, std::string_view behind,
                                            std::size_t limit) {
  return read_texts(db,
                    "SELECT DISTINCT sop_instance_uid FROM instances WHERE sop_instance_uid > ? "
                    "ORDER BY sop_instance_uid LIMIT ?",
                    {behind, static_cast<std::int64_t>(limit)});
}

Result<bool> has_instance(Connection& db, std::string_view id) {
  auto statement = db.prepare("SELECT 1 FROM instances WHERE id = ?", {id});
  if (!statement) return tl::unexpected(statement.error());
  return statement->step();
}

Result<void> settle_other_bytes(Connection& db, std::int64_t sequence, InstanceRow& instance,
                                std::vector<DeliveryRow>& deliveries, const SameUidRules& rules) {
  auto first = holder(db, sequence, instance.sop_instance_uid);
  if (!first) return tl::unexpected(first.error());
  instance.other_bytes_of =
      *first && !has_same_bytes(**first, instance) ? (*first)->id : std::string();
  if (instance.other_bytes_of.empty() && !rules.had_new_uid) {
    instance.new_sop_instance_uid.clear();
    return {};
  }
  switch (rules.other_bytes) {
    case OtherBytes::deliver:
      break;
    case OtherBytes::quarantine:
      if (!instance.other_bytes_of.empty()) quarantine(deliveries, instance.other_bytes_of);
      break;
    case OtherBytes::new_uid:
      instance.new_sop_instance_uid = rules.new_uid;
      break;
  }
  return {};
}

// First what destinations have is taken off, then the rules for other bytes speak about
// the rest, then what rests already by those rules is taken off too: so one that was
// released from its quarantine serves the destinations it went to.
Result<AddedRows> add_unless_known(Connection& db, InstanceRow instance,
                                   std::vector<DeliveryRow> deliveries, const SameUidRules& rules,
                                   Time now, Totals& totals) {
  AddedRows made;
  std::vector<Entry> same;
  const auto known = is_known(db, instance.sop_instance_uid);
  if (!known) return tl::unexpected(known.error());
  if (*known && rules.window > std::chrono::milliseconds(0)) {
    auto found = same_bytes(db, instance);
    if (!found) return tl::unexpected(found.error());
    same = std::move(*found);
  }
  Earlier earlier(same, rules, now);
  const auto is_served = [&](const DeliveryRow& row) { return earlier.serves(row); };
  std::erase_if(deliveries, is_served);
  if (!deliveries.empty() && (*known || rules.had_new_uid)) {
    if (auto settled = settle_other_bytes(db, 0, instance, deliveries, rules); !settled) {
      return tl::unexpected(settled.error());
    }
    std::erase_if(deliveries, is_served);
    made.added.other_bytes_of = instance.other_bytes_of;
  }
  made.added.to_check = earlier.to_check();
  if (!made.added.to_check.empty()) return made;
  if (!same.empty()) {
    made.added.same_as = same.front().entry.instance.id;
    made.added.is_duplicate = deliveries.empty();
    auto done = count_again(db, same.front().instance, now);
    if (done) done = replace_all(db, same, instance.id, deliveries, earlier, now, made, totals);
    if (!done) return tl::unexpected(done.error());
    if (made.added.is_duplicate) return made;
  }
  if (auto added = add(db, instance, deliveries, now, totals); !added) {
    return tl::unexpected(added.error());
  }
  made.deliveries = std::move(deliveries);
  return made;
}

}  // namespace rows
}  // namespace sluice
