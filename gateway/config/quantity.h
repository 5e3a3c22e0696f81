// Durations and sizes as a person writes them: a whole number and a unit.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::config {

inline constexpr std::string_view kDurationUnits = "ms, s, min, h, d";
inline constexpr std::string_view kSizeUnits = "B, KB, MB, GB, TB, KiB, MiB, GiB, TiB";

// The bounds keep sums of a value and a clock, or of several values, in range.
inline constexpr std::chrono::milliseconds kLongestDuration = std::chrono::hours(24) * 36500;
inline constexpr std::uint64_t kLargestSize = 1ULL << 60U;

// "30s", "10 min". nullopt: no whole number, no or an unknown unit, or above the bound.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// "64 KiB", "512 MB". nullopt as above. 1 KB is 1000 B, 1 KiB is 1024 B.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace sluice::config
