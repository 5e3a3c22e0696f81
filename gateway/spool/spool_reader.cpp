#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "gateway/spool/digest.h"
#include "gateway/spool/spool.h"

namespace sluice {
namespace {

constexpr std::size_t kChunkSize = std::size_t{512} * 1024;

}  // namespace

SpoolReader::SpoolReader(FileDescriptor file, std::string path, const StoredFile& stored)
    : file_(std::move(file)),
      path_(std::move(path)),
      offset_(stored.data_set_offset),
      length_(stored.data_set_length) {}

SpoolReader::SpoolReader(std::span<const std::byte> memory)
    : memory_(memory), length_(memory.size()) {}

SpoolReader::~SpoolReader() = default;
SpoolReader::SpoolReader(SpoolReader&&) noexcept = default;
SpoolReader& SpoolReader::operator=(SpoolReader&&) noexcept = default;

Result<std::size_t> SpoolReader::read(std::uint64_t offset, std::span<std::byte> buffer) const {
  if (offset >= length_) return 0;
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), length_ - offset));
  if (!file_.is_valid()) {
    if (wanted > 0) std::memcpy(buffer.data(), memory_.data() + offset, wanted);
    return wanted;
  }
  std::size_t done = 0;
  while (done < wanted) {
    const ssize_t got = ::pread(file_.get(), buffer.data() + done, wanted - done,
                                static_cast<off_t>(offset_ + offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      return failure(ErrorCode::transient,
                     "spool: cannot read " + path_ + ": " + std::generic_category().message(errno));
    }
    if (got == 0) {
      return failure(ErrorCode::corrupt, "spool: " + path_ +
                                             " became shorter while it was read; restore it or "
                                             "discard the instance");
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<void> SpoolReader::load(const std::shared_ptr<BufferPool>& buffers) {
  if (!file_.is_valid() || length_ > kInMemory) return {};
  std::shared_ptr<Buffer> buffer(new Buffer(buffers->take()), [buffers](Buffer* used) {
    buffers->give_back(std::move(*used));
    delete used;
  });
  if (buffer->capacity < length_) {
    const std::size_t capacity = std::max(static_cast<std::size_t>(length_), kFirstPart);
    *buffer = {std::make_unique_for_overwrite<std::byte[]>(capacity), capacity};
  }
  const auto got = read(0, {buffer->bytes.get(), static_cast<std::size_t>(length_)});
  if (!got) return tl::unexpected(got.error());
  memory_ = {buffer->bytes.get(), *got};
  loaded_ = std::move(buffer);
  (void)file_.close();
  return {};
}

Result<void> SpoolReader::verify(std::string_view digest) const {
  Digest found;
  if (!file_.is_valid()) {
    found.add(memory_);
    return compare(found, digest);
  }
  const std::size_t chunk =
      static_cast<std::size_t>(std::clamp<std::uint64_t>(length_, 1, kChunkSize));
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(chunk);
  std::uint64_t offset = 0;
  while (offset < length_) {
    const auto got = read(offset, {buffer.get(), chunk});
    if (!got) return tl::unexpected(got.error());
    found.add({buffer.get(), *got});
    offset += *got;
  }
  return compare(found, digest);
}

Result<void> SpoolReader::compare(const Digest& found, std::string_view digest) const {
  if (found.text() == digest) return {};
  return failure(ErrorCode::corrupt, "spool: " + path_ + " changed since it was received (digest " +
                                         found.text() + ", its row says " + std::string(digest) +
                                         "); restore it or discard the instance");
}

}  // namespace sluice
