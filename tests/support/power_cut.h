// What a power cut would take away: every change below a folder that was not synced yet,
// kept as the way to undo it. Contents last by fsync or fdatasync of their file, names by
// that of their folder (POSIX promises no more; most file systems do). A rename into another
// folder lasts by the sync of either; by that of the new one alone the old name may stay, too.
//
// All functions under one mutex of the caller's. They make system calls directly, so that
// following a change is no change.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace sluice::test {

class PowerCut {
 public:
  // Follows what lies below `root`, an absolute path. Names that a cut must bring back
  // rest in `root`.saved, beside it.
  void follow(const std::string& root);
  [[nodiscard]] bool is_following() const { return !root_.empty(); }

  void before_write(int file, off_t offset, std::size_t length);
  void before_resize(int file);
  void synced(int file);

  void created(const std::string& path);
  void before_rename(const std::string& from, const std::string& to);
  void renamed(const std::string& from, const std::string& to);
  void before_unlink(const std::string& path);
  void unlinked(const std::string& path);
  // The call that before_rename() or before_unlink() announced has failed.
  void not_done();

  // Takes the changes back: all of them with seed 0, else some. The caller's process must
  // not go on.
  void cut(std::uint32_t seed);

 private:
  using Inode = std::pair<dev_t, ino_t>;
  struct Change {
    off_t offset = 0;
    std::string bytes;  // that stood there
    off_t size = 0;     // of the file then
  };
  struct File {
    int descriptor = -1;
    std::vector<Change> changes;
  };
  struct Name {
    enum class Kind { created, renamed, left_behind, unlinked } kind = Kind::created;
    std::string path;   // created, unlinked; of a rename where it came from
    std::string to;     // of a rename, whose new name lasts already where it is left_behind
    std::string saved;  // a link to what stood at `path` (unlinked) or `to`; or ""
  };

  [[nodiscard]] File* file_of(int file);
  [[nodiscard]] bool is_below(const std::string& path) const;
  [[nodiscard]] std::string save(const std::string& path);
  static void undo(const Name& name);
  static void undo(const File& file, std::size_t kept);

  std::string root_;
  std::map<Inode, File> files_;
  std::vector<Name> names_;
  std::string saved_;  // between before_... and ...d()
  std::uint64_t next_saved_ = 0;
};

// The absolute path of an open file; "" when it has none.
[[nodiscard]] std::string path_of(int file);

}  // namespace sluice::test
