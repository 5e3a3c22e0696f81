// What each family of counters, gauges and histograms means: the HELP of the Prometheus text.
//
// A family that counts and does not stand here has no help. tests/check_metrics.py holds this
// list, the code that counts, and the table in docs/operations.md together.
#pragma once

#include <span>
#include <string_view>

namespace sluice {

enum class MetricKind { counter, gauge, histogram };

struct MetricFamily {
  std::string_view name;
  MetricKind kind;
  std::string_view help;
};

// By name.
[[nodiscard]] std::span<const MetricFamily> metric_families();

}  // namespace sluice
