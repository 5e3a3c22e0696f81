#include "gateway/deliver/temporary_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice {
namespace {

tl::unexpected<Error> failed(const std::string& operation, int error_number) {
  return failure(ErrorCode::transient,
                 "temporary file: " + operation + ": " + std::strerror(error_number));
}

}  // namespace

Result<TemporaryFile> TemporaryFile::create(const std::string& folder) {
  // mkostemp and unlink, not O_TMPFILE: network file systems have only the former.
  std::string name = folder + "/.sending-XXXXXX";
  FileDescriptor file(mkostemp(name.data(), O_CLOEXEC));
  if (!file.is_valid()) return failed("create in " + folder, errno);
  if (unlink(name.c_str()) != 0) return failed("unlink " + name, errno);
  return TemporaryFile(std::move(file));
}

Result<void> TemporaryFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::size_t> TemporaryFile::read(std::uint64_t offset, std::span<std::byte> buffer) const {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::pread(file_.get(), buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<std::uint64_t> TemporaryFile::length() const {
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) return failed("stat", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

std::string TemporaryFile::path() const {
  return "/proc/self/fd/" + std::to_string(file_.get());
}

}  // namespace sluice
