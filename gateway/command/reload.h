// A new configuration for the gateway that runs, and how the one who asks for it hears what
// became of it.
//
//   SIGHUP            reads the file again; the log says the rest
//   sluice reload     connects to data_dir/reload.socket, which asks for the same, and is told
//
// The socket is for the owner of data_dir only. Whoever connects says nothing; the answer is
// one JSON document, and the end of the connection.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"
#include "gateway/command/gateway.h"
#include "gateway/command/setup.h"

namespace sluice::command {

// What became of a reload. Not done: nothing has changed, for these mistakes.
struct Reloaded {
  bool done = false;
  std::vector<config::Mistake> mistakes;
  std::vector<config::Mistake> warnings;
  std::string text;  // of all of these, a line each
};

// Checks the file as a start would, and swaps. What a start alone can change, and has
// changed, is a mistake. Told to log and counter.
class Reloader {
 public:
  // The gateway must outlive it.
  Reloader(RunningGateway& gateway, std::string config_file, std::string site_key,
           std::shared_ptr<const Setup> setup);
  [[nodiscard]] const std::string& config_file() const { return config_file_; }

  [[nodiscard]] Reloaded reload() noexcept;

  // The one in force.
  [[nodiscard]] const config::Config& config() const { return setup_->config; }

 private:
  [[nodiscard]] Reloaded try_to_reload();

  RunningGateway& gateway_;
  std::string config_file_;
  std::string site_key_;
  std::shared_ptr<const Setup> setup_;
};

// Where `sluice reload` asks. One thread.
class ReloadSocket {
 public:
  // Errors: configuration. The gateway must have data_dir for itself.
  [[nodiscard]] static Result<ReloadSocket> open(const std::string& data_dir);
  ~ReloadSocket();
  ReloadSocket(ReloadSocket&& other) noexcept = default;
  ReloadSocket(const ReloadSocket&) = delete;
  ReloadSocket& operator=(const ReloadSocket&) = delete;
  ReloadSocket& operator=(ReloadSocket&&) = delete;

  // Readable when somebody asks.
  [[nodiscard]] int descriptor() const { return listening_.get(); }
  // Reloads for whoever asks, if somebody does, and answers.
  void serve(Reloader& reloader) const;

 private:
  ReloadSocket(FileDescriptor listening, std::string path)
      : listening_(std::move(listening)), path_(std::move(path)) {}
  FileDescriptor listening_;
  std::string path_;
};

}  // namespace sluice::command
