// What several subcommands begin with: the configuration, its pipeline, and the places
// below data_dir.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/command/test_table.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/setup.h"

namespace sluice::command {

// Reads and builds everything. `mistakes` tells whether it is usable. `tests`: gets those of this
// file, for `sluice test`.
[[nodiscard]] Setup load(const std::string& config_file, const std::string& site_key,
                         std::vector<ConfigurationTest>* tests = nullptr);

// The same; prints the mistakes and returns nullopt when there are any.
[[nodiscard]] std::optional<Setup> load_or_print(const std::string& config_file,
                                                 const std::string& site_key);

// Reads the configuration only, for commands that need no more than data_dir.
[[nodiscard]] std::optional<config::Config> load_config_or_print(const std::string& config_file);

[[nodiscard]] std::string spool_folder(const config::Config& config);
[[nodiscard]] std::string queue_file(const config::Config& config);
[[nodiscard]] std::string ledger_file(const config::Config& config);
[[nodiscard]] std::string audit_file(const config::Config& config);

// What a route may name: destinations and groups.
[[nodiscard]] std::vector<std::string> names_of_destinations(const config::Config& config);

// False after a message: a destination or group that the configuration does not have.
[[nodiscard]] bool are_destinations(const config::Config& config,
                                    const std::vector<std::string>& names);

// "sluice: MESSAGE" to stderr; returns kFailed.
int fail(const std::string& message);

}  // namespace sluice::command
