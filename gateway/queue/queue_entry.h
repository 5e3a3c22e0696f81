// How rows become values and values rows; for the files queue_*.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/sqlite.h"
#include "gateway/queue/queue.h"
#include "gateway/queue/queue_rows.h"

namespace sluice::rows {

struct Entry {
  QueueEntry entry;
  std::int64_t delivery = 0;  // deliveries.delivery
  std::int64_t instance = 0;  // instances.sequence
  bool is_sound = true;       // the checksums of both rows fit
};

[[nodiscard]] Time to_time(std::int64_t microseconds);

// A query for read_entries(). Tables: i is instances, d is deliveries.
[[nodiscard]] std::string entries_where(std::string_view conditions);

// Of a destination, the first so many in the order in which they are claimed: by
// deliveries_by_state alone, however many wait.
[[nodiscard]] std::string claimable_entries();

[[nodiscard]] Result<std::vector<Entry>> read_entries(sqlite::Connection& db, std::string_view sql,
                                                      const std::vector<sqlite::Value>& values);

// All that a query gives in its first column.
[[nodiscard]] Result<std::vector<std::string>> read_texts(
    sqlite::Connection& db, std::string_view sql, const std::vector<sqlite::Value>& values = {});

// Of the two rows that i and d stand for, in SQL: whether their checksums fit.
[[nodiscard]] std::string entry_is_sound();
// For a row of instances, of which these columns are given in their order, and `file` behind
// them; the checksum is made.
[[nodiscard]] std::string insert_instance();
// Behind each change of an instance's columns that have a sum; a delivery's never change.
[[nodiscard]] Result<void> set_checksum(sqlite::Connection& db, std::int64_t sequence);

// Takes those whose rows are damaged out of `entries`: they rest in this state, for that
// reason. Never sent, and never deleted: the file stays in the spool. True when there was
// one.
[[nodiscard]] Result<bool> hold_damaged(sqlite::Connection& db, std::vector<Entry>& entries,
                                        DeliveryState state, Time now);

// Sets the two columns of the instance that may change later.
[[nodiscard]] Result<void> keep_new_uid(sqlite::Connection& db, std::int64_t sequence,
                                        const InstanceRow& instance);

[[nodiscard]] Result<void> insert_deliveries(sqlite::Connection& db, std::int64_t instance,
                                             const std::vector<DeliveryRow>& deliveries, Time now,
                                             Totals& totals);

}  // namespace sluice::rows
