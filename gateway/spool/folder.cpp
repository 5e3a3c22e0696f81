#include "gateway/spool/folder.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::folder {

tl::unexpected<Error> unusable(const std::string& path, std::string_view operation,
                               int error_number) {
  return failure(ErrorCode::configuration,
                 "spool: cannot " + std::string(operation) + " " + path + ": " +
                     std::generic_category().message(error_number) +
                     "; check that the gateway's user may write there and that the disk is sound");
}

FileDescriptor open_folder(const std::string& path) {
  return FileDescriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<void> sync_folder(const std::string& path) {
  const FileDescriptor folder = open_folder(path);
  if (!folder.is_valid()) return unusable(path, "open", errno);
  if (::fsync(folder.get()) != 0) return unusable(path, "sync", errno);
  return {};
}

Result<void> make_folder(const std::filesystem::path& folder) {
  std::filesystem::path made;
  for (const std::filesystem::path& component : folder) {
    const std::filesystem::path parent = made;
    made /= component;
    if (::mkdir(made.c_str(), 0700) != 0) {
      // EROFS and EACCES come also for a folder that is there: what counts is
      // whether it can be used, which the caller finds out.
      if (errno == EEXIST || std::filesystem::is_directory(made)) continue;
      return unusable(made.string(), "create", errno);
    }
    if (::chmod(made.c_str(), 0700) != 0) {  // whatever the umask took away
      return unusable(made.string(), "set the mode of", errno);
    }
    if (auto synced = sync_folder(parent.string()); !synced) return synced;
  }
  return {};
}

Result<std::set<ino_t>> inodes(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), ::closedir);
  if (!opened) return unusable(folder, "list", errno);
  std::set<ino_t> found;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(opened.get());  // NOLINT(concurrency-mt-unsafe): our own
    if (entry == nullptr) break;
    found.insert(entry->d_ino);
  }
  if (errno != 0) return unusable(folder, "list", errno);
  return found;
}

Result<std::vector<std::string>> names_with_suffix(const std::string& folder,
                                                   std::string_view suffix) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.size() > suffix.size() && name.ends_with(suffix)) names.push_back(std::move(name));
  }
  if (error) return unusable(folder, "list", error.value());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sluice::folder
