// What the spool does with spare files.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/spool/folder.h"
#include "gateway/spool/spool.h"

namespace sluice {

Result<void> Spool::open_spare_files() {
  const std::string path = folder_ + std::string(kSpare);
  if (auto made = folder::make_folder(path); !made) return made;
  FileDescriptor opened = folder::open_folder(path);
  if (!opened.is_valid()) return folder::unusable(path, "open the folder", errno);
  auto left_over = folder::names_with_suffix(path, kSpare);
  if (!left_over) return tl::unexpected(left_over.error());
  left_over_ = std::move(*left_over);
  spares_ = std::make_unique<SpareFiles>(std::move(opened), options_.spare_files);
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

// Without a sync: a name that the next power cut takes again is found again, also by a spool that
// is faulted.
Result<std::vector<std::string>> Spool::recover(std::vector<StoredFile> missing) {
  std::vector<std::string> found;
  std::vector<std::string> of_nobody;
  for (std::string& name : std::exchange(left_over_, {})) {
    const auto owner = std::ranges::find_if(
        missing, [&](const StoredFile& file) { return is_left_over_of(name, file); });
    if (owner == missing.end()) {
      of_nobody.push_back(std::move(name));
      continue;
    }
    const std::string own = folder::finished_name(owner->id);
    if (::renameat(spares_->folder(), name.c_str(), directory_.get(), own.c_str()) != 0) {
      return tl::unexpected(judge("rename", own, errno));
    }
    log::warning("a power cut took the name of a file; it has it again",
                 {{"path", path(owner->id)}});
    found.push_back(owner->id);
    missing.erase(owner);
  }
  if (!missing.empty() && !of_nobody.empty()) {
    log::warning("spare files stay where they are, since files of the spool are missing",
                 {{"folder", folder_ + std::string(kSpare)}, {"missing", missing.size()}});
    return found;
  }
  for (const std::string& name : of_nobody) {
    if (::unlinkat(spares_->folder(), name.c_str(), 0) != 0 && errno != ENOENT) {
      return tl::unexpected(judge("unlink", name, errno));
    }
  }
  return found;
}

// What cannot be read is nobody's, and stays because of that one that is missing then.
bool Spool::is_left_over_of(const std::string& name, const StoredFile& file) const {
  const auto reader = open_reader(spares_->folder(), folder_ + std::string(kSpare), name, file);
  return reader && reader->verify(file.digest);
}

}  // namespace sluice
