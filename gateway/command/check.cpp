#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/command/command.h"
#include "gateway/command/setup.h"

namespace sluice::command {

int check(const std::string& config_file, bool json) {
  const Setup setup = load(config_file, "");
  const bool right = setup.mistakes->empty();
  if (json) {
    nlohmann::json mistakes = nlohmann::json::array();
    auto list = setup.mistakes->list();
    std::ranges::stable_sort(list, {}, &config::Mistake::line);
    for (const config::Mistake& mistake : list) {
      mistakes.push_back({{"line", mistake.line}, {"message", mistake.message}});
    }
    std::cout
        << nlohmann::json{{"file", config_file}, {"valid", right}, {"mistakes", mistakes}}.dump(2)
        << '\n';
  } else if (right) {
    std::cout << config_file << ": no mistakes: " << setup.config.listeners.size()
              << " listener(s), " << setup.config.routes.size() << " route(s), "
              << setup.config.destinations.size() << " destination(s)\n";
  } else {
    std::cerr << setup.mistakes->text();
  }
  return right ? kOk : kMistakes;
}

}  // namespace sluice::command
