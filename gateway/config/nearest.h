// The known name that a mistyped one most likely meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::config {

// Counts inserted, removed, replaced and swapped neighbouring characters, letter
// case aside; up to a third of the longer name may differ. The first of equals
// wins; nullopt when none is near.
[[nodiscard]] std::optional<std::string> nearest(std::string_view name,
                                                 std::span<const std::string> known);

// "; did you mean 'port'?", or what is known when nothing is near:
// "; known here: port, address", or "" when nothing is known.
[[nodiscard]] std::string suggestion(std::string_view name, std::span<const std::string> known);

// "a, b, c"
[[nodiscard]] std::string join(std::span<const std::string> names);

}  // namespace sluice::config
