#include "tests/support/failing_calls.h"

#include <array>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string_view>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/power_cut.h"

namespace sluice::test {
namespace {

constexpr int kLastStandardStream = 2;  // what a test prints never fails

// Never destroyed: calls come until the very end of a process.
struct Disk {
  std::mutex mutex;
  FailurePlan plan;
  PowerCut power;
  std::uint32_t seed = 0;
};

Disk& disk() {
  // NOLINTNEXTLINE(cppcoreguidelines-*): calls come before and after all other statics live
  static Disk* const only = new Disk;
  return *only;
}

enum class Fate { go_on, fail, die_before, die_after };

template <typename Path>
Fate fate_of(Call call, const Path& path) {
  FailurePlan& plan = disk().plan;
  const Call planned = plan.call;
  const bool is_change = call != Call::send && call != Call::read;
  if (planned != call && (planned != Call::any || !is_change)) return Fate::go_on;
  if (!plan.path.empty() && path().find(plan.path) == std::string::npos) return Fate::go_on;
  const int left = --plan.countdown;
  if (left > 0 || (left < 0 && !plan.from_then_on)) return Fate::go_on;
  ++plan.fired;
  if (plan.action == Action::fail) return Fate::fail;
  return plan.after ? Fate::die_after : Fate::die_before;
}

// With the mutex held for ever, so that nothing is changed behind the cut.
[[noreturn]] void die() {
  if (disk().plan.action == Action::cut) disk().power.cut(disk().seed);
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

std::string absolute(int folder, const char* name) {
  if (name[0] == '/') return name;
  if (folder != AT_FDCWD) return path_of(folder) + "/" + name;
  std::array<char, 4096> here{};
  return syscall(SYS_getcwd, here.data(), here.size()) > 0 ? std::string(here.data()) + "/" + name
                                                           : std::string(name);
}

// One call: `before` and `after` follow what it changes.
template <typename Path, typename Before, typename Real, typename After>
long call_disk(Call call, const Path& path, const Before& before, const Real& real,
               const After& after) {
  Disk& here = disk();
  if (here.plan.call == Call::none && !here.power.is_following()) return real();
  const std::lock_guard lock(here.mutex);
  const Fate fate = fate_of(call, path);
  if (fate == Fate::fail) {
    if (call == Call::close) static_cast<void>(real());
    errno = here.plan.error_number;
    return -1;
  }
  if (fate == Fate::die_before) die();
  if (here.power.is_following()) before(here.power);
  const long result = real();
  const int error_number = errno;
  if (here.power.is_following()) {
    if (result >= 0) {
      after(here.power);
    } else {
      here.power.not_done();
    }
  }
  if (fate == Fate::die_after) die();
  errno = error_number;
  return result;
}

void nothing(PowerCut& /*power*/) {}

long write_at(int file, const void* bytes, std::size_t length, off_t offset) {
  return call_disk(
      Call::write, [&] { return path_of(file); },
      [&](PowerCut& power) { power.before_write(file, offset, length); },
      [&] { return syscall(SYS_pwrite64, file, bytes, length, offset); },
      [&](PowerCut& power) {
        if ((::fcntl(file, F_GETFL) & O_DSYNC) != 0) power.synced(file);
      });
}

long write_on(int file, const void* bytes, std::size_t length) {
  const auto real = [&] { return syscall(SYS_write, file, bytes, length); };
  if (file <= kLastStandardStream) return real();
  return call_disk(
      Call::write, [&] { return path_of(file); },
      [&](PowerCut& power) {
        const bool appends = (::fcntl(file, F_GETFL) & O_APPEND) != 0;
        power.before_write(file, ::lseek(file, 0, appends ? SEEK_END : SEEK_CUR), length);
      },
      real, nothing);
}

bool is_regular(int file) {
  struct stat status {};
  return ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

// Sockets and pipes are read by the same calls.
template <typename Real>
long read_file(int file, const Real& real) {
  if (disk().plan.call != Call::read || !is_regular(file)) return real();
  return call_disk(
      Call::read, [&] { return path_of(file); }, nothing, real, nothing);
}

long read_on(int file, void* bytes, std::size_t length) {
  return read_file(file, [&] { return syscall(SYS_read, file, bytes, length); });
}

long read_at(int file, void* bytes, std::size_t length, off_t offset) {
  return read_file(file, [&] { return syscall(SYS_pread64, file, bytes, length, offset); });
}

long sync(Call call, int file) {
  return call_disk(
      call, [&] { return path_of(file); }, nothing,
      [&] { return syscall(call == Call::fsync ? SYS_fsync : SYS_fdatasync, file); },
      [&](PowerCut& power) { power.synced(file); });
}

// ThreadSanitizer must see descriptors come and go: two with one number are two.
#if defined(SLUICE_SANITIZED_THREADS)
long system_close(int file) {
  static const auto next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "close"));
  return next(file);
}
long system_open(int folder, const char* name, int flags, unsigned mode) {
  using Open = int (*)(int, const char*, int, ...);
  static const auto next = reinterpret_cast<Open>(::dlsym(RTLD_NEXT, "openat"));
  return next(folder, name, flags, mode);
}
#else
long system_close(int file) {
  return syscall(SYS_close, file);
}
long system_open(int folder, const char* name, int flags, unsigned mode) {
  return syscall(SYS_openat, folder, name, flags, mode);
}
#endif

bool is_open_for_writing(int file) {
  const int flags = ::fcntl(file, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && is_regular(file);
}

long close_file(int file) {
  const auto real = [&] { return system_close(file); };
  if (disk().plan.call == Call::none || !is_open_for_writing(file)) return real();
  return call_disk(
      Call::close, [&] { return path_of(file); }, nothing, real, nothing);
}

long open_file(int folder, const char* name, int flags, unsigned mode) {
  const auto real = [&] { return system_open(folder, name, flags, mode); };
  constexpr unsigned kWriting = O_WRONLY | O_RDWR | O_CREAT;
  const Disk& here = disk();
  if ((static_cast<unsigned>(flags) & kWriting) == 0 ||
      (here.plan.call == Call::none && !here.power.is_following())) {
    return real();
  }
  std::string path = absolute(folder, name);
  const bool makes = (flags & O_CREAT) != 0 && ::faccessat(folder, name, F_OK, 0) != 0;
  return call_disk(
      Call::open, [&] { return path; }, nothing, real,
      [&](PowerCut& power) {
        if (makes) power.created(path);
      });
}

long rename_file(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  const auto real = [&] { return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags); };
  return call_disk(
      Call::renameat, [&] { return absolute(to_folder, to); },
      [&](PowerCut& power) {
        power.before_rename(absolute(from_folder, from), absolute(to_folder, to));
      },
      real,
      [&](PowerCut& power) {
        power.renamed(absolute(from_folder, from), absolute(to_folder, to));
      });
}

long link_file(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  return call_disk(
      Call::linkat, [&] { return absolute(to_folder, to); }, nothing,
      [&] { return syscall(SYS_linkat, from_folder, from, to_folder, to, flags); },
      [&](PowerCut& power) { power.created(absolute(to_folder, to)); });
}

long unlink_file(int folder, const char* name, int flags) {
  return call_disk(
      Call::unlinkat, [&] { return absolute(folder, name); },
      [&](PowerCut& power) { power.before_unlink(absolute(folder, name)); },
      [&] { return syscall(SYS_unlinkat, folder, name, flags); },
      [&](PowerCut& power) { power.unlinked(absolute(folder, name)); });
}

long resize(int file, off_t length) {
  return call_disk(
      Call::truncate, [&] { return path_of(file); },
      [&](PowerCut& power) { power.before_resize(file); },
      [&] { return syscall(SYS_ftruncate, file, length); }, nothing);
}

long allocate(int file, int mode, off_t offset, off_t length) {
  return call_disk(
      Call::allocate, [&] { return path_of(file); },
      [&](PowerCut& power) { power.before_resize(file); },
      [&] { return syscall(SYS_fallocate, file, mode, offset, length); }, nothing);
}

[[noreturn]] void refuse(const std::string& what) {
  static_cast<void>(std::fprintf(stderr, "SLUICE_TEST_FAULT: %s\n", what.c_str()));
  std::_Exit(2);
}

Call parse_call(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, Call>, 13> kNames{
      {{"open", Call::open},
       {"write", Call::write},
       {"truncate", Call::truncate},
       {"allocate", Call::allocate},
       {"fdatasync", Call::fdatasync},
       {"fsync", Call::fsync},
       {"close", Call::close},
       {"rename", Call::renameat},
       {"link", Call::linkat},
       {"unlink", Call::unlinkat},
       {"send", Call::send},
       {"read", Call::read},
       {"any", Call::any}}};
  for (const auto& [known, call] : kNames) {
    if (known == name) return call;
  }
  refuse("no call is called " + name);
}

void read_word(const std::string& key, const std::string& value, Call& call) {
  Disk& here = disk();
  FailurePlan& plan = here.plan;
  if (key == "call") {
    call = parse_call(value);
  } else if (key == "path") {
    plan.path = value;
  } else if (key == "nth") {
    plan.countdown = std::stoi(value);
  } else if (key == "when") {
    plan.after = value == "after";
  } else if (key == "sticky") {
    plan.from_then_on = value == "1";
  } else if (key == "root") {
    here.power.follow(value);
  } else if (key == "seed") {
    here.seed = static_cast<std::uint32_t>(std::stoul(value));
  } else if (key == "do" && (value == "EIO" || value == "ENOSPC")) {
    plan.error_number = value == "EIO" ? EIO : ENOSPC;
  } else if (key == "do" && (value == "kill" || value == "cut")) {
    plan.action = value == "kill" ? Action::kill : Action::cut;
  } else {
    refuse("cannot read " + key + "=" + value);
  }
}

}  // namespace

FailurePlan& failure_plan() {
  return disk().plan;
}

void read_environment() {
  const char* text = std::getenv("SLUICE_TEST_FAULT");
  if (text == nullptr) return;
  disk().plan.countdown = 1;
  Call call = Call::none;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) refuse("no value: " + word);
    read_word(word.substr(0, equals), word.substr(equals + 1), call);
  }
  disk().plan.call = call;
}

}  // namespace sluice::test

// The names after __asm__ are what the linker sees.
extern "C" {

using sluice::test::Call;

int failing_open(const char* name, int flags, ...) __asm__("open");
int failing_open64(const char* name, int flags, ...) __asm__("open64");
int failing_openat(int folder, const char* name, int flags, ...) __asm__("openat");
int failing_openat64(int folder, const char* name, int flags, ...) __asm__("openat64");
ssize_t failing_read(int file, void* bytes, size_t length) __asm__("read");
ssize_t failing_pread(int file, void* bytes, size_t length, off_t offset) __asm__("pread");
ssize_t failing_pread64(int file, void* bytes, size_t length, off64_t offset) __asm__("pread64");
ssize_t failing_write(int file, const void* bytes, size_t length) __asm__("write");
ssize_t failing_pwrite(int file, const void* bytes, size_t length, off_t offset) __asm__("pwrite");
ssize_t failing_pwrite64(int file, const void* bytes, size_t length,
                         off64_t offset) __asm__("pwrite64");
int failing_ftruncate(int file, off_t length) __asm__("ftruncate");
int failing_ftruncate64(int file, off64_t length) __asm__("ftruncate64");
int failing_fallocate(int file, int mode, off_t offset, off_t length) __asm__("fallocate");
int failing_posix_fallocate(int file, off_t offset, off_t length) __asm__("posix_fallocate");
int failing_posix_fallocate64(int file, off64_t offset,
                              off64_t length) __asm__("posix_fallocate64");
int failing_fdatasync(int file) __asm__("fdatasync");
int failing_fsync(int file) __asm__("fsync");
int failing_close(int file) __asm__("close");
int failing_rename(const char* from, const char* to) __asm__("rename");
int failing_renameat(int from_folder, const char* from, int to_folder,
                     const char* to) __asm__("renameat");
int failing_renameat2(int from_folder, const char* from, int to_folder, const char* to,
                      unsigned flags) __asm__("renameat2");
int failing_link(const char* from, const char* to) __asm__("link");
int failing_unlink(const char* name) __asm__("unlink");
int failing_unlinkat(int folder, const char* name, int flags) __asm__("unlinkat");
ssize_t failing_sendmsg(int socket, const msghdr* message, int flags) __asm__("sendmsg");

// The mode is there when something may be made.
#define SLUICE_OPEN(folder)                   \
  unsigned mode = 0;                          \
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list more;                             \
    va_start(more, flags);                    \
    mode = va_arg(more, unsigned);            \
    va_end(more);                             \
  }                                           \
  return static_cast<int>(sluice::test::open_file(folder, name, flags, mode))

int failing_open(const char* name, int flags, ...) {
  SLUICE_OPEN(AT_FDCWD);
}
int failing_open64(const char* name, int flags, ...) {
  SLUICE_OPEN(AT_FDCWD);
}
int failing_openat(int folder, const char* name, int flags, ...) {
  SLUICE_OPEN(folder);
}
int failing_openat64(int folder, const char* name, int flags, ...) {
  SLUICE_OPEN(folder);
}

ssize_t failing_read(int file, void* bytes, size_t length) {
  return sluice::test::read_on(file, bytes, length);
}
ssize_t failing_pread(int file, void* bytes, size_t length, off_t offset) {
  return sluice::test::read_at(file, bytes, length, offset);
}
ssize_t failing_pread64(int file, void* bytes, size_t length, off64_t offset) {
  return sluice::test::read_at(file, bytes, length, offset);
}

ssize_t failing_write(int file, const void* bytes, size_t length) {
  return sluice::test::write_on(file, bytes, length);
}
ssize_t failing_pwrite(int file, const void* bytes, size_t length, off_t offset) {
  return sluice::test::write_at(file, bytes, length, offset);
}
ssize_t failing_pwrite64(int file, const void* bytes, size_t length, off64_t offset) {
  return sluice::test::write_at(file, bytes, length, offset);
}

int failing_ftruncate(int file, off_t length) {
  return static_cast<int>(sluice::test::resize(file, length));
}
int failing_ftruncate64(int file, off64_t length) {
  return static_cast<int>(sluice::test::resize(file, length));
}
int failing_fallocate(int file, int mode, off_t offset, off_t length) {
  return static_cast<int>(sluice::test::allocate(file, mode, offset, length));
}
// These return the error.
int failing_posix_fallocate(int file, off_t offset, off_t length) {
  return sluice::test::allocate(file, 0, offset, length) == 0 ? 0 : errno;
}
int failing_posix_fallocate64(int file, off64_t offset, off64_t length) {
  return sluice::test::allocate(file, 0, offset, length) == 0 ? 0 : errno;
}

int failing_fdatasync(int file) {
  return static_cast<int>(sluice::test::sync(Call::fdatasync, file));
}
int failing_fsync(int file) {
  return static_cast<int>(sluice::test::sync(Call::fsync, file));
}
int failing_close(int file) {
  return static_cast<int>(sluice::test::close_file(file));
}

int failing_rename(const char* from, const char* to) {
  return static_cast<int>(sluice::test::rename_file(AT_FDCWD, from, AT_FDCWD, to, 0));
}
int failing_renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return static_cast<int>(sluice::test::rename_file(from_folder, from, to_folder, to, 0));
}
int failing_renameat2(int from_folder, const char* from, int to_folder, const char* to,
                      unsigned flags) {
  return static_cast<int>(sluice::test::rename_file(from_folder, from, to_folder, to, flags));
}
int failing_link(const char* from, const char* to) {
  return static_cast<int>(sluice::test::link_file(AT_FDCWD, from, AT_FDCWD, to, 0));
}
int failing_unlink(const char* name) {
  return static_cast<int>(sluice::test::unlink_file(AT_FDCWD, name, 0));
}
int failing_unlinkat(int folder, const char* name, int flags) {
  return static_cast<int>(sluice::test::unlink_file(folder, name, flags));
}

ssize_t failing_sendmsg(int socket, const msghdr* message, int flags) {
  const auto real = [&] { return syscall(SYS_sendmsg, socket, message, flags); };
  if (sluice::test::failure_plan().call != Call::send) return real();
  return sluice::test::call_disk(
      Call::send, [] { return std::string(); }, sluice::test::nothing, real, sluice::test::nothing);
}

}  // extern "C"
