// What came of trying a destination, for people and for scripts.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "gateway/config/config.h"
#include "gateway/deliver/trial.h"

namespace sluice::command {

// The keys are an interface: docs/operations.md names them.
[[nodiscard]] nlohmann::json to_json(const config::Destination& destination, const Trial& trial);

// Lines; SOP classes that are accepted in the same transfer syntaxes stand together.
[[nodiscard]] std::string to_text(const config::Destination& destination, const Trial& trial);

}  // namespace sluice::command
