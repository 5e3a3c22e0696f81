// Texts with wild cards.
#pragma once

#include <string_view>

namespace sluice {

// `*` is any run of characters, `?` any one; all else stands for itself. Takes no longer than
// the product of both lengths.
[[nodiscard]] bool matches_glob(std::string_view glob, std::string_view text);

}  // namespace sluice
