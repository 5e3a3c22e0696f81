#include "gateway/base/counter.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "gateway/base/metric_families.h"

namespace sluice {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

// Upper bounds; what took longer is in one more. An association's round trip on the one end,
// a disk or a PACS in trouble on the other.
constexpr std::array kBounds = std::to_array<nanoseconds>(
    {microseconds(100), microseconds(200), microseconds(500), microseconds(1'000),
     microseconds(2'000), microseconds(5'000), microseconds(10'000), microseconds(20'000),
     microseconds(50'000), microseconds(100'000), microseconds(200'000), microseconds(500'000),
     microseconds(1'000'000), microseconds(2'000'000), microseconds(5'000'000),
     microseconds(10'000'000), microseconds(20'000'000), microseconds(60'000'000)});

constexpr double kNanosecondsOfASecond = 1e9;

}  // namespace

struct Histogram::Buckets {
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts{};
  std::atomic<std::uint64_t> nanoseconds_in_all = 0;
};

namespace {

struct Series {
  std::string name;
  MetricKind kind = MetricKind::counter;
  std::vector<std::pair<std::string, std::string>> labels;
  std::atomic<std::uint64_t> number = 0;  // of a counter
  std::atomic<double> value = 0;          // of a gauge
  std::unique_ptr<Histogram::Buckets> buckets;
  Series* next = nullptr;

  [[nodiscard]] bool is(MetricKind wanted, std::string_view its_name, Labels its_labels) const {
    return kind == wanted && name == its_name && labels.size() == its_labels.size() &&
           std::ranges::all_of(its_labels, [this](const Label& label) {
             return std::ranges::any_of(labels, [&](const auto& own) {
               return own.first == label.name && own.second == label.value;
             });
           });
  }
};

std::size_t hash_of(std::string_view name, Labels labels) {
  constexpr std::hash<std::string_view> kHash;
  std::size_t hash = kHash(name);
  for (const Label& label : labels) hash += kHash(label.name) ^ (3 * kHash(label.value));
  return hash;
}

// A table of chains to which series are only ever added, so that who looks needs no lock.
class Registry {
 public:
  [[nodiscard]] Series* look_up(MetricKind kind, std::string_view name, Labels labels) const {
    return look_up(chain_of(name, labels), kind, name, labels);
  }

  [[nodiscard]] Series& find(MetricKind kind, std::string_view name, Labels labels) {
    const std::size_t chain = chain_of(name, labels);
    if (Series* found = look_up(chain, kind, name, labels)) return *found;
    const std::lock_guard lock(mutex_);
    if (Series* found = look_up(chain, kind, name, labels)) return *found;
    auto made = std::make_unique<Series>();
    made->name = name;
    made->kind = kind;
    for (const Label& label : labels) made->labels.emplace_back(label.name, label.value);
    if (kind == MetricKind::histogram) made->buckets = std::make_unique<Histogram::Buckets>();
    made->next = chains_[chain].load(std::memory_order_relaxed);
    all_.push_back(std::move(made));
    chains_[chain].store(all_.back().get(), std::memory_order_release);
    return *all_.back();
  }

  template <typename Take>
  void for_each(Take take) {
    const std::lock_guard lock(mutex_);
    for (const auto& series : all_) take(*series);
  }

 private:
  static constexpr std::size_t kChains = 1024;

  [[nodiscard]] static std::size_t chain_of(std::string_view name, Labels labels) {
    return hash_of(name, labels) % kChains;
  }
  [[nodiscard]] Series* look_up(std::size_t chain, MetricKind kind, std::string_view name,
                                Labels labels) const {
    Series* series = chains_[chain].load(std::memory_order_acquire);
    while (series != nullptr && !series->is(kind, name, labels)) series = series->next;
    return series;
  }

  std::array<std::atomic<Series*>, kChains> chains_{};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Series>> all_;
};

Registry& registry() {
  static Registry all;
  return all;
}

struct OnDemand {
  std::mutex mutex;
  std::vector<const GaugesOnDemand*> owners;
};

OnDemand& on_demand() {
  static OnDemand all;
  return all;
}

prometheus::MetricType type_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::gauge:
      return prometheus::MetricType::Gauge;
    case MetricKind::histogram:
      return prometheus::MetricType::Histogram;
    case MetricKind::counter:
      break;
  }
  return prometheus::MetricType::Counter;
}

prometheus::ClientMetric::Histogram reading_of(const Histogram::Buckets& buckets) {
  prometheus::ClientMetric::Histogram read;
  for (std::size_t i = 0; i < buckets.counts.size(); ++i) {
    read.sample_count += buckets.counts[i].load(std::memory_order_relaxed);
    if (i == kBounds.size()) break;  // the serializer adds +Inf
    read.bucket.push_back({read.sample_count, std::chrono::duration<double>(kBounds[i]).count()});
  }
  read.sample_sum =
      static_cast<double>(buckets.nanoseconds_in_all.load(std::memory_order_relaxed)) /
      kNanosecondsOfASecond;
  return read;
}

}  // namespace

// What one call of counters_text() gathers.
class Scrape {
 public:
  Scrape() {
    for (const MetricFamily& each : metric_families())
      family(std::string(each.name), each.kind).help = each.help;
  }

  void take(const Series& series) {
    prometheus::ClientMetric& metric = add(series.name, series.kind, series.labels);
    switch (series.kind) {
      case MetricKind::counter:
        metric.counter.value = static_cast<double>(series.number.load(std::memory_order_relaxed));
        break;
      case MetricKind::gauge:
        metric.gauge.value = series.value.load(std::memory_order_relaxed);
        break;
      case MetricKind::histogram:
        metric.histogram = reading_of(*series.buckets);
        break;
    }
  }

  void take(const GaugesOnDemand& owner) {
    for (const auto& reading : owner.read_()) {
      add(reading.name, MetricKind::gauge, reading.labels).gauge.value = reading.value;
    }
  }

  [[nodiscard]] std::string text() const {
    std::vector<prometheus::MetricFamily> all;
    all.reserve(families_.size());
    for (const auto& [name, family] : families_) all.push_back(family);
    return prometheus::TextSerializer().Serialize(all);
  }

 private:
  prometheus::MetricFamily& family(const std::string& name, MetricKind kind) {
    prometheus::MetricFamily& found = families_[name];
    if (found.name.empty()) {
      found.name = name;
      found.type = type_of(kind);
    }
    return found;
  }

  prometheus::ClientMetric& add(const std::string& name, MetricKind kind,
                                const std::vector<std::pair<std::string, std::string>>& labels) {
    prometheus::ClientMetric& metric = family(name, kind).metric.emplace_back();
    for (const auto& [label, value] : labels) metric.label.push_back({label, value});
    return metric;
  }

  std::map<std::string, prometheus::MetricFamily> families_;
};

void count(std::string_view name, Labels labels, std::uint64_t by) {
  registry()
      .find(MetricKind::counter, name, labels)
      .number.fetch_add(by, std::memory_order_relaxed);
}

std::uint64_t counted(std::string_view name, Labels labels) {
  const Series* series = registry().look_up(MetricKind::counter, name, labels);
  return series == nullptr ? 0 : series->number.load();
}

void set_gauge(std::string_view name, Labels labels, double value) {
  registry().find(MetricKind::gauge, name, labels).value = value;
}

double gauge(std::string_view name, Labels labels) {
  const Series* series = registry().look_up(MetricKind::gauge, name, labels);
  return series == nullptr ? 0 : series->value.load();
}

Counter::Counter(std::string_view name, Labels labels)
    : number_(&registry().find(MetricKind::counter, name, labels).number) {}

Histogram::Histogram(std::string_view name, Labels labels)
    : buckets_(registry().find(MetricKind::histogram, name, labels).buckets.get()) {}

void Histogram::observe(nanoseconds duration) const noexcept {
  // A clock that was set back between two looks must not make the sum go down.
  const nanoseconds taken = std::max(duration, nanoseconds(0));
  const auto place = std::ranges::lower_bound(kBounds, taken) - kBounds.begin();
  buckets_->counts[static_cast<std::size_t>(place)].fetch_add(1, std::memory_order_relaxed);
  buckets_->nanoseconds_in_all.fetch_add(static_cast<std::uint64_t>(taken.count()),
                                         std::memory_order_relaxed);
}

std::uint64_t Histogram::observed() const noexcept {
  std::uint64_t all = 0;
  for (const auto& each : buckets_->counts) all += each.load();
  return all;
}

Presence::Presence(std::string_view name, Labels labels)
    : value_(&registry().find(MetricKind::gauge, name, labels).value) {
  value_->fetch_add(1, std::memory_order_relaxed);
}

GaugesOnDemand::GaugesOnDemand(Read read) : read_(std::move(read)) {
  const std::lock_guard lock(on_demand().mutex);
  on_demand().owners.push_back(this);
}

GaugesOnDemand::~GaugesOnDemand() {
  const std::lock_guard lock(on_demand().mutex);
  std::erase(on_demand().owners, this);
}

std::string counters_text() {
  Scrape scrape;
  registry().for_each([&](const Series& series) { scrape.take(series); });
  {
    const std::lock_guard lock(on_demand().mutex);
    for (const GaugesOnDemand* owner : on_demand().owners) scrape.take(*owner);
  }
  return scrape.text();
}

}  // namespace sluice
