// The file that a lookup reads, a CSV file or a table of a SQLite database, as a map from
// keys to values, with all that is wrong with it.
//
// Safe from any thread; nothing is kept between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "gateway/dicom/tag.h"
#include "gateway/dicom/vr.h"

namespace sluice {

struct ValueColumn {
  dicom::Tag tag;
  dicom::Vr vr = dicom::Vr::UN;
  std::string column;
};

struct TableFile {
  std::string path;
  std::string table;  // of a SQLite database; "": the file is CSV
  char delimiter = ',';
  std::vector<std::string> key_names;    // "(0010,0020)" or calling_ae_title, in order
  std::vector<std::string> key_columns;  // and their columns
  std::vector<ValueColumn> values;
};

// Several texts as one, so that no two lists read the same.
void append_part(std::string& list, std::string_view part);

// The values of a row as one text, and back. Of what encode_values() did not make, decoding
// gives nullopt.
using Values = std::vector<std::pair<dicom::Tag, std::string>>;
[[nodiscard]] std::string encode_values(const Values& values);
[[nodiscard]] std::optional<Values> decode_values(std::string_view text);

// What tells that a file is another one, or another in content, its companions included
// that SQLite writes.
struct FileStamp {
  struct One {
    bool is_there = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t modified = 0;  // nanoseconds since 1970
    std::int64_t changed = 0;
    bool operator==(const One&) const = default;
  };
  One file;
  One log;      // -wal
  One journal;  // -journal
  bool operator==(const FileStamp&) const = default;

  // Written within the last second, or in the future: perhaps it still is being written.
  [[nodiscard]] bool is_young() const;
};
[[nodiscard]] FileStamp stamp_of(const TableFile& file);

struct TableRow {
  std::string values;    // as of encode_values()
  std::size_t line = 0;  // that it stands in; of a SQLite table, the how manieth row
};

struct TableReading {
  // By the columns of the key, each by append_part().
  std::unordered_map<std::string, TableRow> rows;
  // "line 7: column 'accession' is no value of VR SH: ...", never a value; of many the first,
  // and how many more.
  std::vector<std::string> mistakes;
  bool is_unreadable = false;  // the mistake is not in what the file says
};

// Reads a file that has this stamp. nullopt when it changed meanwhile, or is about to: a CSV
// file is taken when it is a second old, or `is_settled`, that is, had the same stamp a second
// ago.
[[nodiscard]] std::optional<TableReading> read_table(const TableFile& file, const FileStamp& stamp,
                                                     bool is_settled);

}  // namespace sluice
