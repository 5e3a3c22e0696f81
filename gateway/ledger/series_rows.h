// SQL on the tables of what is known of series: see ledger_rows.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gateway/ledger/ledger_rows.h"
#include "gateway/ledger/series_count.h"

namespace sluice::rows {

[[nodiscard]] Result<std::optional<SeriesAttributes>> find_series_identity(Connection& db,
                                                                           std::string_view scope,
                                                                           std::string_view series);
[[nodiscard]] Result<void> insert_series_identity(Connection& db, const SeriesIdentity& identity,
                                                  std::int64_t recorded_at);

[[nodiscard]] Result<bool> has_series_suspect(Connection& db, const SeriesSuspect& suspect);
[[nodiscard]] Result<void> insert_series_suspect(Connection& db, const SeriesSuspect& suspect,
                                                 std::int64_t recorded_at);
// Oldest first; none where a file of an older version has no such table.
[[nodiscard]] Result<std::vector<SeriesSuspect>> series_suspects(Connection& db,
                                                                 std::int64_t since);

[[nodiscard]] Result<std::optional<StoredSeriesCount>> find_series_count(
    Connection& db, const SeriesCountRequest& request);
// Never by a smaller count.
[[nodiscard]] Result<void> write_series_count(Connection& db, const SeriesCountRequest& request,
                                              const StoredSeriesCount& count);

}  // namespace sluice::rows
