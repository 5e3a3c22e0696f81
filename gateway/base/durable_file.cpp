#include "gateway/base/durable_file.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace sluice {
namespace {

// 0 or the error number.
int write_and_sync(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(file) == 0 ? 0 : errno;
}

}  // namespace

int sync_folder(const std::string& folder) {
  const int directory =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return errno;
  const int error_number = ::fsync(directory) == 0 ? 0 : errno;
  ::close(directory);
  return error_number;
}

int write_durably(const std::string& path, std::string_view text) {
  const std::string unfinished = path + ".new";
  const int file = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  int error_number = write_and_sync(file, text);
  if (::close(file) != 0 && error_number == 0) error_number = errno;
  if (error_number == 0 && std::rename(unfinished.c_str(), path.c_str()) != 0) error_number = errno;
  if (error_number != 0) {
    ::unlink(unfinished.c_str());
    return error_number;
  }
  return sync_folder(std::filesystem::path(path).parent_path().string());
}

}  // namespace sluice
