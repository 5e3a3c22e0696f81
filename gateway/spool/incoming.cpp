#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/spool/digest.h"
#include "gateway/spool/folder.h"
#include "gateway/spool/spool.h"

namespace sluice {
namespace {

constexpr std::size_t kFirstBuffer = std::size_t{64} * 1024;
// As many buffers as are kept when nothing is being received.
constexpr std::size_t kIdleBuffers = 8;

int sync_bytes(int file) {
  static const Histogram took("sluice_sync_seconds", {{"what", "spool file"}});
  const Timing timing(took);
  return ::fdatasync(file);
}

}  // namespace

Buffer BufferPool::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return {};
  Buffer buffer = std::move(idle_.back());
  idle_.pop_back();
  return buffer;
}

void BufferPool::give_back(Buffer buffer) noexcept {
  const std::lock_guard lock(mutex_);
  if (buffer.capacity > 0 && idle_.size() < idle_.capacity()) idle_.push_back(std::move(buffer));
}

BufferPool::BufferPool() {
  idle_.reserve(kIdleBuffers);
}

Incoming::Incoming(Spool& spool, std::string id)
    : spool_(&spool), digest_(std::make_unique<Digest>()), buffer_(spool.buffers_->take()) {
  stored_.id = std::move(id);
}

Incoming::~Incoming() {
  abandon();
  if (spool_ != nullptr) spool_->buffers_->give_back(std::move(buffer_));
}

Incoming::Incoming(Incoming&& other) noexcept
    : spool_(std::exchange(other.spool_, nullptr)),
      stored_(std::move(other.stored_)),
      file_(std::move(other.file_)),
      has_file_(other.has_file_),
      folder_(other.folder_),
      name_(std::move(other.name_)),
      spare_size_(other.spare_size_),
      digest_(std::move(other.digest_)),
      limit_(other.limit_),
      buffer_(std::exchange(other.buffer_, {})),
      buffered_(other.buffered_),
      state_(std::exchange(other.state_, State::gone)) {}

Result<void> Incoming::append(std::span<const std::byte> bytes) {
  if (state_ != State::open) {
    return failure(ErrorCode::transient, "gateway gave up this instance before");
  }
  if (auto appended = append_buffered(bytes); !appended) return appended;
  pass(bytes);
  return {};
}

void Incoming::pass(std::span<const std::byte> bytes) {
  digest_->add(bytes);
  stored_.data_set_length += bytes.size();
}

Result<void> Incoming::append_buffered(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (buffered_ == std::min(buffer_.capacity, limit_)) {
      if (auto room = make_room(); !room) return room;
    }
    const std::size_t taken =
        std::min(bytes.size(), std::min(buffer_.capacity, limit_) - buffered_);
    std::memcpy(buffer_.bytes.get() + buffered_, bytes.data(), taken);
    buffered_ += taken;
    bytes = bytes.subspan(taken);
  }
  return {};
}

// Of a full buffer: a larger one, or, at its limit, what is in it goes to the file.
Result<void> Incoming::make_room() {
  if (buffer_.capacity >= limit_) return flush();
  const std::size_t capacity = std::clamp(4 * buffer_.capacity, kFirstBuffer, limit_);
  Buffer larger{std::make_unique_for_overwrite<std::byte[]>(capacity), capacity};
  if (buffered_ > 0) std::memcpy(larger.bytes.get(), buffer_.bytes.get(), buffered_);
  buffer_ = std::move(larger);
  return {};
}

std::optional<std::span<const std::byte>> Incoming::in_memory() const {
  if (state_ != State::open || has_file_) return std::nullopt;
  return std::span(buffer_.bytes.get(), buffered_).subspan(stored_.data_set_offset);
}

StoredFile Incoming::as_received() const {
  StoredFile stored = stored_;
  stored.digest = digest_->text();
  return stored;
}

Result<void> Incoming::open_file() {
  if (spool_->spares_) {
    if (auto spare = spool_->spares_->take(buffered_)) {
      folder_ = spool_->spares_->folder();
      name_ = std::move(spare->name);
      spare_size_ = spare->size;
      file_ = std::move(spare->file);
      has_file_ = true;
      return {};
    }
  }
  return make_file();
}

Result<void> Incoming::make_file() {
  folder_ = spool_->directory_.get();
  name_ = stored_.id + std::string(folder::kUnfinished);
  file_ = FileDescriptor(
      ::openat(folder_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file_.is_valid()) return give_up("create", errno);
  has_file_ = true;
  // Whatever the umask took away.
  if (::fchmod(file_.get(), 0600) != 0) return give_up("fchmod", errno);
  return {};
}

Result<void> Incoming::flush() {
  if (!has_file_) {
    if (auto opened = open_file(); !opened) return opened;
  }
  const std::size_t length = std::exchange(buffered_, 0);
  return write({buffer_.bytes.get(), length});
}

Result<void> Incoming::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return give_up("write", errno);
    }
    // A short write is no error: the next one says what hindered it.
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// The order, and why it is this one:
//
// 1. write, fdatasync: the bytes and the length are on disk while the name still says
//    that they count for nothing. The other way round, a power cut between rename and
//    sync could leave a .dcm full of zeros.
// 2. close: after the sync, so that it has nothing left to report on a local disk. It
//    is checked for the file systems that report a failed write only here.
// 3. rename: from now on the file is found as an instance. The name itself is durable
//    only after sync_directory(), which the queue calls once for all files of a
//    commit: an fsync of the directory here would cost each association one of its own.
//
// Objection: link() and unlink() instead of rename() would refuse to overwrite. But
// nobody else makes names here: the lock keeps other gateways out, and ids do not repeat.
//
// When a step fails the file is removed and the sender is told to try again. The step
// is never repeated: after a failed fdatasync Linux may mark the lost pages clean and
// report success to the next.
Result<StoredFile> Incoming::close() {
  if (state_ != State::open) {
    return failure(ErrorCode::transient, "gateway gave up this instance before");
  }
  if (spool_->is_faulted()) {
    abandon();
    return tl::unexpected(Spool::refusal());
  }
  if (auto flushed = flush(); !flushed) return tl::unexpected(flushed.error());
  const std::uint64_t size = stored_.data_set_offset + stored_.data_set_length;
  if (spare_size_ > size && ::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) {
    return give_up("ftruncate", errno);
  }
  if (sync_bytes(file_.get()) != 0) return give_up("fdatasync", errno);
  if (const int error_number = file_.close(); error_number != 0) {
    return give_up("close", error_number);
  }
  // Everything that needs memory comes before the rename: an exception after it would
  // leave a finished file that nobody knows of.
  StoredFile stored = as_received();
  const std::string to = folder::finished_name(stored_.id);
  const int directory = spool_->directory_.get();
  if (::renameat(folder_, name_.c_str(), directory, to.c_str()) != 0) {
    return give_up("rename", errno);
  }
  ++spool_->names_given_;
  state_ = State::closed;
  return stored;
}

// With a sync: when it is not known what a failed commit left on the disk, a power cut
// could bring back the row and, without the sync, the file. The sender was told to send
// again, and the destination would get the instance twice. What a filter rejects pays
// for it too, but only as much as its data has cost already.
void Incoming::discard() noexcept {
  if (state_ != State::closed) return abandon();
  state_ = State::gone;
  try {
    auto removed = spool_->remove(stored_.id);
    if (removed) removed = spool_->sync_removed();
    if (!removed) {
      // It stays without a row, and the next start reports it.
      log::error("discarded file not removed durably",
                 {{"id", stored_.id}, {"error", removed.error().message}});
    }
  } catch (const std::exception&) {
    return;  // no memory even for a log line; the next start reports the file
  }
}

tl::unexpected<Error> Incoming::give_up(std::string_view operation, int error_number) {
  Error error = spool_->judge(operation, name_, error_number);
  abandon();
  return tl::unexpected(std::move(error));
}

// What stays was never acknowledged, and the next start removes it.
void Incoming::abandon() noexcept {
  if (state_ != State::open) return;
  state_ = State::gone;
  if (!has_file_) return;
  (void)file_.close();  // whatever it reports, the file goes
  try {
    if (::unlinkat(folder_, name_.c_str(), 0) != 0 && errno != ENOENT) {
      log::warning("unfinished file not removed",
                   {{"id", stored_.id}, {"error", std::strerror(errno)}});
    }
  } catch (const std::exception&) {
    return;  // no memory; destructors come here
  }
}

}  // namespace sluice
