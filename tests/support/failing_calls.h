// Makes a chosen system call fail, once or from then on. A program that includes this
// has its own write, pwrite, fdatasync, fsync, renameat and unlinkat, which the linker
// prefers to libc's, also for the calls of SQLite's library. Include it in one file of
// a test program only.
//
//   const FailingCall failing(Call::fdatasync, EIO, 2);  // the second one from now
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sluice::test {

enum class Call { none, write, fdatasync, fsync, renameat, unlinkat };

struct FailurePlan {
  std::atomic<Call> call = Call::none;
  std::atomic<int> countdown = 0;
  std::atomic<int> error_number = 0;
  std::atomic<bool> from_then_on = false;
  std::atomic<int> fired = 0;
};
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): calls of C know no object
inline FailurePlan failure_plan;

inline bool is_to_fail(Call call) {
  if (failure_plan.call != call) return false;
  const int left = --failure_plan.countdown;
  if (left > 0 || (left < 0 && !failure_plan.from_then_on)) return false;
  ++failure_plan.fired;
  errno = failure_plan.error_number;
  return true;
}

// While it lives, the nth call from now on fails, and later ones when asked.
class FailingCall {
 public:
  FailingCall(Call call, int error_number, int nth = 1, bool from_then_on = false) {
    failure_plan.countdown = nth;
    failure_plan.error_number = error_number;
    failure_plan.from_then_on = from_then_on;
    failure_plan.fired = 0;
    failure_plan.call = call;
  }
  ~FailingCall() { failure_plan.call = Call::none; }
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;

  [[nodiscard]] static bool fired() { return failure_plan.fired > 0; }
};

}  // namespace sluice::test

// The names after __asm__ are what the linker sees.
// NOLINTBEGIN(misc-definitions-in-headers): one file of a program includes this.
extern "C" {

[[gnu::used]] ssize_t failing_write(int file, const void* bytes, size_t length) __asm__("write");
[[gnu::used]] ssize_t failing_pwrite(int file, const void* bytes, size_t length,
                                     off_t offset) __asm__("pwrite");
[[gnu::used]] ssize_t failing_pwrite64(int file, const void* bytes, size_t length,
                                       off64_t offset) __asm__("pwrite64");
[[gnu::used]] int failing_fdatasync(int file) __asm__("fdatasync");
[[gnu::used]] int failing_fsync(int file) __asm__("fsync");
[[gnu::used]] int failing_renameat(int from_folder, const char* from, int to_folder,
                                   const char* to) __asm__("renameat");
[[gnu::used]] int failing_unlinkat(int folder, const char* name, int flags) __asm__("unlinkat");

inline constexpr int kLastStandardStream = 2;  // what a test prints never fails

ssize_t failing_write(int file, const void* bytes, size_t length) {
  using sluice::test::Call;
  if (file > kLastStandardStream && sluice::test::is_to_fail(Call::write)) return -1;
  return syscall(SYS_write, file, bytes, length);
}

ssize_t failing_pwrite(int file, const void* bytes, size_t length, off_t offset) {
  if (sluice::test::is_to_fail(sluice::test::Call::write)) return -1;
  return syscall(SYS_pwrite64, file, bytes, length, offset);
}

ssize_t failing_pwrite64(int file, const void* bytes, size_t length, off64_t offset) {
  if (sluice::test::is_to_fail(sluice::test::Call::write)) return -1;
  return syscall(SYS_pwrite64, file, bytes, length, offset);
}

int failing_fdatasync(int file) {
  if (sluice::test::is_to_fail(sluice::test::Call::fdatasync)) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, file));
}

int failing_fsync(int file) {
  if (sluice::test::is_to_fail(sluice::test::Call::fsync)) return -1;
  return static_cast<int>(syscall(SYS_fsync, file));
}

int failing_renameat(int from_folder, const char* from, int to_folder, const char* to) {
  if (sluice::test::is_to_fail(sluice::test::Call::renameat)) return -1;
  return static_cast<int>(syscall(SYS_renameat, from_folder, from, to_folder, to));
}

int failing_unlinkat(int folder, const char* name, int flags) {
  if (sluice::test::is_to_fail(sluice::test::Call::unlinkat)) return -1;
  return static_cast<int>(syscall(SYS_unlinkat, folder, name, flags));
}

}  // extern "C"
// NOLINTEND(misc-definitions-in-headers)
