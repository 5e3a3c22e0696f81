#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/certificates.h"
#include "gateway/command/command.h"
#include "gateway/command/mistakes_json.h"
#include "gateway/command/setup.h"
#include "gateway/command/trial_text.h"
#include "gateway/deliver/trial.h"

namespace sluice::command {

namespace {

// Named, or a member of a group that is.
bool is_wanted(const std::string& destination, const config::Config& config,
               const CheckOptions& options) {
  const auto is_named = [&](const std::string& name) {
    return std::ranges::find(options.destinations, name) != options.destinations.end();
  };
  return options.destinations.empty() || is_named(destination) ||
         std::ranges::any_of(config.groups, [&](const config::Group& group) {
           return is_named(group.name) &&
                  std::ranges::find(group.destinations, destination) != group.destinations.end();
         });
}

// One after the other: two names may lead to one PACS. Each is told as soon as it is known.
int try_destinations(const config::Config& config, const CheckOptions& options,
                     nlohmann::json& told) {
  // What is refused for security is told by the trial, and not by the log too.
  log::configure(log::Level::error, log::Format::human);
  int exit_code = kOk;
  told = nlohmann::json::array();
  for (const config::Destination& destination : config.destinations) {
    if (!is_wanted(destination.name, config, options)) continue;
    const Trial trial = try_destination(destination);
    if (!trial.problem.empty()) exit_code = kFailed;
    if (options.json) {
      told.push_back(to_json(destination, trial));
    } else {
      std::cout << to_text(destination, trial) << std::flush;
    }
  }
  return exit_code;
}

}  // namespace

int check(const std::string& config_file, const CheckOptions& options) {
  const Setup setup = load(config_file, "");
  check_certificates(setup.config, *setup.mistakes, Outdated::is_mistake);
  const bool right = setup.mistakes->empty();
  if (!options.json) {
    std::cerr << setup.mistakes->text();
    if (right) {
      std::cout << config_file << ": no mistakes: " << setup.config.listeners.size()
                << " listener(s), " << setup.config.routes.size() << " route(s), "
                << setup.config.destinations.size() << " destination(s), "
                << setup.config.groups.size() << " group(s)\n"
                << std::flush;
    }
  }
  nlohmann::json told{{"file", config_file},
                      {"valid", right},
                      {"mistakes", as_json(setup.mistakes->list())},
                      {"warnings", as_json(setup.mistakes->warnings())}};
  int exit_code = right ? kOk : kMistakes;
  if (right && options.connect) {
    if (!are_destinations(setup.config, options.destinations)) return kUsage;
    exit_code = try_destinations(setup.config, options, told["destinations"]);
  }
  if (options.json) std::cout << told.dump(2) << '\n';
  return exit_code;
}

}  // namespace sluice::command
