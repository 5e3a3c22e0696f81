// A time of day and of the week, in a zone: "at night", "at weekends".
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "gateway/config/table.h"

namespace date {
class time_zone;
}

namespace sluice::config {

// Immutable; safe from any thread.
class TimeWindow {
 public:
  // The keys `from` and `to` ("22:30", "24:00" at most), `days` ("mon" to "sun") and `zone`
  // ("Europe/Berlin"; default: that of this machine), and notes every mistake. Unknown keys
  // are for the caller, who may know more.
  [[nodiscard]] static TimeWindow read(Table& table);

  // From `from` up to, not with, `to`; over midnight where `to` is earlier. A day is the
  // one on which the window began.
  [[nodiscard]] bool contains(std::chrono::system_clock::time_point time) const;

  // "mon tue 22:00 to 06:00 Europe/Berlin"
  [[nodiscard]] std::string text() const;

  bool operator==(const TimeWindow&) const = default;

 private:
  std::chrono::minutes from_{0};
  std::chrono::minutes to_{24 * 60};
  std::vector<bool> days_;  // from Sunday; empty: all
  const date::time_zone* zone_ = nullptr;
};

}  // namespace sluice::config
