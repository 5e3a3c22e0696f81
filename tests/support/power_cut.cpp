#include "tests/support/power_cut.h"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sluice::test {
namespace {

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

void remove_file(const std::string& path) {
  syscall(SYS_unlinkat, AT_FDCWD, path.c_str(), 0);
}

void move_file(const std::string& from, const std::string& to) {
  syscall(SYS_renameat, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str());
}

}  // namespace

std::string path_of(int file) {
  std::array<char, 4096> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), text.data(), text.size());
  if (length <= 0 || text[0] != '/') return {};
  return {text.data(), static_cast<std::size_t>(length)};
}

void PowerCut::follow(const std::string& root) {
  root_ = root;
  syscall(SYS_mkdirat, AT_FDCWD, (root_ + ".saved").c_str(), 0700);
}

bool PowerCut::is_below(const std::string& path) const {
  return path.size() > root_.size() && path.starts_with(root_) && path[root_.size()] == '/';
}

PowerCut::File* PowerCut::file_of(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return nullptr;
  const Inode inode{status.st_dev, status.st_ino};
  const auto found = files_.find(inode);
  if (found != files_.end()) return &found->second;
  const std::string path = path_of(file);
  // SQLite's index of its log is mapped memory that is made anew after a crash; cutting it
  // would end the process by a signal of its own.
  if (!is_below(path) || path.ends_with("-shm")) return nullptr;
  const std::string again = "/proc/self/fd/" + std::to_string(file);
  const auto descriptor =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, again.c_str(), O_RDWR | O_CLOEXEC, 0));
  if (descriptor < 0) return nullptr;
  File& made = files_[inode];
  made.descriptor = descriptor;
  return &made;
}

void PowerCut::before_write(int file, off_t offset, std::size_t length) {
  File* followed = file_of(file);
  if (followed == nullptr) return;
  struct stat status {};
  static_cast<void>(::fstat(file, &status));
  Change change{offset, {}, status.st_size};
  if (offset < status.st_size) {
    change.bytes.resize(std::min(length, static_cast<std::size_t>(status.st_size - offset)));
    syscall(SYS_pread64, followed->descriptor, change.bytes.data(), change.bytes.size(), offset);
  }
  followed->changes.push_back(std::move(change));
}

void PowerCut::before_resize(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return;
  before_write(file, 0, static_cast<std::size_t>(status.st_size));
}

void PowerCut::synced(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return;
  if (!S_ISDIR(status.st_mode)) {
    const auto found = files_.find({status.st_dev, status.st_ino});
    if (found == files_.end()) return;
    syscall(SYS_close, found->second.descriptor);
    files_.erase(found);
    return;
  }
  const std::string folder = path_of(file);
  std::erase_if(names_, [&](Name& name) {
    const bool is_old = folder_of(name.path) == folder;
    const bool is_new = name.kind == Name::Kind::renamed && folder_of(name.to) == folder;
    if ((is_old || is_new) && !name.saved.empty()) remove_file(std::exchange(name.saved, {}));
    if (is_new) name.kind = Name::Kind::left_behind;
    return is_old;
  });
}

// A second name for what a change of names would make unreachable.
std::string PowerCut::save(const std::string& path) {
  std::string saved = root_ + ".saved/" + std::to_string(++next_saved_);
  const auto linked = syscall(SYS_linkat, AT_FDCWD, path.c_str(), AT_FDCWD, saved.c_str(), 0);
  return linked == 0 ? saved : std::string();
}

void PowerCut::created(const std::string& path) {
  if (is_below(path)) names_.push_back({Name::Kind::created, path, {}, {}});
}

void PowerCut::before_rename(const std::string& /*from*/, const std::string& to) {
  saved_ = is_below(to) ? save(to) : std::string();
}

void PowerCut::renamed(const std::string& from, const std::string& to) {
  if (is_below(to)) names_.push_back({Name::Kind::renamed, from, to, saved_});
  saved_.clear();
}

void PowerCut::before_unlink(const std::string& path) {
  saved_ = is_below(path) ? save(path) : std::string();
}

void PowerCut::unlinked(const std::string& path) {
  if (is_below(path)) names_.push_back({Name::Kind::unlinked, path, {}, saved_});
  saved_.clear();
}

void PowerCut::not_done() {
  if (!saved_.empty()) remove_file(saved_);
  saved_.clear();
}

void PowerCut::undo(const Name& name) {
  switch (name.kind) {
    case Name::Kind::created:
      remove_file(name.path);
      break;
    case Name::Kind::renamed:
      move_file(name.to, name.path);
      if (!name.saved.empty()) move_file(name.saved, name.to);
      break;
    case Name::Kind::left_behind:
      syscall(SYS_linkat, AT_FDCWD, name.to.c_str(), AT_FDCWD, name.path.c_str(), 0);
      break;
    case Name::Kind::unlinked:
      if (!name.saved.empty()) move_file(name.saved, name.path);
      break;
  }
}

// `kept`: so many of the first changes stay.
void PowerCut::undo(const File& file, std::size_t kept) {
  for (std::size_t n = file.changes.size(); n > kept; --n) {
    const Change& change = file.changes[n - 1];
    syscall(SYS_pwrite64, file.descriptor, change.bytes.data(), change.bytes.size(), change.offset);
    syscall(SYS_ftruncate, file.descriptor, change.size);
  }
}

void PowerCut::cut(std::uint32_t seed) {
  std::minstd_rand random(seed);
  // Of `count` changes the disk may have had any first part in time.
  const auto kept = [&](std::size_t count) -> std::size_t {
    return seed == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, count)(random);
  };
  for (const auto& [inode, file] : files_) undo(file, kept(file.changes.size()));
  for (std::size_t n = names_.size(), stay = kept(n); n > stay; --n) undo(names_[n - 1]);
}

}  // namespace sluice::test
