#include "gateway/command/setup.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <utility>

#include "filters/filters.h"
#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/config/nearest.h"
#include "gateway/dicom/transfer_syntax.h"
#include "gateway/dicom/vr.h"

namespace sluice::command {
namespace {

void check_transfer_syntaxes(const config::Config& config, config::Mistakes& mistakes) {
  for (const config::Listener& listener : config.listeners) {
    for (const std::string& uid : listener.transfer_syntaxes) {
      if (dicom::is_readable(uid)) continue;
      mistakes.warn(listener.transfer_syntaxes_line,
                    "transfer_syntaxes: " + uid + " cannot be read, and is never accepted");
    }
  }
}

// Without the tables of filters, conditions and tests, which refer to mistakes that end before it.
config::Config without_tables(config::Config config) {
  config.filters.clear();
  config.tests.clear();
  for (config::Route& route : config.routes) route.when.reset();
  return config;
}

}  // namespace

Setup load(const std::string& config_file, const std::string& site_key,
           std::vector<ConfigurationTest>* tests) {
  Setup setup;
  setup.mistakes = std::make_shared<config::Mistakes>(config_file);
  if (const auto dictionary = dicom::check_dictionary(); !dictionary) {
    setup.mistakes->add(0, dictionary.error().message);
  }
  setup.config = config::load(config_file, *setup.mistakes);
  check_transfer_syntaxes(setup.config, *setup.mistakes);
  setup.pipeline = Pipeline::build(setup.config, filter_types(), site_key, *setup.mistakes);
  auto read = read_tests(setup.config.tests, setup.config,
                         std::filesystem::path(config_file).parent_path().string());
  if (tests != nullptr) *tests = std::move(read);
  return setup;
}

std::optional<Setup> load_or_print(const std::string& config_file, const std::string& site_key) {
  Setup setup = load(config_file, site_key);
  if (setup.mistakes->empty()) return setup;
  std::cerr << setup.mistakes->text();
  return std::nullopt;
}

std::optional<config::Config> load_config_or_print(const std::string& config_file) {
  auto setup = load_or_print(config_file, "");
  if (!setup) return std::nullopt;
  return without_tables(std::move(setup->config));
}

std::optional<config::Config> load_places_or_print(const std::string& config_file) {
  config::Mistakes mistakes(config_file);
  config::Config config = config::load(config_file, mistakes);
  if (mistakes.empty()) return without_tables(std::move(config));
  std::cerr << mistakes.text();
  return std::nullopt;
}

std::string spool_folder(const config::Config& config) {
  return config.gateway.data_dir + "/spool";
}
std::string queue_file(const config::Config& config) {
  return config.gateway.data_dir + "/queue.db";
}
std::string ledger_file(const config::Config& config) {
  return config.gateway.data_dir + "/ledger.db";
}
std::string audit_file(const config::Config& config) {
  return config.gateway.data_dir + "/audit.db";
}

std::vector<std::string> names_of_destinations(const config::Config& config) {
  std::vector<std::string> names;
  names.reserve(config.destinations.size() + config.groups.size());
  for (const config::Destination& each : config.destinations) names.push_back(each.name);
  for (const config::Group& each : config.groups) names.push_back(each.name);
  return names;
}

bool are_destinations(const config::Config& config, const std::vector<std::string>& names) {
  const std::vector<std::string> known = names_of_destinations(config);
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end()) continue;
    std::cerr << "sluice: no destination or group is called '" << log::escape(name) << "'"
              << config::suggestion(name, known) << '\n';
    return false;
  }
  return true;
}

void explain_none_for(const config::Config& config, const std::string& destination) {
  if (destination.empty() || !are_destinations(config, {destination})) return;
  for (const config::Group& group : config.groups) {
    if (std::ranges::find(group.destinations, destination) == group.destinations.end()) continue;
    std::cerr << "sluice: deliveries to group '" << group.name
              << "' bear its name, whichever of its destinations they went to\n";
  }
}

int fail(const std::string& message) {
  std::cerr << "sluice: " << message << '\n';
  return kFailed;
}

}  // namespace sluice::command
