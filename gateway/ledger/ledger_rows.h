// The ledger's tables and every SQL statement on them.
//
// Rows are only ever added. `scope` is the name of the filter that decided;
// recorded_at is microseconds since 1970 UTC.
//
// series_numbers     which number a series bears in the study it goes to
// merged_studies     which study a merge key leads to
// merged_attributes  and the study-level attributes of its first instance
// uid_replacements   which UID stands for which
// found_values       what was found outside for a key, a row whenever it changed; `since` is
//                    microseconds since 1970 UTC
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

// Queries that find a row whose checksum does not fit.
[[nodiscard]] std::vector<std::string> damaged_ledger_rows();

[[nodiscard]] Result<std::optional<std::int32_t>> find_number(Connection& db,
                                                              const SeriesNumberRequest& request);
[[nodiscard]] Result<bool> is_taken(Connection& db, const SeriesNumberRequest& request,
                                    std::int32_t number);
// The first free number >= `from`; nullopt when there is none.
[[nodiscard]] Result<std::optional<std::int32_t>> first_free(Connection& db,
                                                             const SeriesNumberRequest& request,
                                                             std::int32_t from);
[[nodiscard]] Result<void> insert_number(Connection& db, const SeriesNumberRequest& request,
                                         std::int32_t number, std::int64_t recorded_at);

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
