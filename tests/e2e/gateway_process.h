// The built program as its users run it: a process with a configuration file, a log
// and a command line, and nothing of its inside.
//
//   GatewayProcess gateway(folder.path("gateway"), config_text);
//   gateway.start();
//   send_images(gateway.port(), files);
//   EXPECT_EQ(gateway.stop(), 0);
//
// One thread calls it. Data and configuration stay in the folder over restarts.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/support/fixtures.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {

// Generous: under a sanitizer on a busy machine.
inline constexpr std::chrono::seconds kDeadline{120};

// What a program left behind.
struct Finished {
  int exit_code = -1;
  std::string out;
  std::string err;

  [[nodiscard]] nlohmann::json json() const {
    auto parsed = nlohmann::json::parse(out, nullptr, false);
    if (parsed.is_discarded()) throw std::runtime_error("no JSON: " + out + "\n" + err);
    return parsed;
  }
};

// Runs a program to its end. Throws when it does not come to one.
inline Finished run_program(std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  const std::string errors = folder.path("errors");
  std::vector<std::string> all = {"/bin/sh", "-c", R"(exec "$@" 2>"$0")", errors};
  all.insert(all.end(), arguments.begin(), arguments.end());
  Process process(std::move(all));
  const auto exit_code = process.wait(kDeadline);
  if (!exit_code) throw std::runtime_error(arguments.front() + " does not end");
  return {*exit_code, process.output(), read_file(errors)};
}

class GatewayProcess {
 public:
  // `routing` is all of the configuration but [gateway] and [[listener]], which its
  // first lines may still belong to; `options` are more lines for [gateway].
  GatewayProcess(std::string folder, const std::string& routing, const std::string& options = "")
      : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    configure(routing, options);
  }

  // For the next start.
  void configure(const std::string& routing, const std::string& options = "") const {
    std::ofstream file(config_file());
    file << "[gateway]\ndata_dir = \"" << data_dir() << "\"\nlog_format = \"json\"\n"
         << options
         << "\n[[listener]]\nname = \"modalities\"\naddress = \"127.0.0.1\"\nport = 0\n\n"
         << routing;
    if (!file.flush()) throw std::runtime_error("cannot write " + config_file());
  }

  // Returns when it listens. Throws, with its log, when it does not.
  void start() {
    process_ = std::make_unique<Process>(
        std::vector<std::string>{SLUICE_PROGRAM, "serve", "--config", config_file()});
    const auto listening = wait_for_line("listening");
    if (!listening) throw std::runtime_error("the gateway does not listen: " + process_->output());
    port_ = listening->at("port").get<std::uint16_t>();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

  [[nodiscard]] pid_t process_id() const { return process_->id(); }

  void ask_to_stop() const { process_->signal(SIGTERM); }
  // The exit code; nullopt when it did not end.
  [[nodiscard]] std::optional<int> wait() { return process_->wait(kDeadline); }
  [[nodiscard]] std::optional<int> stop() {
    ask_to_stop();
    return wait();
  }
  void kill() {
    process_->signal(SIGKILL);
    if (process_->wait(kDeadline) != -SIGKILL) throw std::runtime_error("not killed");
  }

  // The lines of its log with this message, since the last start.
  [[nodiscard]] std::vector<nlohmann::json> lines(std::string_view message) const {
    std::vector<nlohmann::json> found;
    std::istringstream text(process_->output());
    for (std::string line; std::getline(text, line);) {
      auto parsed = nlohmann::json::parse(line, nullptr, false);
      if (parsed.is_object() && parsed.value("message", "") == message) found.push_back(parsed);
    }
    return found;
  }
  // True once there are this many.
  [[nodiscard]] bool wait_for_lines(std::string_view message, std::size_t count) const {
    return wait_until([&] { return lines(message).size() >= count; }, kDeadline);
  }
  [[nodiscard]] std::optional<nlohmann::json> wait_for_line(std::string_view message) const {
    if (!wait_for_lines(message, 1)) return std::nullopt;
    return lines(message).front();
  }
  [[nodiscard]] std::string log() const { return process_->output(); }

  // `sluice COMMAND... --config FILE`.
  [[nodiscard]] Finished run(std::vector<std::string> command) const {
    command.insert(command.begin(), SLUICE_PROGRAM);
    command.insert(command.end(), {"--config", config_file()});
    return run_program(std::move(command));
  }

  // How many deliveries are in each state, history included.
  [[nodiscard]] std::map<std::string, std::uint64_t> counts(
      const std::string& destination = "") const {
    std::map<std::string, std::uint64_t> counts;
    const nlohmann::json listed = run({"queue", "list", "--all", "--limit", "1", "--json"}).json();
    for (const auto& each : listed.at("counts")) {
      if (!destination.empty() && each.at("destination") != destination) continue;
      counts[each.at("state").get<std::string>()] += each.at("count").get<std::uint64_t>();
    }
    return counts;
  }
  // True once exactly these are in the queue and nothing else.
  [[nodiscard]] bool wait_for_counts(const std::map<std::string, std::uint64_t>& expected,
                                     const std::string& destination = "") const {
    return wait_until([&] { return counts(destination) == expected; }, kDeadline);
  }

  // The images that rest in the spool.
  [[nodiscard]] std::vector<std::string> spooled() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(data_dir() + "/spool")) {
      if (entry.path().filename() != ".lock") files.push_back(entry.path().string());
    }
    return files;
  }
  [[nodiscard]] bool wait_for_empty_spool() const {
    return wait_until([&] { return spooled().empty(); }, kDeadline);
  }

  [[nodiscard]] std::string config_file() const { return folder_ + "/sluice.toml"; }
  [[nodiscard]] std::string data_dir() const { return folder_ + "/data"; }

 private:
  std::string folder_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace sluice::test
