// Mistakes of a configuration for scripts: `line` and `message` of each, by line.
#pragma once

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "gateway/config/table.h"

namespace sluice::command {

[[nodiscard]] inline nlohmann::json as_json(std::vector<config::Mistake> list) {
  nlohmann::json array = nlohmann::json::array();
  std::ranges::stable_sort(list, {}, &config::Mistake::line);
  for (const config::Mistake& mistake : list) {
    array.push_back({{"line", mistake.line}, {"message", mistake.message}});
  }
  return array;
}

}  // namespace sluice::command
