// Every outcome has a counter: a name and labels, in one registry for the process. What each
// is for stands in metric_families.cpp and docs/operations.md.
//
//   count("sluice_instances_total", {{"outcome", "stored"}});
//
// finds its series by name and labels each time: without a lock or an allocation once it is
// there, so it does nearly everywhere. What counts for every instance keeps the series:
//
//   static const Counter stored("sluice_instances_total", {{"outcome", "stored"}});
//   stored.add();
//
// How long something takes goes into a histogram, from 0.1 ms to 60 s:
//
//   static const Histogram sync("sluice_sync_seconds", {{"what", "spool file"}});
//   const Timing timing(sync);                  // observes when it is destroyed
//
// What goes up and down is a gauge. It is set, it is one more for a while, or it is asked
// for when somebody looks:
//
//   set_gauge("sluice_certificate_seconds_left", {{"name", "pacs"}}, 86400);
//   const Presence open("sluice_open_associations", {{"name", "pacs"}});
//   GaugesOnDemand depth([this] { return read_depth(); });
//
// Names and labels come from the code and the configuration, never from the network, so that
// the number of series stays bounded; a series stays until the process ends. The order of the
// labels says nothing. Safe from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

struct Label {
  std::string_view name;
  std::string_view value;
};
using Labels = std::initializer_list<Label>;

void count(std::string_view name, Labels labels = {}, std::uint64_t by = 1);

// The present value; 0 for one that never counted. For tests.
[[nodiscard]] std::uint64_t counted(std::string_view name, Labels labels = {});

void set_gauge(std::string_view name, Labels labels, double value);

// The present value; 0 for one that was never set.
[[nodiscard]] double gauge(std::string_view name, Labels labels = {});

// One series that counts up.
class Counter {
 public:
  explicit Counter(std::string_view name, Labels labels = {});
  void add(std::uint64_t by = 1) const noexcept {
    number_->fetch_add(by, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t>* number_;
};

// One series of durations.
class Histogram {
 public:
  explicit Histogram(std::string_view name, Labels labels = {});
  void observe(std::chrono::nanoseconds duration) const noexcept;
  // How many were observed. For tests.
  [[nodiscard]] std::uint64_t observed() const noexcept;

  struct Buckets;

 private:
  Buckets* buckets_;
};

// Observes how long it lived. The histogram must outlive it.
class Timing {
 public:
  explicit Timing(const Histogram& histogram) noexcept
      : histogram_(histogram), begun_(std::chrono::steady_clock::now()) {}
  ~Timing() { histogram_.observe(std::chrono::steady_clock::now() - begun_); }
  Timing(const Timing&) = delete;
  Timing& operator=(const Timing&) = delete;

 private:
  const Histogram& histogram_;
  std::chrono::steady_clock::time_point begun_;
};

// One more in a gauge for as long as it lives.
class Presence {
 public:
  explicit Presence(std::string_view name, Labels labels = {});
  ~Presence() { value_->fetch_sub(1, std::memory_order_relaxed); }
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

 private:
  std::atomic<double>* value_;
};

// Gauges of an owner who works them out when counters_text() asks, in the asking thread.
// Nothing of them stays behind it; its destructor waits for a call that is under way.
class GaugesOnDemand {
 public:
  struct Reading {
    std::string name;
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };
  // `read` must not call counters_text() itself, nor make or end one of these.
  using Read = std::function<std::vector<Reading>()>;

  explicit GaugesOnDemand(Read read);
  ~GaugesOnDemand();
  GaugesOnDemand(const GaugesOnDemand&) = delete;
  GaugesOnDemand& operator=(const GaugesOnDemand&) = delete;

 private:
  Read read_;
  friend class Scrape;
};

// All of it in the Prometheus text format, by name; each family that has no series yet is
// told by its help alone. Throws what a Read throws.
[[nodiscard]] std::string counters_text();

}  // namespace sluice
