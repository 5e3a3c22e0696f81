// A disk that fails where a test wants it to. A program that links sluice_test_faults has
// its own write, fdatasync, rename and so on, which the linker prefers to libc's, also for
// the calls of SQLite's library: so no durable step can be forgotten by an interface that
// it does not go through. docs/decisions/0010 says more.
//
//   const FailingCall failing(Call::fdatasync, EIO, 2);  // the second one from now
//
// In a program of its own the environment says the same (see read_environment()):
//
//   SLUICE_TEST_FAULT="call=fdatasync path=queue.db-wal nth=3 do=kill when=after"
//
// With a root, what a power cut would take away below it is known: `do=cut` takes it away
// and kills the process. What is written to standard streams never fails.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

namespace sluice::test {

// By what they do: openat is open, pwrite is write, rename is renameat and so on.
enum class Call {
  none,
  open,  // for writing, or of what is made
  write,
  truncate,
  allocate,
  fdatasync,
  fsync,
  close,  // of a file that was opened for writing; it is closed all the same
  renameat,
  linkat,
  unlinkat,
  send,  // sendmsg
  read,  // of a regular file
  any,   // each of the above but send and read, which change nothing
};

enum class Action { fail, kill, cut };

struct FailurePlan {
  std::atomic<Call> call = Call::none;
  std::atomic<int> countdown = 0;
  std::atomic<int> error_number = EIO;
  std::atomic<bool> from_then_on = false;
  std::atomic<int> fired = 0;
  // Set before `call`, by one thread.
  Action action = Action::fail;
  bool after = false;     // kill and cut behind the call, not before it
  std::string path = {};  // only calls on what has this in its path; "": any
};
[[nodiscard]] FailurePlan& failure_plan();

// Reads SLUICE_TEST_FAULT, words "key=value": call (as above), path, nth, do (kill, cut or
// an errno's name: EIO, ENOSPC), when (before, after), sticky (1), root (a folder whose
// unsynced changes are followed), seed (0: a cut takes all that was not synced; else some
// of it, by chance). Ends the program when it cannot be read.
void read_environment();

// While it lives, the nth call from now on fails, and later ones when asked.
class FailingCall {
 public:
  // `path`: as FailurePlan has it.
  FailingCall(Call call, int error_number, int nth = 1, bool from_then_on = false,
              const std::string& path = "") {
    FailurePlan& plan = failure_plan();
    plan.path = path;
    plan.action = Action::fail;
    plan.countdown = nth;
    plan.error_number = error_number;
    plan.from_then_on = from_then_on;
    plan.fired = 0;
    plan.call = call;
  }
  ~FailingCall() { failure_plan().call = Call::none; }
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;

  [[nodiscard]] static bool fired() { return failure_plan().fired > 0; }
};

}  // namespace sluice::test
