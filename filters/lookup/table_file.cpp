#include "filters/lookup/table_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>

#include <sys/stat.h>

#include "filters/lookup/csv.h"
#include "gateway/base/log.h"
#include "gateway/base/sqlite.h"
#include "gateway/config/nearest.h"
#include "gateway/dicom/character_set.h"
#include "gateway/dicom/value_rules.h"

namespace sluice {
namespace {

constexpr std::size_t kMostMistakes = 20;

std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp::One stamp_of_one(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {true,
          found.st_dev,
          found.st_ino,
          found.st_size,
          nanoseconds(found.st_mtim),
          nanoseconds(found.st_ctim)};
}

// Takes rows, and keeps those that are right.
class Rows {
 public:
  Rows(const TableFile& file, std::string_view unit) : file_(file), unit_(unit) {}

  // Where the wanted columns stand among these: those of the key, then those of the values.
  // Empty when one is missing or there twice.
  std::vector<std::size_t> find_columns(const std::vector<std::string>& names) {
    std::vector<std::string> wanted = file_.key_columns;
    for (const ValueColumn& value : file_.values) wanted.push_back(value.column);
    std::vector<std::size_t> places;
    for (const std::string& column : wanted) {
      const auto times = std::ranges::count(names, column);
      if (times == 1) {
        places.push_back(
            static_cast<std::size_t>(std::ranges::find(names, column) - names.begin()));
      } else if (times == 0) {
        add_mistake("no column '" + log::escape(column) + "'" +
                    config::suggestion(log::escape(column), names));
      } else {
        add_mistake("column '" + log::escape(column) + "' stands there twice");
      }
    }
    return places.size() == wanted.size() ? places : std::vector<std::size_t>();
  }

  void add(std::size_t line, const std::vector<std::string_view>& wanted) {
    bool is_right = true;
    std::string key;
    for (std::size_t i = 0; i < file_.key_columns.size(); ++i) {
      const std::string_view text = without_spaces(wanted[i]);
      if (text.empty()) {
        add_mistake(line, "column '" + file_.key_columns[i] +
                              "' is empty, which no instance can be found by");
        is_right = false;
      }
      append_part(key, text);
    }
    Values values;
    for (std::size_t i = 0; i < file_.values.size(); ++i) {
      const ValueColumn& value = file_.values[i];
      const std::string_view text = without_spaces(wanted[file_.key_columns.size() + i]);
      if (!text.empty()) {
        if (const auto defect = dicom::find_value_defect(value.vr, text)) {
          add_mistake(line, "column '" + value.column + "' " + *defect);
          is_right = false;
        }
      }
      values.emplace_back(value.tag, text);
    }
    if (!is_right) return;
    const auto [row, is_new] = reading_.rows.try_emplace(std::move(key));
    std::string encoded = encode_values(values);
    if (is_new) {
      row->second = {std::move(encoded), line};
    } else if (row->second.values != encoded) {
      add_mistake(line, "the key of " + std::string(unit_) + " " +
                            std::to_string(row->second.line) + " again, with other values");
    }
  }

  void add_mistake(std::size_t line, const std::string& what) {
    add_mistake(std::string(unit_) + " " + std::to_string(line) + ": " + what);
  }
  void add_mistake(std::string what) {
    if (++mistakes_ <= kMostMistakes) reading_.mistakes.push_back(std::move(what));
  }

  TableReading finish() {
    if (mistakes_ > kMostMistakes) {
      reading_.mistakes.push_back("and " + std::to_string(mistakes_ - kMostMistakes) +
                                  " more mistakes");
    }
    return std::move(reading_);
  }

 private:
  const TableFile& file_;
  std::string_view unit_;
  TableReading reading_;
  std::size_t mistakes_ = 0;
};

TableReading unreadable(std::string why) {
  TableReading reading;
  reading.mistakes.push_back(std::move(why));
  reading.is_unreadable = true;
  return reading;
}

TableReading cannot_read(int error_number) {
  return unreadable("cannot be read: " + std::generic_category().message(error_number) +
                    "; check the path, and that the gateway's user may read it");
}

TableReading read_csv(const TableFile& file) {
  errno = 0;
  std::ifstream stream(file.path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.good() && !stream.eof()) return cannot_read(errno == 0 ? EIO : errno);
  Rows rows(file, "line");
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  const std::string_view body = std::string_view(text).substr(text.starts_with(kMark) ? 3 : 0);
  const std::size_t valid = dicom::valid_utf8_length(body);
  if (valid != body.size()) {
    const auto line = 1 + std::ranges::count(body.substr(0, valid), '\n');
    rows.add_mistake(static_cast<std::size_t>(line), "is no UTF-8; convert the file");
    return rows.finish();
  }
  Csv csv(body, file.delimiter);
  std::vector<std::size_t> places;
  std::size_t columns = 0;
  auto record = csv.next();
  if (record && !*record) rows.add_mistake("is empty; its first line must name the columns");
  if (record && *record) {
    columns = csv.fields().size();
    places = rows.find_columns(csv.fields());
    record = csv.next();
  }
  std::vector<std::string_view> wanted(places.size());
  for (; record && *record; record = csv.next()) {
    if (csv.fields().size() != columns) {
      rows.add_mistake(csv.line(), "has " + std::to_string(csv.fields().size()) +
                                       " columns, where the first line names " +
                                       std::to_string(columns));
      continue;
    }
    if (places.empty()) continue;
    for (std::size_t i = 0; i < places.size(); ++i) wanted[i] = csv.fields()[places[i]];
    rows.add(csv.line(), wanted);
  }
  if (!record) rows.add_mistake(csv.line(), record.error().message);
  return rows.finish();
}

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char character : name) text.append(character == '"' ? 2 : 1, character);
  return text + "\"";
}

Result<std::vector<std::string>> texts_of(sqlite::Connection& db, std::string_view sql,
                                          const std::vector<sqlite::Value>& values = {}) {
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

Result<TableReading> read_database(const TableFile& file, bool at_rest) {
  auto db = sqlite::Connection::open_foreign(file.path, at_rest);
  if (!db) return tl::unexpected(db.error());
  Rows rows(file, "row");
  const auto encoding = texts_of(**db, "PRAGMA encoding");
  if (!encoding) return tl::unexpected(encoding.error());
  if (encoding->empty() || encoding->front() != "UTF-8") {
    rows.add_mistake("is no database in UTF-8");
    return rows.finish();
  }
  const auto columns = texts_of(**db, "SELECT name FROM pragma_table_info(?)", {file.table});
  if (!columns) return tl::unexpected(columns.error());
  if (columns->empty()) {
    rows.add_mistake("has no table or view '" + log::escape(file.table) + "'");
    return rows.finish();
  }
  const auto places = rows.find_columns(*columns);
  if (places.empty()) return rows.finish();
  std::string sql;
  for (const std::size_t place : places) {
    sql += (sql.empty() ? "SELECT CAST(" : ", CAST(") + quoted((*columns)[place]) + " AS TEXT)";
  }
  // One statement: all rows of one state of the database.
  auto statement = (*db)->prepare(sql + " FROM " + quoted(file.table));
  if (!statement) return tl::unexpected(statement.error());
  std::vector<std::string> texts(places.size());
  for (std::size_t line = 1;; ++line) {
    const auto row = statement->step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return rows.finish();
    bool is_utf8 = true;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      texts[i] = statement->text(static_cast<int>(i));
      is_utf8 = is_utf8 && dicom::valid_utf8_length(texts[i]) == texts[i].size();
    }
    if (is_utf8) {
      rows.add(line, {texts.begin(), texts.end()});
    } else {
      rows.add_mistake(line, "is no UTF-8");
    }
  }
}

}  // namespace

void append_part(std::string& list, std::string_view part) {
  list += std::to_string(part.size());
  list += ':';
  list += part;
}

std::string encode_values(const Values& values) {
  std::string text;
  for (const auto& [tag, value] : values) {
    text += dicom::to_string(tag);
    append_part(text, value);
  }
  return text;
}

std::optional<Values> decode_values(std::string_view text) {
  constexpr std::size_t kTagLength = 11;  // "(gggg,eeee)"
  Values values;
  while (!text.empty()) {
    const auto tag = dicom::find_tag(text.substr(0, kTagLength));
    if (!tag || text.size() < kTagLength) return std::nullopt;
    text.remove_prefix(kTagLength);
    std::size_t size = 0;
    const char* const end = text.data() + text.size();
    const auto [colon, error] = std::from_chars(text.data(), end, size);
    if (error != std::errc() || colon == end || *colon != ':') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(colon - text.data()) + 1);
    if (size > text.size()) return std::nullopt;
    values.emplace_back(*tag, text.substr(0, size));
    text.remove_prefix(size);
  }
  return values;
}

bool FileStamp::is_young() const {
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return file.is_there && file.modified > now.count() - 1'000'000'000;
}

FileStamp stamp_of(const TableFile& file) {
  FileStamp stamp{stamp_of_one(file.path), {}, {}};
  if (!file.table.empty()) {
    stamp.log = stamp_of_one(file.path + "-wal");
    stamp.journal = stamp_of_one(file.path + "-journal");
  }
  return stamp;
}

std::optional<TableReading> read_table(const TableFile& file, const FileStamp& stamp,
                                       bool is_settled) {
  struct stat found {};
  if (::stat(file.path.c_str(), &found) != 0) return cannot_read(errno);
  if (!S_ISREG(found.st_mode)) return unreadable("is no file");
  const bool is_old = !stamp.is_young() || is_settled;
  if (file.table.empty()) {
    if (!is_old) return std::nullopt;
    TableReading reading = read_csv(file);
    if (stamp_of(file) != stamp) return std::nullopt;
    return reading;
  }
  // What nobody writes is read without a lock, for which SQLite would have to make files beside
  // it; else its own locks give one state of it, however busy it is.
  const bool at_rest = is_old && !stamp.log.is_there && !stamp.journal.is_there;
  auto reading = read_database(file, at_rest);
  if (at_rest && stamp_of(file) != stamp) return std::nullopt;
  if (reading) return std::move(*reading);
  const bool is_damaged = reading.error().code == ErrorCode::corrupt;
  return unreadable(is_damaged ? "is no SQLite database, or a damaged one"
                               : "cannot be read: " + reading.error().message);
}

}  // namespace sluice
