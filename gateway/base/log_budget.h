// How often a line may be logged that a stranger can provoke: a flood must not fill the
// disk. A few at once, then one now and then; what was left out is counted.
//
//   if (const auto left_out = budget.take()) log::warning("...", {{"left_out", *left_out}});
//
// One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace sluice {

class LogBudget {
 public:
  using Clock = std::chrono::steady_clock;

  LogBudget(int at_once, Clock::duration per_line)
      : at_once_(at_once), per_line_(per_line), left_(at_once) {}

  // How many lines were left out since the last one; nullopt: leave this out too.
  [[nodiscard]] std::optional<std::uint64_t> take(Clock::time_point now = Clock::now()) {
    const auto earned = (now - counted_until_) / per_line_;
    if (earned > 0) {
      left_ = static_cast<int>(std::min<std::int64_t>(at_once_, left_ + earned));
      counted_until_ = left_ == at_once_ ? now : counted_until_ + earned * per_line_;
    }
    if (left_ == 0) {
      ++left_out_;
      return std::nullopt;
    }
    --left_;
    return std::exchange(left_out_, 0);
  }

 private:
  const int at_once_;
  const Clock::duration per_line_;
  int left_;
  std::uint64_t left_out_ = 0;
  Clock::time_point counted_until_ = Clock::now();
};

}  // namespace sluice
