#include "gateway/ledger/ledger_rows.h"

#include <array>
#include <limits>

namespace sluice::rows {
namespace {

// Only rows that are asked for by their key: WITHOUT ROWID spares a second tree.
constexpr std::string_view kSchema = R"(
CREATE TABLE series_numbers(
  scope TEXT NOT NULL,
  study TEXT NOT NULL,
  series TEXT NOT NULL,
  number INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (scope, study, series)
) WITHOUT ROWID;
CREATE UNIQUE INDEX series_numbers_by_number ON series_numbers(scope, study, number);
CREATE TABLE merged_studies(
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  study TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE TABLE merged_attributes(
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (scope, key, name),
  FOREIGN KEY (scope, key) REFERENCES merged_studies(scope, key)
) WITHOUT ROWID;
CREATE TABLE uid_replacements(
  before TEXT NOT NULL,
  scope TEXT NOT NULL,
  after TEXT NOT NULL,
  reason TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (before, scope, after)
) WITHOUT ROWID;
CREATE INDEX uid_replacements_by_after ON uid_replacements(after);
)";

// Each from one version to the next; never changed once released, only added to.
constexpr std::array<std::string_view, 2> kLedgerSteps = {
    // 2: sums of the rows
    R"(
ALTER TABLE series_numbers ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE merged_studies ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE merged_attributes ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uid_replacements ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE series_numbers SET checksum = row_sum(scope, study, series, number, recorded_at);
UPDATE merged_studies SET checksum = row_sum(scope, key, study, recorded_at);
UPDATE merged_attributes SET checksum = row_sum(scope, key, name, value);
UPDATE uid_replacements SET checksum = row_sum(before, scope, after, reason, recorded_at))",
    // 3: numbers of instances, values found outside, what is known of series
    R"(
CREATE TABLE instance_numbers(
  scope TEXT NOT NULL,
  series TEXT NOT NULL,
  instance TEXT NOT NULL,
  number INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (scope, series, instance)
) WITHOUT ROWID;
CREATE UNIQUE INDEX instance_numbers_by_number ON instance_numbers(scope, series, number);
CREATE TABLE found_values(
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  since INTEGER NOT NULL,
  value TEXT NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (scope, key, since)
) WITHOUT ROWID;
CREATE TABLE series_identities(
  scope TEXT NOT NULL,
  series TEXT NOT NULL,
  attributes TEXT NOT NULL,
  sop_instance TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (scope, series)
) WITHOUT ROWID;
CREATE TABLE series_suspects(
  scope TEXT NOT NULL,
  series TEXT NOT NULL,
  other TEXT NOT NULL,
  instance_limit INTEGER NOT NULL,
  first TEXT NOT NULL,
  sop_instance TEXT NOT NULL,
  outcome TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (scope, series, other, instance_limit)
) WITHOUT ROWID;
CREATE INDEX series_suspects_by_time ON series_suspects(recorded_at);
CREATE TABLE series_counts(
  scope TEXT NOT NULL,
  series TEXT NOT NULL,
  modality TEXT NOT NULL,
  instances INTEGER NOT NULL,
  counted_until INTEGER NOT NULL,
  instance_limit INTEGER NOT NULL,
  reached_at INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (scope, series, modality)
) WITHOUT ROWID)",
};

constexpr NumberTable kSeriesNumbers{
    "series_numbers",
    "series number",
    "study",
    "SELECT number, checksum = row_sum(?1, ?2, ?3, number, recorded_at) "
    "FROM series_numbers WHERE scope = ?1 AND study = ?2 AND series = ?3",
    "SELECT 1 FROM series_numbers WHERE scope = ? AND study = ? AND number = ?",
    "SELECT number FROM series_numbers WHERE scope = ? AND study = ? AND number >= ? "
    "ORDER BY number",
    "INSERT INTO series_numbers(scope, study, series, number, recorded_at, checksum) "
    "VALUES (?1,?2,?3,?4,?5,row_sum(?1,?2,?3,?4,?5))",
};

constexpr NumberTable kInstanceNumbers{
    "instance_numbers",
    "instance number",
    "series",
    "SELECT number, checksum = row_sum(?1, ?2, ?3, number, recorded_at) "
    "FROM instance_numbers WHERE scope = ?1 AND series = ?2 AND instance = ?3",
    "SELECT 1 FROM instance_numbers WHERE scope = ? AND series = ? AND number = ?",
    "SELECT number FROM instance_numbers WHERE scope = ? AND series = ? AND number >= ? "
    "ORDER BY number",
    "INSERT INTO instance_numbers(scope, series, instance, number, recorded_at, checksum) "
    "VALUES (?1,?2,?3,?4,?5,row_sum(?1,?2,?3,?4,?5))",
};

Result<bool> exists(Connection& db, std::string_view sql,
                    const std::vector<sqlite::Value>& values) {
  auto statement = db.prepare(sql, values);
  if (!statement) return tl::unexpected(statement.error());
  return statement->step();
}

}  // namespace

const sqlite::Format kLedgerFormat{0x534C4C45, kSchema, kLedgerSteps};

Result<void> check_ledger_row(const sqlite::Statement& row, int sound, std::string_view table) {
  if (row.integer(sound) != 0) return {};
  return failure(ErrorCode::corrupt,
                 "a row of " + std::string(table) +
                     " is not what was written: the disk or the memory changed it; restore the "
                     "file from a backup");
}

Time recorded_time(std::int64_t microseconds) {
  return Time(std::chrono::duration_cast<Time::duration>(std::chrono::microseconds(microseconds)));
}

std::vector<std::string> damaged_ledger_rows() {
  const auto query = [](std::string_view table, std::string_view columns) {
    const std::string name(table);
    return "SELECT '" + name + ": a row changed on disk' FROM " + name +
           " WHERE checksum <> row_sum(" + std::string(columns) + ") LIMIT 1";
  };
  return {query("series_numbers", "scope, study, series, number, recorded_at"),
          query("instance_numbers", "scope, series, instance, number, recorded_at"),
          query("merged_studies", "scope, key, study, recorded_at"),
          query("merged_attributes", "scope, key, name, value"),
          query("uid_replacements", "before, scope, after, reason, recorded_at"),
          query("found_values", "scope, key, since, value"),
          query("series_identities", "scope, series, attributes, sop_instance, recorded_at"),
          query("series_suspects",
                "scope, series, other, instance_limit, first, sop_instance, outcome, recorded_at"),
          query("series_counts",
                "scope, series, modality, instances, counted_until, instance_limit, reached_at")};
}

Numbered::Numbered(const SeriesNumberRequest& request)
    : table(kSeriesNumbers),
      scope(request.scope),
      group(request.study_instance_uid),
      member(request.series_instance_uid) {}

Numbered::Numbered(const InstanceNumberRequest& request)
    : table(kInstanceNumbers),
      scope(request.scope),
      group(request.series_instance_uid),
      member(request.sop_instance_uid) {}

Result<std::optional<std::int32_t>> find_number(Connection& db, const Numbered& one) {
  auto statement = db.prepare(one.table.find, {one.scope, one.group, one.member});
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (auto sound = check_ledger_row(*statement, 1, one.table.name); !sound) {
    return tl::unexpected(sound.error());
  }
  return static_cast<std::int32_t>(statement->integer(0));
}

Result<bool> is_taken(Connection& db, const Numbered& one, std::int32_t number) {
  return exists(db, one.table.is_taken, {one.scope, one.group, number});
}

Result<std::optional<std::int32_t>> first_free(Connection& db, const Numbered& one,
                                               std::int32_t from) {
  auto statement = db.prepare(one.table.first_free, {one.scope, one.group, from});
  if (!statement) return tl::unexpected(statement.error());
  std::int64_t candidate = from;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row || statement->integer(0) != candidate) break;
    ++candidate;
  }
  if (candidate > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::int32_t>(candidate);
}

Result<void> insert_number(Connection& db, const Numbered& one, std::int32_t number,
                           std::int64_t recorded_at) {
  return db.run(one.table.insert, {one.scope, one.group, one.member, number, recorded_at});
}

Result<std::optional<MergedStudy>> find_study(Connection& db, std::string_view scope,
                                              std::string_view key) {
  MergedStudy study;
  auto found = db.prepare(
      "SELECT study, checksum = row_sum(?1, ?2, study, recorded_at) "
      "FROM merged_studies WHERE scope = ?1 AND key = ?2",
      {scope, key});
  if (!found) return tl::unexpected(found.error());
  const auto row = found->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (auto sound = check_ledger_row(*found, 1, "merged_studies"); !sound) {
    return tl::unexpected(sound.error());
  }
  study.study_instance_uid = found->text(0);
  auto attributes = db.prepare(
      "SELECT name, value, checksum = row_sum(?1, ?2, name, value) "
      "FROM merged_attributes WHERE scope = ?1 AND key = ?2",
      {scope, key});
  if (!attributes) return tl::unexpected(attributes.error());
  for (;;) {
    const auto attribute = attributes->step();
    if (!attribute) return tl::unexpected(attribute.error());
    if (!*attribute) return study;
    if (auto sound = check_ledger_row(*attributes, 2, "merged_attributes"); !sound) {
      return tl::unexpected(sound.error());
    }
    study.attributes[attributes->text(0)] = attributes->text(1);
  }
}

Result<void> insert_study(Connection& db, std::string_view scope, std::string_view key,
                          const MergedStudy& study, std::int64_t recorded_at) {
  auto inserted = db.run(
      "INSERT INTO merged_studies(scope, key, study, recorded_at, checksum) "
      "VALUES (?1,?2,?3,?4,row_sum(?1,?2,?3,?4))",
      {scope, key, study.study_instance_uid, recorded_at});
  if (!inserted) return inserted;
  for (const auto& [name, value] : study.attributes) {
    inserted = db.run(
        "INSERT INTO merged_attributes(scope, key, name, value, checksum) "
        "VALUES (?1,?2,?3,?4,row_sum(?1,?2,?3,?4))",
        {scope, key, name, value});
    if (!inserted) return inserted;
  }
  return {};
}

Result<std::optional<FirstReplacement>> find_first_replacement(Connection& db,
                                                               std::string_view scope,
                                                               std::string_view before) {
  auto statement = db.prepare(
      "SELECT after, recorded_at, checksum = row_sum(?1, ?2, after, reason, recorded_at) "
      "FROM uid_replacements WHERE before = ?1 AND scope = ?2 ORDER BY recorded_at LIMIT 1",
      {before, scope});
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (auto sound = check_ledger_row(*statement, 2, "uid_replacements"); !sound) {
    return tl::unexpected(sound.error());
  }
  return FirstReplacement{statement->text(0), statement->integer(1)};
}

Result<bool> has_replacement(Connection& db, std::string_view scope, std::string_view before,
                             std::string_view after) {
  return exists(db, "SELECT 1 FROM uid_replacements WHERE before = ? AND scope = ? AND after = ?",
                {before, scope, after});
}

Result<std::optional<bool>> find_replaces(Connection& db, std::string_view scope,
                                          std::string_view before, std::string_view after) {
  const auto recorded = has_replacement(db, scope, before, after);
  if (!recorded) return tl::unexpected(recorded.error());
  if (*recorded) return std::optional<bool>(true);
  // One that was replaced under another key before is none of the scope's own.
  const auto first = find_first_replacement(db, scope, before);
  if (!first) return tl::unexpected(first.error());
  if (*first) return std::optional<bool>();
  const auto made_of = find_originals(db, scope, before);
  if (!made_of) return tl::unexpected(made_of.error());
  return made_of->empty() ? std::optional<bool>() : std::optional<bool>(false);
}

Result<std::vector<Original>> find_originals(Connection& db, std::string_view scope,
                                             std::string_view after) {
  auto statement = db.prepare(
      "SELECT before, recorded_at, checksum = row_sum(before, ?2, ?1, reason, recorded_at) "
      "FROM uid_replacements WHERE after = ?1 AND scope = ?2 ORDER BY recorded_at LIMIT 2",
      {after, scope});
  if (!statement) return tl::unexpected(statement.error());
  std::vector<Original> found;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return found;
    if (auto sound = check_ledger_row(*statement, 2, "uid_replacements"); !sound) {
      return tl::unexpected(sound.error());
    }
    found.push_back({statement->text(0), statement->integer(1)});
  }
}

Result<void> insert_replacement(Connection& db, const UidReplacement& replacement,
                                std::int64_t recorded_at) {
  return db.run(
      "INSERT INTO uid_replacements(before, scope, after, reason, recorded_at, checksum) "
      "VALUES (?1,?2,?3,?4,?5,row_sum(?1,?2,?3,?4,?5))",
      {replacement.before, replacement.scope, replacement.after, replacement.reason, recorded_at});
}

Result<std::int64_t> last_recorded(Connection& db) {
  auto statement = db.prepare("SELECT max(recorded_at) FROM uid_replacements");
  if (!statement) return tl::unexpected(statement.error());
  if (const auto row = statement->step(); !row) return tl::unexpected(row.error());
  return statement->integer(0);
}

Result<std::vector<UidReplacement>> lookup(Connection& db, std::string_view uid) {
  auto statement = db.prepare(
      "SELECT scope, before, after, reason, recorded_at FROM uid_replacements "
      "WHERE before = ? OR after = ? ORDER BY recorded_at",
      {uid, uid});
  if (!statement) return tl::unexpected(statement.error());
  std::vector<UidReplacement> found;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return found;
    found.push_back({statement->text(0), statement->text(1), statement->text(2), statement->text(3),
                     recorded_time(statement->integer(4))});
  }
}

namespace {

Result<std::optional<RememberedValue>> read_value(Connection& db, std::string_view sql,
                                                  const std::vector<sqlite::Value>& values) {
  auto statement = db.prepare(sql, values);
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  if (auto sound = check_ledger_row(*statement, 2, "found_values"); !sound) {
    return tl::unexpected(sound.error());
  }
  return RememberedValue{statement->text(0), statement->integer(1)};
}

}  // namespace

Result<std::optional<RememberedValue>> find_latest_value(Connection& db, std::string_view scope,
                                                         std::string_view key) {
  return read_value(db,
                    "SELECT value, since, checksum = row_sum(?1, ?2, since, value) "
                    "FROM found_values WHERE scope = ?1 AND key = ?2 ORDER BY since DESC LIMIT 1",
                    {scope, key});
}

Result<std::optional<RememberedValue>> find_value_before(Connection& db, std::string_view scope,
                                                         std::string_view key, std::int64_t time) {
  auto before = read_value(db,
                           "SELECT value, since, checksum = row_sum(?1, ?2, since, value) "
                           "FROM found_values WHERE scope = ?1 AND key = ?2 AND since < ?3 "
                           "ORDER BY since DESC LIMIT 1",
                           {scope, key, time});
  if (!before || *before) return before;
  return read_value(db,
                    "SELECT value, since, checksum = row_sum(?1, ?2, since, value) "
                    "FROM found_values WHERE scope = ?1 AND key = ?2 ORDER BY since LIMIT 1",
                    {scope, key});
}

Result<void> insert_value(Connection& db, std::string_view scope, std::string_view key,
                          const RememberedValue& value) {
  return db.run(
      "INSERT INTO found_values(scope, key, since, value, checksum) "
      "VALUES (?1,?2,?3,?4,row_sum(?1,?2,?3,?4))",
      {scope, key, value.since, value.value});
}

Result<std::int64_t> latest_value(Connection& db) {
  auto statement = db.prepare("SELECT max(since) FROM found_values");
  if (!statement) return tl::unexpected(statement.error());
  if (const auto row = statement->step(); !row) return tl::unexpected(row.error());
  return statement->integer(0);
}

}  // namespace sluice::rows
