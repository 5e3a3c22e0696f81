// Records that are durable before the database has them: one sync of a few hundred bytes for
// all that came meanwhile, where a commit of the database writes a page for each index.
//
//   auto part = journal->append(record, needs_names);   // durable on return
//   ... the database is given the same ...
//   journal->given(*part);
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
// Whoever appends writes for all who came meanwhile, as in QueueWriter. Safe from any thread.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
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
  ~Journal() = default;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What the gateway before this one left, in order of the parts. Before the first append().
  [[nodiscard]] const std::vector<std::string>& left() const { return left_; }

  // The part that has it. Errors: transient, when the disk fails, or the database does not keep
  // up.
  [[nodiscard]] Result<std::size_t> append(std::string record, bool needs_names = false);
  // Of one record of this part.
  void given(std::size_t part);

  // So that every record there is will be cleared. Errors: as append().
  [[nodiscard]] Result<void> end_part();

  void clear(std::size_t part);

 private:
  struct Part {
    std::string path;
    FileDescriptor file;
    bool is_clear = true;
    bool is_full = false;
    std::size_t not_given = 0;  // records
  };
  // What one sync makes durable, and who waits for it.
  struct Turn {
    std::vector<std::string> records;
    std::size_t length = 0;  // bytes, encoded
    bool needs_names = false;
    bool ends_part = false;
    enum State { gathering, wants_leader, done };
    std::atomic<State> state = gathering;
    std::string error = {};  // these two: once it is done
    std::size_t part = 0;
  };
  explicit Journal(Hooks hooks) : hooks_(std::move(hooks)) {}
  [[nodiscard]] static Result<void> open_part(Part& part, std::string path);
  void read_part(const Part& part);
  [[nodiscard]] Result<void> wait_for(Turn& turn, bool leads);
  void lead();
  [[nodiscard]] std::string write(std::unique_lock<std::mutex>& lock, Turn& turn);
  [[nodiscard]] bool begin_part(std::unique_lock<std::mutex>& lock);
  void tell_full(std::unique_lock<std::mutex>& lock, std::size_t part);
  void fault(std::unique_lock<std::mutex>& lock, const std::string& reason);

  const Hooks hooks_;
  std::vector<std::string> left_;

  std::mutex mutex_;  // guards what follows; who leads uses the current part without it
  std::condition_variable cleared_;
  std::array<Part, 2> parts_;
  std::size_t current_ = 0;
  std::uint64_t offset_ = 0;  // in the current part
  std::uint64_t number_ = 0;  // of its turn
  bool leading_ = false;      // somebody is
  bool late_ = false;         // the database did not clear a part in time
  std::shared_ptr<Turn> gathering_ = std::make_shared<Turn>();
  std::string failed_;  // "": it works
};

}  // namespace sluice
