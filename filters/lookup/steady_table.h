// A file of values that is read again when it changes, and gives an instance the same
// values each time, whatever the file says by then.
//
// Safe from any thread. Nothing runs in the background: the file is looked at in a thread
// that asks, once a second at most.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "filters/lookup/table_file.h"
#include "gateway/base/error.h"
#include "gateway/ledger/ledger.h"

namespace sluice {

class SteadyTable {
 public:
  static constexpr std::chrono::milliseconds kBetweenLooks{1000};

  // `filter` is its name: the scope of what the ledger remembers.
  SteadyTable(TableFile file, std::string filter, TableReading first, FileStamp stamp,
              std::chrono::milliseconds between_looks = kBetweenLooks);

  // What the file says of this key, as an instance that was received at `received_at` is to
  // have it: values as of encode_values(), "" when the key is not there. Errors: transient,
  // of the ledger.
  [[nodiscard]] Result<std::string> find(const std::string& key, Time received_at, Ledger& ledger);

 private:
  using Microseconds = std::chrono::sys_time<std::chrono::microseconds>;

  void look();
  void take(TableReading reading);
  void refuse(const TableReading& reading, const FileStamp& stamp);
  void note_asked(Microseconds received_at);

  const TableFile file_;
  const std::string filter_;
  const std::string key_prefix_;  // what the key is made of: another key has other rows
  const std::chrono::milliseconds between_looks_;
  std::once_flag joined_;

  // Held for each answer: shared by those who ask, alone by who changes what follows.
  std::shared_mutex mutex_;
  std::mutex gate_;  // passed before mutex_, so that nobody waits for it for ever
  std::unordered_map<std::string, TableRow> rows_;
  Microseconds since_;
  std::atomic<Microseconds::rep> latest_asked_ = 0;

  std::atomic<std::chrono::steady_clock::rep> next_look_ = 0;
  std::mutex looking_;
  FileStamp taken_;                 // the rows are of this
  std::optional<FileStamp> seen_;   // young, and not taken
  std::optional<FileStamp> wrong_;  // read, and full of mistakes
  std::optional<FileStamp> told_;   // warned of
};

// The file as it is now; waits, some seconds at most, for one that is being written.
struct FirstReading {
  TableReading reading;
  FileStamp stamp;
};
[[nodiscard]] FirstReading read_first(const TableFile& file);

}  // namespace sluice
