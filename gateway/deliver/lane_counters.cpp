#include "gateway/deliver/lane_counters.h"

namespace sluice {
namespace {

// A label must stay bounded: a peer may answer with any of 65,536 statuses.
std::string status_class(const std::string& status) {
  if (status.empty()) return "none";
  return status == "0000" ? status : status.substr(0, 2) + "xx";
}

}  // namespace

LaneCounters::LaneCounters(const config::Destination& destination)
    : destination_(destination.name),
      usual_status_(destination.scheme == "file" ? "none" : "0000"),
      delivered_("sluice_deliveries_total", {{"destination", destination_},
                                             {"outcome", to_string(DeliveryState::delivered)},
                                             {"status", usual_status_}}),
      delivered_bytes_("sluice_delivered_bytes_total", {{"destination", destination_}}),
      delivery_seconds_("sluice_delivery_seconds", {{"destination", destination_}}),
      attempt_seconds_("sluice_attempt_seconds", {{"destination", destination_}}) {}

void LaneCounters::note(const Outcome& outcome, Time received_at, std::uint64_t bytes,
                        std::chrono::nanoseconds took) const {
  if (took > std::chrono::nanoseconds(0)) attempt_seconds_.observe(took);
  const bool is_delivered = outcome.state == DeliveryState::delivered;
  const std::string status = status_class(outcome.status);
  if (is_delivered && status == usual_status_) {
    delivered_.add();
  } else {
    count(
        "sluice_deliveries_total",
        {{"destination", destination_}, {"outcome", to_string(outcome.state)}, {"status", status}});
  }
  if (!is_delivered) return;
  delivered_bytes_.add(bytes);
  delivery_seconds_.observe(std::chrono::system_clock::now() - received_at);
}

}  // namespace sluice
