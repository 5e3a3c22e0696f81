// Records that are durable before the database has them: one sync of a few hundred bytes for
// all that came meanwhile, where a commit of the database writes a page for each index.
//
//   journal->append(record, needs_names, [](const Result<std::size_t>& part) {
//     ... durable; the database is given the same ...
//     journal->given(*part);
//   });
//   journal->clear(part);         once the database has all records of a part durably
//
// Two parts, <path>-0 and <path>-1, are written in turns, over and over, by synced writes: a file
// whose length does not change is synced faster. A part begins anew when it was cleared; what an
// earlier turn left in it is told by the turn's number.
//
//   record: 64-bit XXH3 of what follows | 64-bit number of the turn | 32-bit length | bytes
//
// Numbers are little endian. A record that a power cut has torn ends its part: it was never
// acknowledged. An error of the disk ends the journal: append() fails from then on.
//
// Whoever appends while nothing is being written writes, for all who came meanwhile; what comes
// during that, a thread of its own writes. So one who is alone waits for no other thread, and of
// many none waits for the disk. Safe from any thread.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"

namespace sluice {

class Journal {
 public:
  struct Hooks {
    // Before a sync of a record that needs it: the names of files that it speaks of are made
    // durable. Its error is that of the records.
    std::function<Result<void>()> sync_names = {};
    // A part is full, and all its records were given to the database: clear() is due behind
    // them.
    std::function<void(std::size_t part)> full = {};
    std::function<void(const std::string& reason)> faulted = {};
  };
  // Makes the parts when there are none. Errors: transient, with the path.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(const std::string& path, Hooks hooks);
  // Writes what is left.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What the gateway before this one left, in order of the parts. Before the first append().
  [[nodiscard]] const std::vector<std::string>& left() const { return left_; }

  // The part that has the record, which is durable. Errors: transient, when the disk fails, or
  // the database does not keep up. Called once, from this thread or another, perhaps before
  // append() returns; must not throw, and others wait behind it.
  using Done = std::function<void(const Result<std::size_t>& part)>;
  void append(std::string record, bool needs_names, Done done);
  // Of one record of this part.
  void given(std::size_t part);

  // So that every record there is will be cleared. Errors: as append().
  [[nodiscard]] Result<void> end_part();

  void clear(std::size_t part);

 private:
  static constexpr std::size_t kPartSize = std::size_t{1024} * 1024;
  // What is written past the system's cache begins and ends, in the file and in memory, at a
  // multiple of it.
  static constexpr std::size_t kBlock = 4096;
  struct Part {
    std::string path;
    FileDescriptor file;
    bool is_clear = true;
    bool is_full = false;
    std::size_t not_given = 0;  // records
  };
  struct Record {
    std::optional<std::string> bytes;  // nullopt: none, but the part ends
    Done done;
  };
  // What one sync makes durable.
  struct Turn {
    std::vector<Record> records;
    std::size_t length = 0;  // bytes, encoded
    bool needs_names = false;
    bool ends_part = false;
  };
  explicit Journal(Hooks hooks) : hooks_(std::move(hooks)) {}
  [[nodiscard]] Result<void> open_part(Part& part, std::string path);
  void read_part();
  void add(Record record, bool needs_names);
  void run();
  void lead(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] std::string write(std::unique_lock<std::mutex>& lock, const Turn& turn);
  [[nodiscard]] bool begin_part(std::unique_lock<std::mutex>& lock);
  void tell_full(std::unique_lock<std::mutex>& lock, std::size_t part);
  void fault(std::unique_lock<std::mutex>& lock, const std::string& reason);

  const Hooks hooks_;
  std::vector<std::string> left_;

  // What the current part has, as far as it was written; of whoever leads.
  struct alignas(kBlock) Image {
    std::array<char, kPartSize> bytes{};
  };
  const std::unique_ptr<Image> image_ = std::make_unique<Image>();

  std::mutex mutex_;  // guards what follows; who leads uses the current part without it
  std::condition_variable cleared_;
  std::condition_variable wanted_;  // the thread
  std::array<Part, 2> parts_;
  std::size_t current_ = 0;
  std::uint64_t offset_ = 0;     // in the current part
  std::uint64_t number_ = 0;     // of its turn
  bool leading_ = false;         // somebody is, or is to
  bool is_handed_over_ = false;  // to the thread
  bool stopping_ = false;
  bool late_ = false;  // the database did not clear a part in time
  Turn gathering_;
  std::string failed_;  // "": it works
  std::thread thread_;
};

}  // namespace sluice
