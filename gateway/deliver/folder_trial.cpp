// A folder is tried by a file that never has a name, and so cannot stay behind.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gateway/base/file_descriptor.h"
#include "gateway/deliver/part_folder.h"
#include "gateway/deliver/trial.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

// Where a file system has no such files: one that loses its name at once.
FileDescriptor create_nameless(const fs::path& folder) {
  FileDescriptor file(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (file.is_valid() || (errno != EOPNOTSUPP && errno != EISDIR)) return file;
  std::string path = folder / ".sluice-check-XXXXXX";
  file = FileDescriptor(::mkostemp(path.data(), O_CLOEXEC));
  if (file.is_valid()) static_cast<void>(::unlink(path.c_str()));
  return file;
}

// 0 or the error number.
int try_to_write(const fs::path& folder) {
  const FileDescriptor file = create_nameless(folder);
  if (!file.is_valid()) return errno;
  constexpr std::array<char, 4096> kBlock{};
  const ssize_t written = ::write(file.get(), kBlock.data(), kBlock.size());
  if (written < 0) return errno;
  if (static_cast<std::size_t>(written) < kBlock.size()) return ENOSPC;
  return ::fdatasync(file.get()) == 0 ? 0 : errno;
}

std::string advice_on_folder(int error_number) {
  switch (error_number) {
    case ENOTDIR:
      return "a part of the path is a file: correct `address`";
    case EACCES:
    case EPERM:
      return "let the user that Sluice runs as write there";
    case EROFS:
      return "mount it for writing; under systemd add it to ReadWritePaths=";
    case ENOSPC:
    case EDQUOT:
      return "make room";
    default:
      return "look at the disk, or the mount";
  }
}

}  // namespace

Trial try_folder(const config::Destination& destination) {
  Trial trial;
  FolderTrial& told = trial.folder.emplace();
  const auto does_not_work = [&](const fs::path& at, int error_number) {
    trial.problem = at.string() + ": " + std::generic_category().message(error_number);
    trial.advice = advice_on_folder(error_number);
    return trial;
  };
  // What is missing will be made, in the last folder that is there.
  fs::path at = destination.folder;
  struct statvfs space {};
  while (::statvfs(at.c_str(), &space) != 0) {
    if (errno != ENOENT || !at.has_relative_path()) return does_not_work(at, errno);
    at = at.parent_path();
  }
  told.exists = at == fs::path(destination.folder);
  told.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (const int error = try_to_write(at); error != 0) return does_not_work(at, error);
  const fs::path parts = at / kPartFolder;
  if (!told.exists || ::access(parts.c_str(), F_OK) != 0) return trial;
  if (const int error = try_to_write(parts); error != 0) return does_not_work(parts, error);
  return trial;
}

}  // namespace sluice
