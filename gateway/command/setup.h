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

// Where nothing was found for it: whether the configuration does not know it, or it is a member of
// a group.
void explain_none_for(const config::Config& config, const std::string& destination);

// "sluice: MESSAGE" to stderr; returns kFailed.
int fail(const std::string& message);

}  // namespace sluice::command
