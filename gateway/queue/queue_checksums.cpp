// Sums of rows: made where a row is written, compared where it is read.
#include <array>
#include <span>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/queue/queue_entry.h"
#include "gateway/queue/queue_rows.h"

namespace sluice::rows {
namespace {

constexpr std::string_view kDamagedRow =
    "its row in the queue is not what was written: the disk or the memory changed it";

// The columns that a checksum is of, in its order: what an instance is, and where it goes.
constexpr std::array<std::string_view, 19> kInstanceSum = {"sequence",
                                                           "id",
                                                           "received_at",
                                                           "calling_ae_title",
                                                           "called_ae_title",
                                                           "peer_address",
                                                           "listener",
                                                           "sop_class_uid",
                                                           "sop_instance_uid",
                                                           "study_instance_uid",
                                                           "series_instance_uid",
                                                           "transfer_syntax_uid",
                                                           "data_set_offset",
                                                           "data_set_length",
                                                           "digest",
                                                           "user_name",
                                                           "other_bytes_of",
                                                           "new_sop_instance_uid",
                                                           "irregular_tags"};
constexpr std::array<std::string_view, 5> kDeliverySum = {"instance", "route", "destination",
                                                          "released", "priority"};

std::string sum_of(std::string_view table, std::span<const std::string_view> columns) {
  std::string sql;
  for (const std::string_view column : columns) {
    sql += (sql.empty() ? "row_sum(" : ", ") + std::string(table) + "." + std::string(column);
  }
  return sql + ")";
}

std::string is_sound(std::string_view table, std::span<const std::string_view> columns) {
  return std::string(table) + ".checksum = " + sum_of(table, columns);
}

}  // namespace

std::string insert_instance() {
  std::string columns;
  std::string values;
  for (std::size_t n = 0; n < kInstanceSum.size(); ++n) {
    columns += std::string(kInstanceSum[n]) + ", ";
    values += (n == 0 ? "?" : ", ?") + std::to_string(n + 1);
  }
  return "INSERT INTO instances(" + columns + "checksum, file) VALUES (" + values + ", row_sum(" +
         values + "), ?" + std::to_string(kInstanceSum.size() + 1) + ")";
}

std::string entry_is_sound() {
  return is_sound("i", kInstanceSum) + " AND " + is_sound("d", kDeliverySum);
}

Result<void> set_checksum(Connection& db, std::int64_t sequence) {
  static const std::string sql =
      "UPDATE instances SET checksum = " + sum_of("instances", kInstanceSum) +
      " WHERE sequence = ?";
  return db.run(sql, {sequence});
}

Result<void> keep_new_uid(Connection& db, std::int64_t sequence, const InstanceRow& instance) {
  auto set =
      db.run("UPDATE instances SET other_bytes_of = ?, new_sop_instance_uid = ? WHERE sequence = ?",
             {instance.other_bytes_of, instance.new_sop_instance_uid, sequence});
  if (!set) return set;
  return set_checksum(db, sequence);
}

std::vector<std::string> damaged_rows() {
  return {"SELECT 'instance ' || id || ': its row changed on disk' FROM instances WHERE NOT " +
              is_sound("instances", kInstanceSum) + " LIMIT 1",
          "SELECT 'delivery ' || delivery || ': its row changed on disk' FROM deliveries WHERE "
          "NOT " +
              is_sound("deliveries", kDeliverySum) + " LIMIT 1",
          "SELECT 'delivery ' || delivery || ': its instance is gone' FROM deliveries d WHERE NOT "
          "EXISTS (SELECT 1 FROM instances i WHERE i.sequence = d.instance) LIMIT 1"};
}

Result<bool> hold_damaged(Connection& db, std::vector<Entry>& entries, DeliveryState state,
                          Time now) {
  const auto is_damaged = [](const Entry& entry) { return !entry.is_sound; };
  for (const Entry& entry : entries) {
    if (!is_damaged(entry)) continue;
    auto held = db.run(
        "UPDATE deliveries SET state = ?, reason = ?, reroute = 0, updated_at = ? "
        "WHERE delivery = ?",
        {to_string(state), kDamagedRow, to_microseconds(now), entry.delivery});
    if (!held) return tl::unexpected(held.error());
    count("sluice_queue_errors_total", {{"reason", "damaged row"}});
    log::error("a row of the queue changed on disk: what it says is not sent",
               {{"id", entry.entry.instance.id},
                {"destination", entry.entry.delivery.destination},
                {"advice", "check disk and memory; send the image again from the modality"}});
  }
  return std::erase_if(entries, is_damaged) > 0;
}

}  // namespace sluice::rows
