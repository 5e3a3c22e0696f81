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

// The same, for commands that need no more of it than the configuration.
[[nodiscard]] std::optional<config::Config> load_config_or_print(const std::string& config_file);

// Reads the configuration without building the filters: what a person looks at or decides must
// not wait until the options, conditions and files of filters are mended.
[[nodiscard]] std::optional<config::Config> load_places_or_print(const std::string& config_file);

[[nodiscard]] std::string spool_folder(const config::Config& config);
[[nodiscard]] std::string queue_file(const config::Config& config);
[[nodiscard]] std::string ledger_file(const config::Config& config);
[[nodiscard]] std::string audit_file(const config::Config& config);

// Of destinations and groups: what a route may lead to.
[[nodiscard]] std::vector<std::string> names_of_destinations(const config::Config& config);

// False after a message: what the configuration has neither as a destination nor as a group.
[[nodiscard]] bool are_destinations(const config::Config& config,
                                    const std::vector<std::string>& names);

// "sluice: MESSAGE" to stderr; returns kFailed.
int fail(const std::string& message);

}  // namespace sluice::command
