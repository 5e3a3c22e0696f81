#include "gateway/queue/disk_reserve.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/log.h"

namespace sluice {

DiskReserve::DiskReserve(std::string path, std::int64_t bytes)
    : path_(std::move(path)), bytes_(bytes) {
  take();
  if (!held_) log::warning("disk nearly full: no reserve for the queue", {{"path", path_}});
}

void DiskReserve::take() {
  if (held_) return;
  const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  // Allocates what is missing, also of a file that is there.
  held_ = ::posix_fallocate(file, 0, bytes_) == 0;
  ::close(file);
  if (!held_) ::unlink(path_.c_str());
  if (held_ && std::exchange(given_back_, false)) {
    log::info("the queue has its reserve again: images are accepted", {{"path", path_}});
  }
}

bool DiskReserve::give_back_of(const std::string& database) {
  if (::unlink(path_of(database).c_str()) != 0) return false;
  log::warning("disk full: reserve given back to the queue", {{"path", path_of(database)}});
  return true;
}

void DiskReserve::give_back() {
  if (!held_) return;
  held_ = false;
  given_back_ = true;
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
    log::error("reserve not given back", {{"path", path_}});
    return;
  }
  log::warning("disk full: reserve given back to the queue", {{"path", path_}});
}

}  // namespace sluice
