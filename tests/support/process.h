// A program that runs beside the test: started, watched and ended with the object.
#pragma once

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temporary_folder.h"

namespace sluice::test {

inline constexpr std::chrono::seconds kProcessDeadline{60};

// Waits until the condition holds; false when the deadline passes first.
template <typename Condition>
[[nodiscard]] bool wait_until(Condition condition,
                              std::chrono::milliseconds deadline = std::chrono::seconds(30)) {
  const auto limit = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class Process {
 public:
  // The program is looked up in PATH. Its output, both streams, goes to a file.
  explicit Process(std::vector<std::string> arguments, const std::string& directory = "/")
      : output_(folder_.path("output")) {
    std::vector<char*> pointers;
    pointers.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const pid_t forked = ::fork();
    if (forked < 0) throw std::runtime_error("fork failed");
    if (forked == 0) {
      // Only calls that are safe between fork and exec.
      const int output = ::open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      const bool ready = output >= 0 && ::dup2(output, 1) >= 0 && ::dup2(output, 2) >= 0 &&
                         ::chdir(directory.c_str()) == 0;
      if (ready) ::execvp(pointers[0], pointers.data());
      ::_exit(127);
    }
    process_ = forked;
  }
  ~Process() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The exit code, -signal when killed; nullopt while it runs on past the deadline.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds deadline = kProcessDeadline) {
    int status = 0;
    const bool ended = wait_until(
        [&] { return process_ <= 0 || ::waitpid(process_, &status, WNOHANG) == process_; },
        deadline);
    if (!ended) return std::nullopt;
    if (process_ <= 0) return exit_code_;
    process_ = -1;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return exit_code_;
  }

  // -1 once wait() has seen its end.
  [[nodiscard]] pid_t id() const { return process_; }

  void signal(int number) const {
    if (process_ > 0) ::kill(process_, number);
  }
  // To its children too, for a program that was started with setsid.
  void signal_group(int number) const {
    if (process_ > 0) ::kill(-process_, number);
  }

  // Everything it has written so far.
  [[nodiscard]] std::string output() const {
    std::ifstream file(output_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  TemporaryFolder folder_;
  std::string output_;
  pid_t process_ = -1;  // running
  int exit_code_ = 0;
};

// A port that nobody had a moment ago, for programs that cannot tell which they got.
inline std::uint16_t free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw std::runtime_error("no socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound =
      ::bind(descriptor, generic, length) == 0 && ::getsockname(descriptor, generic, &length) == 0;
  ::close(descriptor);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// True when one could listen on the port of this machine.
inline bool is_free(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool bound =
      ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(descriptor);
  return bound;
}

// True once somebody listens on the port of this machine.
[[nodiscard]] inline bool wait_for_port(std::uint16_t port) {
  return wait_until([port] {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const bool connected =
        ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(descriptor);
    return connected;
  });
}

}  // namespace sluice::test
