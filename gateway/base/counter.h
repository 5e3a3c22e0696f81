// Every outcome has a counter: a name and labels, in one registry for the process.
//
//   count("sluice_instances_total", {{"outcome", "stored"}});
//
// A gauge stands beside them for what goes up and down:
//
//   set_gauge("sluice_certificate_seconds_left", {{"name", "pacs"}}, 86400);
//
// Names and labels come from the code, never from the network, so that the number
// of series stays bounded. Safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace sluice {

using Labels = std::map<std::string, std::string>;

void count(const std::string& name, const Labels& labels = {}, std::uint64_t by = 1);

// The present value; 0 for one that never counted. For tests and the drain report.
[[nodiscard]] std::uint64_t counted(const std::string& name, const Labels& labels = {});

void set_gauge(const std::string& name, const Labels& labels, double value);

// The present value; 0 for one that was never set.
[[nodiscard]] double gauge(const std::string& name, const Labels& labels = {});

// All counters and gauges in the Prometheus text format.
[[nodiscard]] std::string counters_text();

}  // namespace sluice
