#include "gateway/ledger/series_rows.h"

#include <string>

namespace sluice::rows {
namespace {

// "Modality=CT\nPatientID=4711\n": a line each, so that a person can read the table too.
std::string to_text(const SeriesAttributes& attributes) {
  std::string text;
  for (const auto& [name, value] : attributes) {
    text += name;
    text += '=';
    for (const char c : value) {
      if (c == '\\' || c == '\n') text += '\\';
      text += c == '\n' ? 'n' : c;
    }
    text += '\n';
  }
  return text;
}

SeriesAttributes to_attributes(const std::string& text) {
  SeriesAttributes attributes;
  std::string name;
  std::string part;  // the name, then the value
  bool is_value = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      attributes[name] = part;
      part.clear();
      is_value = false;
    } else if (c == '=' && !is_value) {
      name = part;
      part.clear();
      is_value = true;
    } else if (c == '\\' && is_value && at + 1 < text.size()) {
      ++at;
      part += text[at] == 'n' ? '\n' : text[at];
    } else {
      part += c;
    }
  }
  return attributes;
}

}  // namespace

Result<std::optional<SeriesAttributes>> find_series_identity(Connection& db, std::string_view scope,
                                                             std::string_view series) {
  auto statement = db.prepare(
      "SELECT attributes, checksum = row_sum(?1, ?2, attributes, sop_instance, recorded_at) "
      "FROM series_identities WHERE scope = ?1 AND series = ?2",
      {scope, series});
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (auto sound = check_ledger_row(*statement, 1, "series_identities"); !sound) {
    return tl::unexpected(sound.error());
  }
  return to_attributes(statement->text(0));
}

Result<void> insert_series_identity(Connection& db, const SeriesIdentity& identity,
                                    std::int64_t recorded_at) {
  const std::string attributes = to_text(identity.attributes);
  return db.run(
      "INSERT INTO series_identities(scope, series, attributes, sop_instance, recorded_at, "
      "checksum) VALUES (?1,?2,?3,?4,?5,row_sum(?1,?2,?3,?4,?5))",
      {identity.scope, identity.series_instance_uid, attributes, identity.sop_instance_uid,
       recorded_at});
}

Result<bool> has_series_suspect(Connection& db, const SeriesSuspect& suspect) {
  const std::string other = to_text(suspect.other);
  auto statement = db.prepare(
      "SELECT 1 FROM series_suspects WHERE scope = ? AND series = ? AND other = ? AND "
      "instance_limit = ?",
      {suspect.scope, suspect.series_instance_uid, other, suspect.limit});
  if (!statement) return tl::unexpected(statement.error());
  return statement->step();
}

Result<void> insert_series_suspect(Connection& db, const SeriesSuspect& suspect,
                                   std::int64_t recorded_at) {
  const std::string first = to_text(suspect.first);
  const std::string other = to_text(suspect.other);
  return db.run(
      "INSERT INTO series_suspects(scope, series, other, instance_limit, first, sop_instance, "
      "outcome, recorded_at, checksum) "
      "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,row_sum(?1,?2,?3,?4,?5,?6,?7,?8))",
      {suspect.scope, suspect.series_instance_uid, other, suspect.limit, first,
       suspect.sop_instance_uid, suspect.outcome, recorded_at});
}

Result<std::vector<SeriesSuspect>> series_suspects(Connection& db, std::int64_t since) {
  std::vector<SeriesSuspect> found;
  {
    auto table = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'series_suspects'");
    if (!table) return tl::unexpected(table.error());
    const auto is_there = table->step();
    if (!is_there) return tl::unexpected(is_there.error());
    if (!*is_there) return found;
  }
  auto statement = db.prepare(
      "SELECT scope, series, sop_instance, first, other, instance_limit, outcome, recorded_at, "
      "checksum = row_sum(scope, series, other, instance_limit, first, sop_instance, outcome, "
      "recorded_at) FROM series_suspects WHERE recorded_at >= ? ORDER BY recorded_at",
      {since});
  if (!statement) return tl::unexpected(statement.error());
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return found;
    if (auto sound = check_ledger_row(*statement, 8, "series_suspects"); !sound) {
      return tl::unexpected(sound.error());
    }
    found.push_back({statement->text(0), statement->text(1), statement->text(2),
                     to_attributes(statement->text(3)), to_attributes(statement->text(4)),
                     statement->integer(5), statement->text(6),
                     recorded_time(statement->integer(7))});
  }
}

Result<std::optional<StoredSeriesCount>> find_series_count(Connection& db,
                                                           const SeriesCountRequest& request) {
  auto statement = db.prepare(
      "SELECT instances, counted_until, instance_limit, reached_at, checksum = row_sum(?1, ?2, "
      "?3, instances, counted_until, instance_limit, reached_at) "
      "FROM series_counts WHERE scope = ?1 AND series = ?2 AND modality = ?3",
      {request.scope, request.series_instance_uid, request.modality});
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (auto sound = check_ledger_row(*statement, 4, "series_counts"); !sound) {
    return tl::unexpected(sound.error());
  }
  return StoredSeriesCount{statement->integer(0), statement->integer(1), statement->integer(2),
                           statement->integer(3)};
}

Result<void> write_series_count(Connection& db, const SeriesCountRequest& request,
                                const StoredSeriesCount& count) {
  return db.run(
      "INSERT INTO series_counts(scope, series, modality, instances, counted_until, "
      "instance_limit, reached_at, checksum) "
      "VALUES (?1,?2,?3,?4,?5,?6,?7,row_sum(?1,?2,?3,?4,?5,?6,?7)) "
      "ON CONFLICT(scope, series, modality) DO UPDATE SET instances = excluded.instances, "
      "counted_until = excluded.counted_until, instance_limit = excluded.instance_limit, "
      "reached_at = excluded.reached_at, checksum = excluded.checksum "
      "WHERE excluded.instances > instances OR excluded.instance_limit > instance_limit",
      {request.scope, request.series_instance_uid, request.modality, count.instances,
       count.counted_until, count.limit, count.reached_at});
}

}  // namespace sluice::rows
