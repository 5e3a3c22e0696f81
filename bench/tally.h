// What was answered and when, and what a benchmark says of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include <nlohmann/json.hpp>

namespace sluice::bench {

using Clock = std::chrono::steady_clock;

// Of one thread; added up when all have ended.
class Tally {
 public:
  // One that was begun at `from` (or was due then) and is answered now.
  void add(Clock::time_point from) { answers_.push_back({from, Clock::now()}); }
  void add(const Tally& other) {
    answers_.insert(answers_.end(), other.answers_.begin(), other.answers_.end());
  }

  // `begin`: when the first could be sent; seconds of it on the clock that Python calls
  // monotonic. `each`: bytes of one. `interval`: of the timeline, in ms; 0: none is given.
  [[nodiscard]] nlohmann::json report(Clock::time_point begin, std::size_t each,
                                      std::size_t interval = 0) {
    std::ranges::sort(answers_, {}, &Answer::at);
    const Clock::time_point end = answers_.empty() ? begin : answers_.back().at;
    const double seconds = std::max(milliseconds(end - begin) / 1000, 1e-9);
    const auto count = static_cast<double>(answers_.size());
    const double bytes = count * static_cast<double>(each);
    nlohmann::json report = {{"instances", answers_.size()},
                             {"bytes", bytes},
                             {"began", milliseconds(begin.time_since_epoch()) / 1000},
                             {"seconds", seconds},
                             {"instances_per_second", count / seconds},
                             {"megabytes_per_second", bytes / seconds / 1e6},
                             {"longest_gap_ms", longest_gap(begin)},
                             {"latency_ms", latencies()}};
    if (interval > 0) report["timeline"] = timeline(begin, end, interval);
    return report;
  }

 private:
  struct Answer {
    Clock::time_point from;
    Clock::time_point at;
  };
  static double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
  }

  // In which nothing was answered to anyone.
  [[nodiscard]] double longest_gap(Clock::time_point begin) const {
    double longest = 0;
    for (const Answer& answer : answers_) {
      longest = std::max(longest, milliseconds(answer.at - begin));
      begin = answer.at;
    }
    return longest;
  }

  [[nodiscard]] nlohmann::json latencies() const {
    std::vector<double> all;
    all.reserve(answers_.size());
    for (const Answer& answer : answers_) all.push_back(milliseconds(answer.at - answer.from));
    std::ranges::sort(all);
    const auto at = [&](double share) {
      if (all.empty()) return 0.0;
      const auto place = static_cast<std::size_t>(share * static_cast<double>(all.size()));
      return all[std::min(all.size() - 1, place)];
    };
    return {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", at(1)}};
  }

  // How many were answered in each interval.
  [[nodiscard]] std::vector<std::size_t> timeline(Clock::time_point begin, Clock::time_point end,
                                                  std::size_t interval) const {
    const auto place = [&](Clock::time_point at) {
      return static_cast<std::size_t>(milliseconds(at - begin)) / interval;
    };
    std::vector<std::size_t> counts(place(end) + 1);
    for (const Answer& answer : answers_) ++counts[place(std::max(answer.at, begin))];
    return counts;
  }

  std::vector<Answer> answers_;
};

}  // namespace sluice::bench
