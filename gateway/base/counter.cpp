#include "gateway/base/counter.h"

#include <mutex>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace sluice {
namespace {

struct Counters {
  std::mutex mutex;
  prometheus::Registry registry;
  std::map<std::string, prometheus::Family<prometheus::Counter>*> families;
  std::map<std::string, prometheus::Family<prometheus::Gauge>*> gauges;
};

Counters& counters() {
  static Counters all;
  return all;
}

prometheus::Counter& find(const std::string& name, const Labels& labels) {
  Counters& all = counters();
  const std::lock_guard lock(all.mutex);
  auto& family = all.families[name];
  if (family == nullptr) family = &prometheus::BuildCounter().Name(name).Register(all.registry);
  return family->Add(labels);
}

prometheus::Gauge& find_gauge(const std::string& name, const Labels& labels) {
  Counters& all = counters();
  const std::lock_guard lock(all.mutex);
  auto& family = all.gauges[name];
  if (family == nullptr) family = &prometheus::BuildGauge().Name(name).Register(all.registry);
  return family->Add(labels);
}

}  // namespace

void count(const std::string& name, const Labels& labels, std::uint64_t by) {
  find(name, labels).Increment(static_cast<double>(by));
}

std::uint64_t counted(const std::string& name, const Labels& labels) {
  return static_cast<std::uint64_t>(find(name, labels).Value());
}

void set_gauge(const std::string& name, const Labels& labels, double value) {
  find_gauge(name, labels).Set(value);
}

double gauge(const std::string& name, const Labels& labels) {
  return find_gauge(name, labels).Value();
}

std::string counters_text() {
  return prometheus::TextSerializer().Serialize(counters().registry.Collect());
}

}  // namespace sluice
