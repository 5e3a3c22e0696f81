// How urgent a delivery is, in DICOM's words: Priority (0000,0700), PS3.7 9.3.1.1. The most urgent
// is the least of them, in the queue's file too.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace sluice::config {

enum class Priority { high, medium, low };

inline constexpr std::array<std::string_view, 3> kPriorityNames = {"high", "medium", "low"};

[[nodiscard]] constexpr std::string_view to_string(Priority priority) {
  return kPriorityNames.at(static_cast<std::size_t>(priority));
}

}  // namespace sluice::config
