// How long to leave alone what failed: doubled from attempt to attempt up to a limit,
// with jitter so that many that failed together do not come back together.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace sluice {

// `failures` counts from 1. Between half and the whole of min(least * 2^(failures-1), most).
[[nodiscard]] inline std::chrono::milliseconds back_off(int failures,
                                                        std::chrono::milliseconds least,
                                                        std::chrono::milliseconds most) {
  constexpr int kMostDoublings = 20;
  const long long doubled = least.count() * (1LL << std::clamp(failures - 1, 0, kMostDoublings));
  const long long whole = std::clamp(doubled, 1LL, std::max<long long>(1, most.count()));
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<long long> spread(whole / 2, whole);
  return std::chrono::milliseconds(spread(random));
}

// How many failures had led to this wait, so that a restart goes on from there: never fewer,
// perhaps one more; 0 for none.
[[nodiscard]] inline int failures_before(std::chrono::milliseconds wait,
                                         std::chrono::milliseconds least) {
  if (wait.count() <= 0) return 0;
  int failures = 1;
  for (long long whole = std::max<long long>(1, least.count()); whole <= wait.count(); whole *= 2) {
    ++failures;
  }
  return failures;
}

}  // namespace sluice
