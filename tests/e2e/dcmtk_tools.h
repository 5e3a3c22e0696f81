// DCMTK's programs as the peers: storescu is the modality, storescp the PACS.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/gateway_process.h"
#include "tests/support/process.h"

namespace sluice::test {

// A port that nobody listens on, for a peer that comes, goes and comes back: below
// those that the system gives to outgoing connections, so that none takes it meanwhile.
inline std::uint16_t quiet_port() {
  std::random_device random;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const auto port =
        static_cast<std::uint16_t>(std::uniform_int_distribution<unsigned>(15000, 30000)(random));
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const bool bound =
        ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(descriptor);
    if (bound) return port;
  }
  throw std::runtime_error("no quiet port");
}

// A PACS that writes what it receives bit by bit, each instance to a file of its own.
class StorescpProcess {
 public:
  explicit StorescpProcess(std::string folder, std::vector<std::string> options = {"+xa"})
      : folder_(std::move(folder)), options_(std::move(options)), port_(quiet_port()) {
    std::filesystem::create_directories(folder_);
  }
  ~StorescpProcess() { stop(); }
  StorescpProcess(const StorescpProcess&) = delete;
  StorescpProcess& operator=(const StorescpProcess&) = delete;

  // On the same port each time. One process per association, so that none waits.
  void start() {
    std::vector<std::string> arguments = {// A session of its own: its children end with it.
                                          "setsid",    "storescp", "--fork", "-v",   "+B",
                                          "+uf",       "-pm",      "-dhl",   "-aet", "PACS",
                                          "--max-pdu", "131072",   "-od",    folder_};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    arguments.push_back(std::to_string(port_));
    process_ = std::make_unique<Process>(std::move(arguments));
    if (!wait_for_port(port_)) throw std::runtime_error("no storescp: " + process_->output());
  }
  // Associations that are open break.
  void stop() {
    if (!process_) return;
    process_->signal_group(SIGKILL);
    (void)process_->wait();
    process_.reset();
  }

  // What it and its children wrote since the start.
  [[nodiscard]] std::string log() const { return process_->output(); }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // For a configuration.
  [[nodiscard]] std::string address() const {
    return "dicom://PACS@127.0.0.1:" + std::to_string(port_);
  }

  // Every instance that it received.
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      files.insert(entry.path().string());
    }
    return files;
  }
  // That were opened since the last start, the look whether it is there among them.
  [[nodiscard]] std::size_t associations() const {
    const std::string log = process_->output();
    const std::string received = "Association Received";
    std::size_t count = 0;
    for (auto at = log.find(received); at != std::string::npos; at = log.find(received, at + 1)) {
      ++count;
    }
    return count;
  }
  [[nodiscard]] bool wait_for_files(std::size_t count) const {
    return wait_until([&] { return files().size() >= count; }, kDeadline);
  }

 private:
  std::string folder_;
  std::vector<std::string> options_;
  std::uint16_t port_;
  std::unique_ptr<Process> process_;
};

inline std::vector<std::string> storescu_arguments(std::uint16_t port,
                                                   const std::vector<std::string>& images,
                                                   const std::vector<std::string>& options = {}) {
  std::vector<std::string> arguments = {"storescu", "-v",     "-nh",       "-aet",  "MODALITY",
                                        "-aec",     "SLUICE", "--max-pdu", "131072"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"127.0.0.1", std::to_string(port)});
  arguments.insert(arguments.end(), images.begin(), images.end());
  return arguments;
}

// What storescu -v wrote: how many instances were answered by success. Its exit code
// does not tell.
inline std::size_t count_successes(const std::string& log) {
  const std::string success = "Received Store Response (Success)";
  std::size_t count = 0;
  for (std::size_t at = 0; (at = log.find(success, at)) != std::string::npos;
       at += success.size()) {
    ++count;
  }
  return count;
}

// Sends them by storescu on one association; true when each was answered by success.
[[nodiscard]] inline bool send_images(std::uint16_t port, const std::vector<std::string>& images,
                                      const std::vector<std::string>& options = {}) {
  const Finished finished = run_program(storescu_arguments(port, images, options));
  return finished.exit_code == 0 && count_successes(finished.out + finished.err) == images.size();
}

}  // namespace sluice::test
