#include "gateway/base/sqlite_vfs.h"

#include <cstddef>
#include <new>
#include <thread>

#include <sqlite3.h>

namespace sluice::sqlite {
namespace {

constexpr unsigned kWritesAtOnce = 8;  // of a page each: some 50 microseconds of a checkpoint
constexpr unsigned kMostUnsynced = 128;

// Behind the default's own object, for which SQLite gives as much memory as szOsFile says.
struct Own {
  const sqlite3_io_methods* theirs = nullptr;
  sqlite3_io_methods methods = {};
  unsigned writes = 0;  // since the last sync
};

Own& own(sqlite3_file& file) {
  static const int size = sqlite3_vfs_find(nullptr)->szOsFile;
  // NOLINTNEXTLINE(cppcoreguidelines-*): memory of C, made in open_file()
  auto* const behind = reinterpret_cast<std::byte*>(&file) + size;
  return *std::launder(reinterpret_cast<Own*>(behind));  // NOLINT(*-reinterpret-cast): as above
}

int sync_and_count(sqlite3_file* file, int flags) {
  own(*file).writes = 0;
  return own(*file).theirs->xSync(file, flags);
}

int write_in_pieces(sqlite3_file* file, const void* bytes, int length, sqlite3_int64 offset) {
  const int written = own(*file).theirs->xWrite(file, bytes, length, offset);
  if (written != SQLITE_OK) return written;
  const unsigned writes = ++own(*file).writes;
  if (writes % kWritesAtOnce == 0) std::this_thread::yield();
  // An error is told here and now: the next sync may know nothing of it.
  return writes < kMostUnsynced ? SQLITE_OK
                                : sync_and_count(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

int open_file(sqlite3_vfs* /*own*/, const char* name, sqlite3_file* file, int flags, int* opened) {
  sqlite3_vfs* const theirs = sqlite3_vfs_find(nullptr);
  const int code = theirs->xOpen(theirs, name, file, flags, opened);
  const bool is_temporary = name == nullptr;
  if (code != SQLITE_OK || is_temporary) return code;
  Own& made = *new (&own(*file)) Own{file->pMethods, *file->pMethods};
  made.methods.xWrite = &write_in_pieces;
  made.methods.xSync = &sync_and_count;
  file->pMethods = &made.methods;
  return code;
}

}  // namespace

const char* yielding_vfs() {
  static sqlite3_vfs vfs = *sqlite3_vfs_find(nullptr);
  static const bool is_known = [] {
    vfs.zName = "sluice";
    vfs.szOsFile += sizeof(Own);
    vfs.xOpen = &open_file;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  return is_known ? vfs.zName : nullptr;
}

}  // namespace sluice::sqlite
