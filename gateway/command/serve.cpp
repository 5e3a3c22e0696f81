#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>

#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/command/certificates.h"
#include "gateway/command/command.h"
#include "gateway/command/gateway.h"
#include "gateway/command/reload.h"
#include "gateway/command/service_manager.h"
#include "gateway/command/setup.h"
#include "gateway/command/site_key.h"
#include "gateway/net/acceptor.h"
#include "gateway/net/inherited_sockets.h"

namespace sluice::command {
namespace {

constexpr int kHousekeepingMilliseconds = 500;

// An instance takes some hundred KB and gives them back. Each thread's heap keeps so much of it,
// and grows by so much: every change of its size stops all threads for a moment.
void keep_memory() {
  constexpr int kKept = 16 * 1024 * 1024;
  constexpr int kGrownBy = 1024 * 1024;
  static_cast<void>(::mallopt(M_TRIM_THRESHOLD, kKept));
  static_cast<void>(::mallopt(M_TOP_PAD, kGrownBy));
}

// Patient data lives below it: for its owner only, unless it was made otherwise.
Result<void> make_data_dir(const std::string& path) {
  std::error_code error;
  const auto parent = std::filesystem::absolute(path).parent_path();
  std::filesystem::create_directories(parent, error);
  if (!error && (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)) return {};
  const std::string reason = error ? error.message() : std::strerror(errno);
  return failure(ErrorCode::configuration, "data_dir " + path + " cannot be made: " + reason);
}

// Sockets and files at a time. The half-open connections that are put up with are more
// than the usual soft limit, 1024: without this they would leave none for images.
void raise_descriptor_limit(const config::Config& config) {
  constexpr std::size_t kEach = 3;      // socket, file, one of the other side's
  constexpr std::size_t kOthers = 192;  // databases, log, listeners, spare files, who watches
  std::size_t wanted = net::Limits{}.half_open + kOthers +
                       kEach * static_cast<std::size_t>(config.gateway.max_associations);
  for (const config::Destination& destination : config.destinations) {
    wanted += kEach * static_cast<std::size_t>(destination.associations);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_cur < wanted) {
    log::warning(
        "few file descriptors: many connections at a time may leave none for images; "
        "raise the limit (ulimit -Hn, LimitNOFILE)",
        {{"limit", limit.rlim_cur}, {"wanted", wanted}});
  }
}

sigset_t awaited_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// The certificates, which are files of their own; and what is warned of goes to the log.
bool check_at_start(const std::string& config_file, const Setup& setup) {
  config::Mistakes& mistakes = *setup.mistakes;
  check_certificates(setup.config, mistakes, Outdated::is_warning);
  if (!mistakes.empty()) {
    std::cerr << mistakes.text();
    return false;
  }
  for (const config::Mistake& warning : mistakes.warnings()) {
    log::warning("configuration",
                 {{"file", config_file}, {"line", warning.line}, {"reason", warning.message}});
  }
  return true;
}

// The signal that came; 0: none.
int take_signal(const FileDescriptor& signals) {
  signalfd_siginfo taken{};
  const ssize_t length = ::read(signals.get(), &taken, sizeof taken);
  return length == sizeof taken ? static_cast<int>(taken.ssi_signo) : 0;
}

// Keeps house until SIGTERM or SIGINT; reloads for SIGHUP, and for whoever asks at the socket.
void run(RunningGateway& gateway, Reloader& reloader, const FileDescriptor& signals,
         const ReloadSocket& asked) {
  for (;;) {
    std::array<pollfd, 2> waiting{{{signals.get(), POLLIN, 0}, {asked.descriptor(), POLLIN, 0}}};
    const bool is_called = ::poll(waiting.data(), waiting.size(), kHousekeepingMilliseconds) > 0;
    const int signal = is_called && waiting[0].revents != 0 ? take_signal(signals) : 0;
    if (signal == SIGTERM || signal == SIGINT) {
      log::info("stopping", {{"signal", strsignal(signal)}});
      return;
    }
    if (signal == SIGHUP) static_cast<void>(reloader.reload());
    if (is_called && waiting[1].revents != 0) asked.serve(reloader);
    if (is_called) raise_descriptor_limit(reloader.config());
    gateway.keep_house();
  }
}

}  // namespace

int serve(const std::string& config_file) {
  keep_memory();
  ::umask(077);
  // Before any thread starts: both change the environment.
  const ServiceManager manager;
  auto inherited = net::take_inherited_sockets();
  if (!inherited) return fail(inherited.error().message);
  // Before any thread starts, so that all inherit it and the signal comes here.
  const sigset_t awaited = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  const FileDescriptor signals(::signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.is_valid()) return fail("no signals: " + std::string(std::strerror(errno)));
  const auto config = load_config_or_print(config_file);
  if (!config) return kMistakes;
  log::configure(config->gateway.log_level, config->gateway.log_format);
  raise_descriptor_limit(*config);
  if (const auto made = make_data_dir(config->gateway.data_dir); !made) {
    return fail(made.error().message);
  }
  const auto key = read_or_make_site_key(config->gateway.data_dir);
  if (!key) return fail(key.error().message);
  auto loaded = load_or_print(config_file, *key);
  if (!loaded || !check_at_start(config_file, *loaded)) return kMistakes;
  const std::string data_dir = loaded->config.gateway.data_dir;
  // Nothing may hold it here: it ends when the last that goes by it has.
  auto setup = std::make_shared<const Setup>(std::move(*loaded));
  auto gateway = RunningGateway::start(setup, std::move(*inherited));
  if (!gateway) return fail(gateway.error().message);
  const auto asked = ReloadSocket::open(data_dir);
  if (!asked) return fail(asked.error().message);
  Reloader reloader(**gateway, config_file, *key, std::move(setup));
  manager.tell("READY=1");
  run(**gateway, reloader, signals, *asked);
  manager.tell("STOPPING=1");
  if (!(*gateway)->stop()) {
    log::warning("a destination hangs; ended without waiting for it");
    std::quick_exit(kOk);  // its deliveries are still in the queue
  }
  return kOk;
}

}  // namespace sluice::command
