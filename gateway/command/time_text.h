// Times for people and scripts: "2026-11-21T01:30:00Z", UTC.
#pragma once

#include <array>
#include <chrono>
#include <ctime>
#include <string>

namespace sluice::command {

[[nodiscard]] inline std::string time_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm broken_down{};
  gmtime_r(&seconds, &broken_down);
  std::array<char, 32> text{};
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
  return {text.data(), length};
}

// "45s", "12m", "7h", "3d": the greatest whole unit.
[[nodiscard]] inline std::string age_text(std::chrono::system_clock::duration age) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  if (seconds < 172800) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

}  // namespace sluice::command
