// What several subcommands begin with: the configuration, its pipeline, and the places
// below data_dir.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/command/test_table.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/pipeline.h"

namespace sluice::command {

struct Setup {
  std::unique_ptr<config::Mistakes> mistakes;  // the tables in `config` refer to it
  config::Config config;
  std::unique_ptr<Pipeline> pipeline;
  std::vector<ConfigurationTest> tests;  // of this file, for `sluice test`
};

// Reads and builds everything. `mistakes` tells whether it is usable.
[[nodiscard]] Setup load(const std::string& config_file, const std::string& site_key);

// The same; prints the mistakes and returns nullopt when there are any.
[[nodiscard]] std::optional<Setup> load_or_print(const std::string& config_file,
                                                 const std::string& site_key);

// Reads the configuration only, for commands that need no more than data_dir.
[[nodiscard]] std::optional<config::Config> load_config_or_print(const std::string& config_file);

[[nodiscard]] std::string spool_folder(const config::Config& config);
[[nodiscard]] std::string queue_file(const config::Config& config);
[[nodiscard]] std::string ledger_file(const config::Config& config);
[[nodiscard]] std::string audit_file(const config::Config& config);

// False after a message: a destination that the configuration does not have.
[[nodiscard]] bool are_destinations(const config::Config& config,
                                    const std::vector<std::string>& names);

// "sluice: MESSAGE" to stderr; returns kFailed.
int fail(const std::string& message);

}  // namespace sluice::command
