// A look at the queue that leaves no trace.
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "gateway/queue/queue_entry.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

Result<void> check_version(sqlite::Connection& db, const std::string& path) {
  auto version = db.prepare("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  const auto row = version->step();
  if (!row) return tl::unexpected(row.error());
  if (*row && version->integer(0) == rows::kFormat.version()) return {};
  return failure(
      ErrorCode::configuration,
      path + ": has format " + std::to_string(version->integer(0)) + ", this program reads " +
          std::to_string(rows::kFormat.version()) +
          "; use the version of Sluice that wrote it, or start this one's gateway first");
}

Result<std::vector<QueueEntry>> read_file(const std::string& path, bool at_rest, Time since) {
  auto db = sqlite::Connection::open_foreign(path, at_rest);
  if (!db) return tl::unexpected(db.error());
  if (auto right = check_version(**db, path); !right) return tl::unexpected(right.error());
  auto found = rows::read_entries(**db,
                                  rows::entries_where("i.file = 1 AND i.received_at >= ? "
                                                      "ORDER BY d.instance, d.delivery"),
                                  {rows::to_microseconds(since)});
  if (!found) return tl::unexpected(found.error());
  std::vector<QueueEntry> entries;
  entries.reserve(found->size());
  for (rows::Entry& one : *found) entries.push_back(std::move(one.entry));
  return entries;
}

}  // namespace

// Without a -wal file the database is at rest; should a gateway start meanwhile, there is one
// afterwards, and it is read again.
Result<std::vector<QueueEntry>> read_kept(const std::string& path, Time since) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return failure(ErrorCode::configuration,
                   path + ": no queue here; is this the data_dir of a gateway that has run?");
  }
  const std::string log_path = path + "-wal";
  const bool at_rest = !std::filesystem::exists(log_path, error);
  auto entries = read_file(path, at_rest, since);
  if (at_rest && std::filesystem::exists(log_path, error)) return read_file(path, false, since);
  return entries;
}

}  // namespace sluice
