// The ledger's tables and every SQL statement on them.
//
// Rows are only ever added, but for series_counts, whose rows grow. `scope` is the name of the
// filter that decided; recorded_at is microseconds since 1970 UTC.
//
// series_numbers     which number a series bears in the study it goes to
// instance_numbers   which number an instance bears in the series it goes to
// merged_studies     which study a merge key leads to
// merged_attributes  and the study-level attributes of its first instance
// uid_replacements   which UID stands for which
// found_values       what was found outside for a key, a row whenever it changed; `since` is
//                    microseconds since 1970 UTC
// series_identities  what a series had when it was first seen, a line for each attribute
// series_suspects    what was seen under its UID that differs: `other`, and what `first` had in
//                    its place; or that it has more than instance_limit instances
// series_counts      how many instances a series had when the row was last written, and when its
//                    limit was reached (series_count.h)
//
// checksum           of each: row_sum() of all other columns, since SQLite does not see a bit
//                    that changes in a value. It is checked where a row is read for a
//                    decision (corrupt), and in all rows at each start.
//
// Format 3 (PRAGMA user_version); application_id is "SLLE".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/sqlite.h"
#include "gateway/ledger/ledger.h"

namespace sluice::rows {

using sqlite::Connection;

extern const sqlite::Format kLedgerFormat;

// Of the row that a statement is at: whether its column `sound` is true, else corrupt. The sums
// are made with the key that was asked for: in an index that is out of order SQLite finds others.
[[nodiscard]] Result<void> check_ledger_row(const sqlite::Statement& row, int sound,
                                            std::string_view table);

[[nodiscard]] Time recorded_time(std::int64_t microseconds);

// Queries that find a row whose checksum does not fit.
[[nodiscard]] std::vector<std::string> damaged_ledger_rows();

// What has a number that is unique in its group: a series in a study, an instance in a
// series. The request must outlive it.
struct NumberTable {
  std::string_view name;
  std::string_view number;  // what an error calls it
  std::string_view group;   // and its group
  std::string_view find;    // the SQL of each function below
  std::string_view is_taken;
  std::string_view first_free;
  std::string_view insert;
};
struct Numbered {
  Numbered(const SeriesNumberRequest& request);
  Numbered(const InstanceNumberRequest& request);

  const NumberTable& table;
  std::string_view scope;
  std::string_view group;
  std::string_view member;
};

[[nodiscard]] Result<std::optional<std::int32_t>> find_number(Connection& db, const Numbered& one);
[[nodiscard]] Result<bool> is_taken(Connection& db, const Numbered& one, std::int32_t number);
// The first free number >= `from`; nullopt when there is none.
[[nodiscard]] Result<std::optional<std::int32_t>> first_free(Connection& db, const Numbered& one,
                                                             std::int32_t from);
[[nodiscard]] Result<void> insert_number(Connection& db, const Numbered& one, std::int32_t number,
                                         std::int64_t recorded_at);

[[nodiscard]] Result<std::optional<MergedStudy>> find_study(Connection& db, std::string_view scope,
                                                            std::string_view key);
[[nodiscard]] Result<void> insert_study(Connection& db, std::string_view scope,
                                        std::string_view key, const MergedStudy& study,
                                        std::int64_t recorded_at);

struct FirstReplacement {
  std::string after;
  std::int64_t recorded_at = 0;
};
[[nodiscard]] Result<std::optional<FirstReplacement>> find_first_replacement(
    Connection& db, std::string_view scope, std::string_view before);
[[nodiscard]] Result<bool> has_replacement(Connection& db, std::string_view scope,
                                           std::string_view before, std::string_view after);
// Whether the scope replaces `before` with `after`; nullopt when that is to be decided yet.
[[nodiscard]] Result<std::optional<bool>> find_replaces(Connection& db, std::string_view scope,
                                                        std::string_view before,
                                                        std::string_view after);
struct Original {
  std::string before;
  std::int64_t recorded_at = 0;
};
// What the scope replaced with `after`, the first two.
[[nodiscard]] Result<std::vector<Original>> find_originals(Connection& db, std::string_view scope,
                                                           std::string_view after);
[[nodiscard]] Result<void> insert_replacement(Connection& db, const UidReplacement& replacement,
                                              std::int64_t recorded_at);
// The latest recorded_at of a replacement; 0 when there is none.
[[nodiscard]] Result<std::int64_t> last_recorded(Connection& db);
[[nodiscard]] Result<std::vector<UidReplacement>> lookup(Connection& db, std::string_view uid);

struct RememberedValue {
  std::string value;
  std::int64_t since = 0;
};
[[nodiscard]] Result<std::optional<RememberedValue>> find_latest_value(Connection& db,
                                                                       std::string_view scope,
                                                                       std::string_view key);
// The last one before this time, else the first one.
[[nodiscard]] Result<std::optional<RememberedValue>> find_value_before(Connection& db,
                                                                       std::string_view scope,
                                                                       std::string_view key,
                                                                       std::int64_t time);
[[nodiscard]] Result<void> insert_value(Connection& db, std::string_view scope,
                                        std::string_view key, const RememberedValue& value);
// The latest `since`; 0 when there is none.
[[nodiscard]] Result<std::int64_t> latest_value(Connection& db);

}  // namespace sluice::rows
