#include "gateway/spool/spare_files.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "gateway/base/log.h"

namespace sluice {
namespace {

constexpr std::uint64_t kLittleSpace = std::uint64_t{256} << 20U;
// A sync of the folders is for a part of all.
constexpr std::size_t kPartSynced = 4;

// As the spool makes them. A file with two names is in use under the other one.
bool is_own(const FileDescriptor& file, struct stat& status) {
  return ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
         status.st_uid == ::geteuid() && (status.st_mode & 07777U) == 0600U &&
         ::flistxattr(file.get(), nullptr, 0) <= 0;
}

// Linux gives a lease for writing only to who alone has the file open, in all processes. Who opens
// it while we have the lease waits, and we get a signal: SIGIO would end us, SIGURG does nothing.
bool is_open_elsewhere(const FileDescriptor& file) {
  return ::fcntl(file.get(), F_SETSIG, SIGURG) != 0 ||
         ::fcntl(file.get(), F_SETLEASE, F_WRLCK) != 0 ||
         ::fcntl(file.get(), F_SETLEASE, F_UNLCK) != 0;
}

}  // namespace

bool SpareFiles::are_possible(int folder) {
  constexpr long kXfs = 0x58465342;  // "XFSB"
  struct statfs system {};
  if (::fstatfs(folder, &system) != 0) return false;
  return system.f_type == EXT4_SUPER_MAGIC || system.f_type == kXfs ||
         system.f_type == BTRFS_SUPER_MAGIC || system.f_type == TMPFS_MAGIC;
}

// Looked at once more: it had its name in the spool for a moment when it was kept.
std::optional<SpareFile> SpareFiles::take(std::uint64_t size) {
  if (is_scarce()) {
    drop();
    return std::nullopt;
  }
  while (auto taken = take_nearest(size)) {
    struct stat status {};
    if (is_own(taken->file, status) && !is_open_elsewhere(taken->file)) return taken;
    remove(taken->name);
  }
  return std::nullopt;
}

std::optional<SpareFile> SpareFiles::take_nearest(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) return std::nullopt;
  // What is large enough comes before what is not; of two, the nearer one.
  const auto is_better = [size](const SpareFile& one, const SpareFile& other) {
    const bool fits = one.size >= size;
    if (fits != (other.size >= size)) return fits;
    return fits ? one.size < other.size : one.size > other.size;
  };
  const auto best = std::ranges::min_element(ready_, is_better);
  std::swap(*best, ready_.back());
  SpareFile taken = std::move(ready_.back());
  ready_.pop_back();
  --kept_;
  return taken;
}

bool SpareFiles::keep(int folder, const std::string& name) {
  if (is_scarce()) {
    drop();
    return false;
  }
  // Without a wait for somebody's lease, or for who reads a pipe.
  constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  SpareFile spare{FileDescriptor(::openat(folder, name.c_str(), kFlags)),
                  name + std::string(kSpare), 0};
  struct stat status {};
  if (!spare.file.is_valid() || !is_own(spare.file, status)) return false;
  spare.size = static_cast<std::uint64_t>(status.st_size);
  if (spare.size == 0 || spare.size > kLargest) return false;
  const std::lock_guard lock(mutex_);
  if (kept_ >= most_) return false;
  unsynced_.reserve(unsynced_.size() + 1);
  if (::renameat2(folder, name.c_str(), folder_.get(), spare.name.c_str(), RENAME_NOREPLACE) != 0) {
    return false;
  }
  // Nobody finds it any more; but somebody may have.
  if (is_open_elsewhere(spare.file)) {
    remove(spare.name);
  } else {
    unsynced_.push_back(std::move(spare));
    ++kept_;
  }
  return true;
}

std::vector<SpareFile> SpareFiles::take_unsynced() {
  const std::lock_guard lock(mutex_);
  if (unsynced_.empty() || unsynced_.size() < most_ / kPartSynced) return {};
  return std::exchange(unsynced_, {});
}

void SpareFiles::give_back(std::vector<SpareFile> synced) {
  const std::lock_guard lock(mutex_);
  std::ranges::move(synced, std::back_inserter(ready_));
}

bool SpareFiles::is_scarce() const {
  struct statvfs space {};
  return ::fstatvfs(folder_.get(), &space) != 0 ||
         std::uint64_t{space.f_bavail} * space.f_frsize < kLittleSpace;
}

void SpareFiles::remove(const std::string& name) const noexcept {
  if (::unlinkat(folder_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return;
  try {
    log::warning("spare file not removed; the next start tries again", {{"name", name}});
  } catch (const std::exception&) {
    return;  // no memory for a log line
  }
}

void SpareFiles::drop() noexcept {
  const std::lock_guard lock(mutex_);
  for (std::vector<SpareFile>* const spares : {&ready_, &unsynced_}) {
    for (const SpareFile& spare : *spares) remove(spare.name);
    kept_ -= spares->size();
    spares->clear();
  }
}

}  // namespace sluice
