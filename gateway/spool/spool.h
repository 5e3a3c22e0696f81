// The spool keeps what was received, byte for byte: one DICOM Part 10 file per
// instance, <id>.dcm, that any DICOM tool can read or send.
//
//   128 zero bytes | "DICM" | file meta information of our own | data set as received
//
// The name is made here, never from the network. An instance of up to kInMemory bytes has no
// file until close(), unless begin_file() says so. While a file is written it is called <id>.part;
// a .part file was never acknowledged.
//
// Durable means: close() returned (data and length on disk by fdatasync, final name
// given) and sync_directory() returned after that. Any error of write, fdatasync, close, rename or
// fsync faults the spool: nothing new is accepted from then on, because after a failed fsync the
// kernel may report success for lost pages; its owner is told and remembers it over restarts. A
// full disk (ENOSPC, EDQUOT) is transient and faults nothing.
//
// One process has a spool at a time: a lock on <folder>.lock says whose it is.
//
// Spool is safe from any thread; an Incoming or SpoolReader belongs to one, and the
// Spool must outlive it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"
#include "gateway/spool/spare_files.h"

namespace sluice {

// What the file meta information says (PS3.10 7.1); as received in the command.
struct FileMeta {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string transfer_syntax_uid;
  std::string sending_ae_title;  // (0002,0016), the calling AE title
};

struct StoredFile {
  std::string id;
  std::uint64_t data_set_offset = 0;  // bytes from the start of the file
  std::uint64_t data_set_length = 0;  // bytes
  std::string digest;                 // XXH3-128 of the data set, 32 hex digits
};

// What is received stays in memory up to this size, with the file's head, until close();
// more goes to the file as it comes.
inline constexpr std::size_t kInMemory = std::size_t{768} * 1024;

// The pieces in which is written what is to be a file in any case.
inline constexpr std::size_t kFirstPart = std::size_t{128} * 1024;

class Digest;
class Spool;

struct Buffer {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t capacity = 0;
};

// Buffers that are used again: new memory costs a page fault for every 4 KiB.
class BufferPool {
 public:
  BufferPool();
  [[nodiscard]] Buffer take();  // of capacity 0 when none is idle
  void give_back(Buffer buffer) noexcept;

 private:
  std::mutex mutex_;
  std::vector<Buffer> idle_;
};

// An instance that is being received. Destroyed before close(), it leaves nothing.
class Incoming {
 public:
  ~Incoming();
  Incoming(Incoming&&) noexcept;
  Incoming& operator=(Incoming&&) = delete;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  [[nodiscard]] const std::string& id() const { return stored_.id; }
  [[nodiscard]] std::uint64_t length() const { return stored_.data_set_length; }

  // Bytes of the data set, in order. Errors: transient; the file is gone then. Every
  // message of this class and of create() fits an Error Comment (64 characters).
  [[nodiscard]] Result<void> append(std::span<const std::byte> bytes);

  // Will be a file in any case: it is written while it comes, so that its sync has less to do.
  void begin_file() { limit_ = kFirstPart; }

  // Counts bytes that go another way: they are in length and digest only.
  void pass(std::span<const std::byte> bytes);

  // The data set, while all of it is in memory: valid until the next call of another
  // member function.
  [[nodiscard]] std::optional<std::span<const std::byte>> in_memory() const;
  // Length and digest of what came so far.
  [[nodiscard]] StoredFile as_received() const;

  // Flushes, syncs and gives the final name. Errors: transient; the file is gone then.
  [[nodiscard]] Result<StoredFile> close();

  // Removes what there is of it. A closed file durably, where the disk allows: its row was
  // never committed, or it is not known whether it was.
  void discard() noexcept;

 private:
  friend class Spool;
  enum class State { open, closed, gone };
  Incoming(Spool& spool, std::string id);
  [[nodiscard]] Result<void> append_buffered(std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> make_room();
  [[nodiscard]] Result<void> open_file();
  [[nodiscard]] Result<void> make_file();
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes);
  [[nodiscard]] tl::unexpected<Error> give_up(std::string_view operation, int error_number);
  void abandon() noexcept;

  Spool* spool_;
  StoredFile stored_;
  FileDescriptor file_;
  bool has_file_ = false;
  int folder_ = -1;  // these three: of the file until it is closed
  std::string name_;
  std::uint64_t spare_size_ = 0;  // that it had as a spare file; 0: it was none
  std::unique_ptr<Digest> digest_;
  std::size_t limit_ = kInMemory;  // bytes in the buffer
  Buffer buffer_;
  std::size_t buffered_ = 0;
  State state_ = State::gone;
};

// An open file of the spool for reading, or what is received and still in memory.
class SpoolReader {
 public:
  ~SpoolReader();
  SpoolReader(SpoolReader&&) noexcept;
  SpoolReader& operator=(SpoolReader&&) noexcept;
  SpoolReader(const SpoolReader&) = delete;
  SpoolReader& operator=(const SpoolReader&) = delete;

  // Of a data set in memory, which must outlive it.
  explicit SpoolReader(std::span<const std::byte> memory);

  [[nodiscard]] std::uint64_t data_set_length() const { return length_; }

  // Fills the buffer from data set offset on; fewer bytes only at the end.
  // Errors: transient; corrupt, when the file has become shorter.
  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> buffer) const;

  // A data set that fits into memory is read once, as a whole: what is checked is then what is
  // sent. Does nothing for larger ones. Errors: as read().
  [[nodiscard]] Result<void> load(const std::shared_ptr<BufferPool>& buffers);

  // Reads the whole data set and compares. Errors: corrupt, when length or digest
  // differ; transient.
  [[nodiscard]] Result<void> verify(std::string_view digest) const;

 private:
  friend class Spool;
  SpoolReader(FileDescriptor file, std::string path, const StoredFile& stored);
  [[nodiscard]] Result<void> compare(const Digest& found, std::string_view digest) const;
  FileDescriptor file_;
  std::span<const std::byte> memory_;  // without a file, or loaded
  std::shared_ptr<Buffer> loaded_;     // goes back to its pool
  std::string path_;
  std::uint64_t offset_ = 0;
  std::uint64_t length_ = 0;
};

class Spool {
 public:
  struct Options {
    // Less space left on the disk for its users: create() refuses, earlier than the disk
    // would. Bytes; 0: never.
    std::uint64_t min_free_space = 0;
    std::size_t spare_files = 0;  // kept at most, for what is received next
    // Called once, in the thread whose operation failed; may call distrust() of any store.
    std::function<void(const std::string& reason)> on_fault = {};
  };

  // Makes the folder (mode 0700) when absent, takes its lock, and removes .part
  // files, each with a log line. Errors: configuration, with path and what to do.
  [[nodiscard]] static Result<std::unique_ptr<Spool>> open(const std::string& folder,
                                                           Options options);
  [[nodiscard]] static Result<std::unique_ptr<Spool>> open(const std::string& folder) {
    return open(folder, {});
  }
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Errors: transient (full, nearly full, faulted), with the message for the sender.
  [[nodiscard]] Result<Incoming> create(const FileMeta& meta);

  // Every file closed before this call is durable under its name on return.
  [[nodiscard]] Result<void> sync_directory();
  // Every file removed before this call stays so.
  [[nodiscard]] Result<void> sync_removed();

  // Errors: corrupt when the file is missing, shorter or longer than its row says;
  // transient else.
  [[nodiscard]] Result<SpoolReader> read(const StoredFile& file) const;

  // The same beside the process that has the spool, or without one: takes no lock and changes
  // nothing.
  [[nodiscard]] static Result<SpoolReader> read_beside(const std::string& folder,
                                                       const StoredFile& file);

  // For what is read into memory.
  [[nodiscard]] const std::shared_ptr<BufferPool>& buffers() const { return buffers_; }

  // Missing is no error: it was removed before. Errors: transient.
  [[nodiscard]] Result<void> remove(const std::string& id);

  // The ids of all .dcm files, sorted. Errors: configuration, with path and what to do.
  [[nodiscard]] Result<std::vector<std::string>> list() const;

  [[nodiscard]] bool is_faulted() const { return faulted_; }
  // Accepts nothing from now on: another store on this disk has failed, now or before a
  // restart. What is here goes on being read.
  void distrust() { faulted_ = true; }
  // As of the options; any thread.
  void set_min_free_space(std::uint64_t bytes) { min_free_space_ = bytes; }
  [[nodiscard]] std::string path(std::string_view id) const;  // of <id>.dcm

 private:
  friend class Incoming;
  Spool(std::string folder, FileDescriptor directory, FileDescriptor lock, Options options);
  [[nodiscard]] static Result<SpoolReader> open_reader(int directory, const std::string& folder,
                                                       const StoredFile& file);
  [[nodiscard]] Result<void> open_spare_files();
  [[nodiscard]] Result<void> remove_left_over(int folder, const std::string& path) const;
  [[nodiscard]] Result<void> make_spare_files_ready();
  [[nodiscard]] std::string make_id();
  [[nodiscard]] Result<void> sync_names(int folder);
  [[nodiscard]] Result<void> check_space() const;
  void log_failure(std::string_view operation, std::string_view name, int error_number) const;
  // Logs, and faults the spool unless the error passes by itself; the answer for the sender.
  [[nodiscard]] Error judge(std::string_view operation, std::string_view name, int error_number);
  [[nodiscard]] Error fault(std::string_view operation, std::string_view name, int error_number);
  [[nodiscard]] static Error refusal();

  std::string folder_;
  Options options_;
  FileDescriptor directory_;
  FileDescriptor lock_;
  std::unique_ptr<SpareFiles> spares_;  // nullptr: none are kept
  std::shared_ptr<BufferPool> buffers_ = std::make_shared<BufferPool>();
  std::atomic<std::uint64_t> names_given_ = 0;  // that are durable only with a sync
  std::mutex names_mutex_;
  std::uint64_t names_synced_ = 0;
  std::atomic<std::int64_t> last_id_time_ = 0;  // microseconds since the epoch
  std::atomic<bool> faulted_ = false;
  std::atomic<std::uint64_t> min_free_space_;
};

}  // namespace sluice
