// Verdicts as words, for people and for scripts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gateway/pipeline/filter.h"

namespace sluice::command {

// "pass", "drop", "reject" or "quarantine".
[[nodiscard]] std::string name_of(const Verdict& verdict);
// "" of Pass.
[[nodiscard]] std::string reason_of(const Verdict& verdict);
// Of Reject.
[[nodiscard]] std::optional<std::uint16_t> status_of(const Verdict& verdict);
// "0xC000"
[[nodiscard]] std::string status_text(std::uint16_t status);

}  // namespace sluice::command
