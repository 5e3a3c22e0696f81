#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/command/certificates.h"
#include "gateway/command/command.h"
#include "gateway/command/setup.h"

namespace sluice::command {

namespace {

nlohmann::json as_json(std::vector<config::Mistake> list) {
  nlohmann::json array = nlohmann::json::array();
  std::ranges::stable_sort(list, {}, &config::Mistake::line);
  for (const config::Mistake& mistake : list) {
    array.push_back({{"line", mistake.line}, {"message", mistake.message}});
  }
  return array;
}

}  // namespace

int check(const std::string& config_file, bool json) {
  const Setup setup = load(config_file, "");
  check_certificates(setup.config, *setup.mistakes, Outdated::is_mistake);
  const bool right = setup.mistakes->empty();
  if (json) {
    const nlohmann::json told{{"file", config_file},
                              {"valid", right},
                              {"mistakes", as_json(setup.mistakes->list())},
                              {"warnings", as_json(setup.mistakes->warnings())}};
    std::cout << told.dump(2) << '\n';
    return right ? kOk : kMistakes;
  }
  std::cerr << setup.mistakes->text();
  if (right) {
    std::cout << config_file << ": no mistakes: " << setup.config.listeners.size()
              << " listener(s), " << setup.config.routes.size() << " route(s), "
              << setup.config.destinations.size() << " destination(s)\n";
  }
  return right ? kOk : kMistakes;
}

}  // namespace sluice::command
