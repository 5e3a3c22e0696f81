// The subcommands of `sluice`. Each returns an exit code, prints what was asked for to
// stdout and what went wrong to stderr. With `json`, stdout is one JSON document.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/queue/queue.h"

namespace sluice::command {

// For scripts.
inline constexpr int kOk = 0;
inline constexpr int kMistakes = 1;  // the configuration is wrong
inline constexpr int kUsage = 2;     // the command line is wrong
inline constexpr int kNotFound = 3;  // nothing matches
inline constexpr int kFailed = 4;    // a file, database, port or destination could not be used
inline constexpr int kDiffers = 5;   // of replay()

// Receives, repairs, keeps and delivers until SIGTERM or SIGINT.
[[nodiscard]] int serve(const std::string& config_file);

// Has the gateway of this file's data_dir read its configuration again, and waits until it goes
// by it. kMistakes: there are some, and nothing has changed; kNotFound: no gateway runs.
[[nodiscard]] int reload(const std::string& config_file, bool json);

struct CheckOptions {
  bool json = false;
  bool connect = false;
  std::vector<std::string> destinations;  // to connect to; empty: all
};
// All mistakes of a configuration, with their lines. Warnings are told and change no exit code.
// With `connect` and no mistakes, each destination is tried, one after the other; kFailed when
// one does not work.
[[nodiscard]] int check(const std::string& config_file, const CheckOptions& options);

struct ExplainOptions {
  std::vector<std::string> images;  // Part 10 files
  std::string calling_ae_title = "MODALITY";
  std::string called_ae_title = "SLUICE";
  std::string peer_address = "127.0.0.1";
  std::string listener;  // default: the first
  bool json = false;
};
// What would become of an image: routes, edits, verdict, destinations. Sends nothing,
// writes nothing.
[[nodiscard]] int explain(const std::string& config_file, const ExplainOptions& options);

struct TestOptions {
  std::vector<std::string> files;  // configurations, or files of tests that name one
  bool json = false;
};
// Runs every [[test]] of these files. Sends nothing, writes nothing. kMistakes when one fails or
// a file has a mistake or no test, kFailed when an image cannot be read.
[[nodiscard]] int test(const TestOptions& options);

struct ReplayOptions {
  std::string old_config;                          // to compare with; "": the queue's rows
  std::string data_dir;                            // "": that of the configuration
  std::optional<std::chrono::milliseconds> since;  // what came so long ago or later; nullopt: all
  bool json = false;
};
// What would become otherwise of what the queue has a file for, with this configuration. Sends
// nothing, writes nothing, locks nothing. kDiffers when something would, kNotFound when there is
// nothing to compare, kFailed when something could not be read.
[[nodiscard]] int replay(const std::string& config_file, const ReplayOptions& options);

struct QueueOptions {
  QueueFilter filter;
  bool all = false;                       // retry and discard need a filter or this
  bool deliveries = true;                 // false: only what was rejected is asked for
  bool rejections = true;                 // of list and show
  std::string reason;                     // of discard and release
  std::vector<std::string> destinations;  // of release; empty: those of the route
  bool json = false;
};
[[nodiscard]] int queue_list(const std::string& config_file, const QueueOptions& options);
// Whether all that was ever accepted is accounted for; kFailed when it is not.
[[nodiscard]] int queue_sum(const std::string& config_file, bool json);
[[nodiscard]] int queue_show(const std::string& config_file, const QueueOptions& options);
[[nodiscard]] int queue_retry(const std::string& config_file, const QueueOptions& options);
// Quarantined instances go on despite the verdict.
[[nodiscard]] int queue_release(const std::string& config_file, const QueueOptions& options);
[[nodiscard]] int queue_discard(const std::string& config_file, const QueueOptions& options);

// Whether storage has failed, and since when; kNotFound when it has not.
[[nodiscard]] int fault_show(const std::string& config_file, bool json);
// A person's word that the disk can be trusted again; holds from the next start.
[[nodiscard]] int fault_clear(const std::string& config_file, const std::string& reason, bool json);

// Every replacement that has this UID on either side.
[[nodiscard]] int ledger_lookup(const std::string& config_file, const std::string& uid, bool json);

// What check_series found suspect in the time until now. It shows patient data.
[[nodiscard]] int report_series(const std::string& config_file, std::chrono::milliseconds since,
                                bool json);

}  // namespace sluice::command
