#include "gateway/metrics/queue_gauges.h"

#include <algorithm>
#include <map>
#include <utility>

#include "gateway/base/log.h"

namespace sluice::metrics {
namespace {

constexpr std::chrono::seconds kLeastPause{1};
constexpr int kPauseToReading = 50;  // with a million deliveries, reading takes a while

constexpr auto kStatesOfADestination = {DeliveryState::ready, DeliveryState::sending,
                                        DeliveryState::deferred, DeliveryState::held};

struct Depth {
  std::uint64_t deliveries = 0;
  double age = 0;  // seconds
};

}  // namespace

Result<std::unique_ptr<QueueGauges>> QueueGauges::open(const std::string& file,
                                                       std::vector<std::string> destinations) {
  auto beside = Queue::open_beside(file);
  if (!beside) return tl::unexpected(beside.error());
  return std::make_unique<QueueGauges>(std::move(*beside), std::move(destinations));
}

QueueGauges::QueueGauges(std::unique_ptr<Queue> beside, std::vector<std::string> destinations)
    : queue_(std::move(beside)), destinations_(std::move(destinations)) {}

void QueueGauges::set_destinations(std::vector<std::string> destinations) {
  const std::lock_guard lock(mutex_);
  destinations_ = std::move(destinations);
}

void QueueGauges::look() {
  using std::chrono::steady_clock;
  const auto begun = steady_clock::now();
  if (begun < next_look_) return;
  auto oldest = queue_->oldest();
  const auto ended = steady_clock::now();
  next_look_ =
      ended + std::max<steady_clock::duration>(kLeastPause, kPauseToReading * (ended - begun));
  if (!oldest && is_known_) {
    log::error("the queue cannot be watched", {{"reason", oldest.error().message}});
  }
  is_known_ = oldest.has_value();
  if (oldest) found_ = std::move(*oldest);
}

std::vector<GaugesOnDemand::Reading> QueueGauges::read() {
  look();
  if (!is_known_) return {};
  std::map<std::pair<std::string, DeliveryState>, Depth> all;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& destination : destinations_) {
      for (const DeliveryState state : kStatesOfADestination) all[{destination, state}] = {};
    }
  }
  all[{"", DeliveryState::quarantined}] = {};
  const Time now = std::chrono::system_clock::now();
  for (const Queue::Oldest& each : found_) {
    const std::chrono::duration<double> age = now - each.received_at;
    all[{each.destination, each.state}] = {each.count, std::max(age.count(), 0.0)};
  }
  std::vector<GaugesOnDemand::Reading> readings;
  for (const auto& [place, depth] : all) {
    const std::vector<std::pair<std::string, std::string>> labels = {
        {"destination", place.first}, {"state", std::string(to_string(place.second))}};
    readings.push_back({"sluice_queue_deliveries", labels, static_cast<double>(depth.deliveries)});
    readings.push_back({"sluice_queue_oldest_age_seconds", labels, depth.age});
  }
  return readings;
}

}  // namespace sluice::metrics
