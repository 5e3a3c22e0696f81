// What the spool does with spare files.
#include <cerrno>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/spool/folder.h"
#include "gateway/spool/spool.h"

namespace sluice {
namespace {

// "" or why it stays.
std::string remove_spare(int folder, const std::string& name, const std::set<ino_t>& in_spool) {
  struct stat status {};
  const bool is_there = ::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_there && (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid())) {
    return "it is no file of the gateway's user";
  }
  // Renamed while the power went, on a file system without a log: to remove one name would free
  // the file.
  if (is_there && status.st_nlink == 1 && in_spool.contains(status.st_ino)) {
    return "it is a file of the spool as well: the file system must be checked";
  }
  if (is_there && ::unlinkat(folder, name.c_str(), 0) == 0) return "";
  return std::generic_category().message(errno);
}

}  // namespace

Result<void> Spool::open_spare_files() {
  if (!SpareFiles::are_possible(directory_.get())) return {};
  const std::string path = folder_ + std::string(kSpare);
  if (auto made = folder::make_folder(path); !made) return made;
  FileDescriptor opened = folder::open_folder(path);
  if (!opened.is_valid()) return folder::unusable(path, "open the folder", errno);
  if (auto removed = remove_left_over(opened.get(), path); !removed) return removed;
  spares_ = std::make_unique<SpareFiles>(std::move(opened), options_.spare_files);
  return {};
}

// What the gateway before this one left. Whatever was acknowledged has a durable name in the
// spool; what cannot be removed is told, and is in nobody's way.
Result<void> Spool::remove_left_over(int folder, const std::string& path) const {
  const auto names = folder::names_with_suffix(path, kSpare);
  if (!names) return tl::unexpected(names.error());
  if (names->empty()) return {};
  const auto in_spool = folder::inodes(folder_);
  if (!in_spool) return tl::unexpected(in_spool.error());
  for (const std::string& name : *names) {
    const std::string why = remove_spare(folder, name, *in_spool);
    if (why.empty()) continue;
    log::warning("spare file left alone", {{"folder", path}, {"name", name}, {"reason", why}});
  }
  return {};
}

// Both folders: the name that a spare file had is gone for good, and the one that it has is there.
Result<void> Spool::make_spare_files_ready() {
  std::vector<SpareFile> unsynced = spares_->take_unsynced();
  if (unsynced.empty()) return {};
  if (auto synced = sync_removed(); !synced) return synced;
  if (auto synced = sync_names(spares_->folder()); !synced) return synced;
  spares_->give_back(std::move(unsynced));
  return {};
}

}  // namespace sluice
