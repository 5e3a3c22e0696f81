#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/spool/digest.h"
#include "gateway/spool/spool.h"

namespace sluice {
namespace {

// Large enough that a CT slice takes two or three writes, small enough for hundreds
// of associations.
constexpr std::size_t kBufferSize = std::size_t{256} * 1024;

std::string unfinished_name(const std::string& id) {
  return id + ".part";
}
std::string finished_name(const std::string& id) {
  return id + ".dcm";
}

}  // namespace

Incoming::Incoming(Spool& spool, std::string id)
    : spool_(&spool),
      digest_(std::make_unique<Digest>()),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferSize)) {
  stored_.id = std::move(id);
}

Incoming::~Incoming() {
  abandon();
}

Incoming::Incoming(Incoming&& other) noexcept
    : spool_(other.spool_),
      stored_(std::move(other.stored_)),
      file_(std::move(other.file_)),
      digest_(std::move(other.digest_)),
      buffer_(std::move(other.buffer_)),
      buffered_(other.buffered_),
      state_(std::exchange(other.state_, State::gone)) {}

Incoming& Incoming::operator=(Incoming&& other) noexcept {
  if (this != &other) {
    abandon();
    spool_ = other.spool_;
    stored_ = std::move(other.stored_);
    file_ = std::move(other.file_);
    digest_ = std::move(other.digest_);
    buffer_ = std::move(other.buffer_);
    buffered_ = other.buffered_;
    state_ = std::exchange(other.state_, State::gone);
  }
  return *this;
}

Result<void> Incoming::append(std::span<const std::byte> bytes) {
  if (state_ != State::open) {
    return failure(ErrorCode::transient, "gateway gave up this instance before");
  }
  if (auto appended = append_buffered(bytes); !appended) return appended;
  digest_->add(bytes);
  stored_.data_set_length += bytes.size();
  return {};
}

Result<void> Incoming::append_buffered(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (buffered_ == 0 && bytes.size() >= kBufferSize) {
      const std::size_t whole = bytes.size() - bytes.size() % kBufferSize;
      if (auto written = write(bytes.first(whole)); !written) return written;
      bytes = bytes.subspan(whole);
      continue;
    }
    const std::size_t taken = std::min(bytes.size(), kBufferSize - buffered_);
    std::memcpy(buffer_.get() + buffered_, bytes.data(), taken);
    buffered_ += taken;
    bytes = bytes.subspan(taken);
    if (buffered_ == kBufferSize) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
  }
  return {};
}

Result<void> Incoming::flush() {
  const std::size_t length = std::exchange(buffered_, 0);
  return write({buffer_.get(), length});
}

Result<void> Incoming::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.number(), bytes.data(), bytes.size());
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
  if (::fdatasync(file_.number()) != 0) return give_up("fdatasync", errno);
  if (const int error_number = file_.close(); error_number != 0) {
    return give_up("close", error_number);
  }
  // Everything that needs memory comes before the rename: an exception after it would
  // leave a finished file that nobody knows of.
  stored_.digest = digest_->text();
  StoredFile stored = stored_;
  const std::string from = unfinished_name(stored_.id);
  const std::string to = finished_name(stored_.id);
  const int directory = spool_->directory_.number();
  if (::renameat(directory, from.c_str(), directory, to.c_str()) != 0) {
    return give_up("rename", errno);
  }
  state_ = State::closed;
  buffer_.reset();
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
    if (removed) removed = spool_->sync_names();
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
  Error error = spool_->judge(operation, unfinished_name(stored_.id), error_number);
  abandon();
  return tl::unexpected(std::move(error));
}

// What stays was never acknowledged, and the next start removes it.
void Incoming::abandon() noexcept {
  if (state_ != State::open) return;
  state_ = State::gone;
  (void)file_.close();  // whatever it reports, the file goes
  try {
    const std::string name = unfinished_name(stored_.id);
    if (::unlinkat(spool_->directory_.number(), name.c_str(), 0) != 0 && errno != ENOENT) {
      log::warning("unfinished file not removed",
                   {{"id", stored_.id}, {"error", std::strerror(errno)}});
    }
  } catch (const std::exception&) {
    return;  // no memory; destructors come here
  }
}

}  // namespace sluice
