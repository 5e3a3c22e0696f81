#include "gateway/command/reload.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/command/certificates.h"
#include "gateway/command/command.h"
#include "gateway/command/mistakes_json.h"

namespace sluice::command {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kBacklog = 8;
constexpr timeval kAnswerTimeout{1, 0};  // what is answered fits into the socket's buffer
// A check may wait some seconds for a file of values that is being written.
constexpr std::chrono::minutes kPatience{2};

std::string socket_file(const std::string& data_dir) {
  return data_dir + "/reload.socket";
}

std::string text_of_errno(int error_number) {
  return std::generic_category().message(error_number);
}

// A socket's path is short by nature; a longer one is reached through its open folder.
class SocketAddress {
 public:
  explicit SocketAddress(const std::string& data_dir) {
    std::string path = socket_file(data_dir);
    if (path.size() >= sizeof(address_.sun_path)) {
      folder_ = FileDescriptor(::open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      path = socket_file("/proc/self/fd/" + std::to_string(folder_.get()));
    }
    address_.sun_family = AF_UNIX;
    std::ranges::copy(path, std::begin(address_.sun_path));
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t kSize = sizeof(sockaddr_un);

 private:
  FileDescriptor folder_;
  sockaddr_un address_{};
};

FileDescriptor unix_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

// Each of these is held open, or laid out, by what a start makes.
void check_unchanged(const config::Config& before, const config::Config& after,
                     config::Mistakes& mistakes) {
  const auto compare = [&](bool same, const char* what) {
    if (same) return;
    mistakes.add(0,
                 std::string(what) + " has changed, which takes a restart; nothing was reloaded");
  };
  compare(before.gateway.data_dir == after.gateway.data_dir, "data_dir");
  compare(before.gateway.log_format == after.gateway.log_format, "log_format");
  compare(before.audit == after.audit, "[audit]");
  compare(before.metrics == after.metrics, "[metrics]");
}

Reloaded reloaded_of(const config::Mistakes& mistakes) {
  return {mistakes.empty(), mistakes.list(), mistakes.warnings(), mistakes.text()};
}

std::string answer_of(const Reloaded& reloaded, const std::string& config_file) {
  std::error_code error;
  const std::string file = std::filesystem::absolute(config_file, error).lexically_normal();
  return nlohmann::json{{"file", error ? config_file : file},
                        {"reloaded", reloaded.done},
                        {"mistakes", as_json(reloaded.mistakes)},
                        {"warnings", as_json(reloaded.warnings)},
                        {"text", reloaded.text}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void tell(const Reloaded& reloaded, const std::string& config_file) {
  count("sluice_reloads_total", {{"outcome", reloaded.done ? "reloaded" : "refused"}});
  const auto tell_each = [&](const auto& list, auto line) {
    for (const config::Mistake& each : list) {
      line("configuration", {{"file", config_file}, {"line", each.line}, {"reason", each.message}});
    }
  };
  tell_each(reloaded.warnings, log::warning);
  tell_each(reloaded.mistakes, log::error);
  if (reloaded.done) {
    log::info("configuration reloaded", {{"file", config_file}});
  } else {
    log::error("configuration not reloaded: nothing has changed",
               {{"file", config_file}, {"mistakes", reloaded.mistakes.size()}});
  }
}

// All until the other side ends; nullopt when it does not in time, or breaks off.
std::optional<std::string> read_answer(int socket) {
  std::string answer;
  const auto deadline = steady_clock::now() + kPatience;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    pollfd waiting{socket, POLLIN, 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::max(left, milliseconds(0)).count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    std::array<char, 4096> block{};
    const ssize_t got = ::recv(socket, block.data(), block.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return answer;
    answer.append(block.data(), static_cast<std::size_t>(got));
  }
}

// The gateway reads what it was started with, whatever it is asked by.
bool is_its_own(const std::string& config_file, const std::string& read) {
  std::error_code error;
  if (std::filesystem::equivalent(config_file, read, error) && !error) return true;
  std::cerr << "sluice: the gateway was started with " << log::escape(read)
            << " and has read that; " << log::escape(config_file) << " is not in use\n";
  return false;
}

int tell_person(const nlohmann::json& answer, const std::string& config_file, bool for_script) {
  const std::string read = answer.value("file", config_file);
  const bool done = answer.value("reloaded", false) && is_its_own(config_file, read);
  std::cerr << answer.value("text", "");
  if (for_script) {
    std::cout << nlohmann::json{{"file", read},
                                {"reloaded", answer.value("reloaded", false)},
                                {"mistakes", answer.at("mistakes")},
                                {"warnings", answer.at("warnings")}}
                     .dump(2)
              << '\n';
  } else if (done) {
    std::cout << "reloaded\n";
  } else if (!answer.value("reloaded", false)) {
    std::cerr << "sluice: not reloaded: nothing has changed\n";
  }
  return done ? kOk : kMistakes;
}

}  // namespace

Reloader::Reloader(RunningGateway& gateway, std::string config_file, std::string site_key,
                   std::shared_ptr<const Setup> setup)
    : gateway_(gateway),
      config_file_(std::move(config_file)),
      site_key_(std::move(site_key)),
      setup_(std::move(setup)) {}

Reloaded Reloader::reload() noexcept {
  Reloaded reloaded;
  try {
    try {
      reloaded = try_to_reload();
    } catch (const std::exception& exception) {
      reloaded.mistakes = {{0, exception.what()}};
      reloaded.text = config_file_ + ": " + exception.what() + "\n";
    }
    tell(reloaded, config_file_);
  } catch (const std::exception&) {
    // No memory to tell it.
  }
  return reloaded;
}

Reloaded Reloader::try_to_reload() {
  log::info("configuration is read again", {{"file", config_file_}});
  auto next = std::make_shared<Setup>(load(config_file_, site_key_));
  config::Mistakes& mistakes = *next->mistakes;
  check_certificates(next->config, mistakes, Outdated::is_warning);
  if (mistakes.empty()) check_unchanged(setup_->config, next->config, mistakes);
  if (mistakes.empty()) {
    if (const auto swapped = gateway_.reload(next); !swapped) {
      mistakes.add(0, swapped.error().message);
    } else {
      setup_ = next;
    }
  }
  return reloaded_of(mistakes);
}

Result<ReloadSocket> ReloadSocket::open(const std::string& data_dir) {
  const std::string path = socket_file(data_dir);
  const auto unusable = [&](const char* what) {
    return failure(ErrorCode::configuration,
                   "cannot " + std::string(what) + " " + path + ": " + text_of_errno(errno));
  };
  const SocketAddress address(data_dir);
  FileDescriptor listening = unix_socket();
  if (!listening.is_valid()) return unusable("make a socket for");
  // Of one that was killed.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return unusable("remove");
  if (::bind(listening.get(), address.get(), SocketAddress::kSize) != 0) return unusable("make");
  if (::chmod(path.c_str(), 0600) != 0) return unusable("set the mode of");
  if (::listen(listening.get(), kBacklog) != 0) return unusable("listen at");
  if (::fcntl(listening.get(), F_SETFL, O_NONBLOCK) != 0) return unusable("listen at");
  return ReloadSocket(std::move(listening), path);
}

ReloadSocket::~ReloadSocket() {
  if (listening_.is_valid()) static_cast<void>(::unlink(path_.c_str()));
}

void ReloadSocket::serve(Reloader& reloader) const {
  const FileDescriptor asking(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!asking.is_valid()) return;
  const std::string answer = answer_of(reloader.reload(), reloader.config_file());
  static_cast<void>(
      ::setsockopt(asking.get(), SOL_SOCKET, SO_SNDTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout));
  std::string_view left = answer;
  while (!left.empty()) {
    const ssize_t sent = ::send(asking.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // whoever asked has gone
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// With mistakes in it the file may still say where the gateway is, which then finds the same
// and writes them into its log; but a data_dir that is not said could be another's.
int reload(const std::string& config_file, bool json) {
  const Setup setup = load(config_file, "");
  const std::string& data_dir = setup.config.gateway.data_dir;
  const bool is_right = setup.mistakes->empty();
  const auto own = [&] {
    return nlohmann::json::parse(answer_of(reloaded_of(*setup.mistakes), config_file), nullptr,
                                 false);
  };
  if (!is_right && data_dir == config::Gateway{}.data_dir)
    return tell_person(own(), config_file, json);
  const SocketAddress address(data_dir);
  const FileDescriptor socket = unix_socket();
  if (!socket.is_valid()) return fail("no socket: " + text_of_errno(errno));
  if (::connect(socket.get(), address.get(), SocketAddress::kSize) != 0) {
    const int error = errno;
    if (!is_right) return tell_person(own(), config_file, json);
    if (error != ENOENT && error != ECONNREFUSED) {
      return fail("cannot ask the gateway at " + socket_file(data_dir) + ": " +
                  text_of_errno(error));
    }
    std::cerr << "sluice: no gateway runs with data_dir " << log::escape(data_dir) << '\n';
    return kNotFound;
  }
  const auto text = read_answer(socket.get());
  const auto answer = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json(nullptr);
  if (!answer.is_object()) return fail("the gateway gave no answer; its log says what it did");
  return tell_person(answer, config_file, json);
}

}  // namespace sluice::command
