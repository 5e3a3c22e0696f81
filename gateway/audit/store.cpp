#include "gateway/audit/store.h"

#include <algorithm>

namespace sluice::audit::store {
namespace {

constexpr std::string_view kSchema = R"(
CREATE TABLE messages (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  header   TEXT NOT NULL,
  xml      TEXT NOT NULL
);
CREATE TABLE destinations (
  address TEXT PRIMARY KEY,
  taken   INTEGER NOT NULL
) WITHOUT ROWID
)";

Result<std::int64_t> read_number(Connection& db, std::string_view sql,
                                 const std::vector<sqlite::Value>& values = {}) {
  auto statement = db.prepare(sql, values);
  if (!statement) return tl::unexpected(statement.error());
  const auto row = statement->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? statement->integer(0) : 0;
}

}  // namespace

const sqlite::Format kFormat{.application_id = 0x534C4155, .schema = kSchema};

Result<void> add(Connection& db, const Message& message) {
  return db.run("INSERT INTO messages (header, xml) VALUES (?, ?)",
                {std::string_view(message.header), std::string_view(message.xml)});
}

Result<std::vector<StoredMessage>> read_behind(Connection& db, std::int64_t sequence,
                                               std::size_t limit) {
  auto statement = db.prepare(
      "SELECT sequence, header, xml FROM messages WHERE sequence > ? ORDER BY sequence LIMIT ?",
      {sequence, static_cast<std::int64_t>(limit)});
  if (!statement) return tl::unexpected(statement.error());
  std::vector<StoredMessage> found;
  for (;;) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return found;
    found.push_back({statement->integer(0), {statement->text(1), statement->text(2)}});
  }
}

Result<void> set_destinations(Connection& db, const std::vector<std::string>& addresses) {
  std::vector<std::string> old;
  {
    auto statement = db.prepare("SELECT address FROM destinations");
    if (!statement) return tl::unexpected(statement.error());
    for (;;) {
      const auto row = statement->step();
      if (!row) return tl::unexpected(row.error());
      if (!*row) break;
      old.push_back(statement->text(0));
    }
  }
  for (const std::string& address : old) {
    if (std::ranges::find(addresses, address) != addresses.end()) continue;
    auto removed =
        db.run("DELETE FROM destinations WHERE address = ?", {std::string_view(address)});
    if (!removed) return removed;
  }
  for (const std::string& address : addresses) {
    auto added = db.run("INSERT OR IGNORE INTO destinations (address, taken) VALUES (?, 0)",
                        {std::string_view(address)});
    if (!added) return added;
  }
  return {};
}

Result<std::int64_t> taken(Connection& db, std::string_view address) {
  return read_number(db, "SELECT taken FROM destinations WHERE address = ?", {address});
}

Result<void> set_taken(Connection& db, std::string_view address, std::int64_t sequence) {
  return db.run("UPDATE destinations SET taken = ? WHERE address = ?", {sequence, address});
}

Result<void> remove_taken(Connection& db) {
  return db.run("DELETE FROM messages WHERE sequence <= (SELECT min(taken) FROM destinations)");
}

Result<std::uint64_t> used_bytes(Connection& db) {
  std::int64_t numbers[3] = {};
  constexpr std::string_view kPragmas[] = {"PRAGMA page_count", "PRAGMA freelist_count",
                                           "PRAGMA page_size"};
  for (std::size_t i = 0; i < std::size(kPragmas); ++i) {
    const auto number = read_number(db, kPragmas[i]);
    if (!number) return tl::unexpected(number.error());
    numbers[i] = *number;
  }
  return static_cast<std::uint64_t>((numbers[0] - numbers[1]) * numbers[2]);
}

Result<std::uint64_t> remove_oldest(Connection& db, std::size_t count) {
  auto removed = db.run(
      "DELETE FROM messages WHERE sequence IN "
      "(SELECT sequence FROM messages ORDER BY sequence LIMIT ?)",
      {static_cast<std::int64_t>(count)});
  if (!removed) return tl::unexpected(removed.error());
  return static_cast<std::uint64_t>(db.changed_rows());
}

}  // namespace sluice::audit::store
