#include "gateway/receive/delivery_rows.h"

#include <string>
#include <utility>

namespace sluice {

std::vector<DeliveryRow> delivery_rows(const Provenance& provenance, const Decision& decision,
                                       bool drop_unrouted) {
  std::vector<DeliveryRow> rows;
  const auto add = [&](const RouteDecision& route, const std::string& destination,
                       DeliveryState state, const std::string& reason) {
    DeliveryRow row;
    row.instance_id = provenance.id;
    row.route = route.route;
    row.priority = route.priority;
    row.destination = destination;
    row.state = state;
    row.reason = reason;
    row.next_attempt = provenance.received_at;
    row.updated_at = provenance.received_at;
    rows.push_back(std::move(row));
  };
  for (const RouteDecision& route : decision.routes) {
    const std::string by = route.filter.empty() ? "" : route.filter + ": ";
    if (const auto* drop = std::get_if<Drop>(&route.verdict)) {
      add(route, "", DeliveryState::dropped, by + drop->reason);
    } else if (const auto* quarantine = std::get_if<Quarantine>(&route.verdict)) {
      add(route, "", DeliveryState::quarantined, by + quarantine->reason);
    } else if (std::holds_alternative<Pass>(route.verdict)) {
      for (const std::string& destination : route.destinations) {
        add(route, destination, DeliveryState::ready, "");
      }
    }
  }
  if (decision.routes.empty()) {
    add({}, "", drop_unrouted ? DeliveryState::dropped : DeliveryState::quarantined,
        "no route matches");
  } else if (rows.empty()) {
    add(decision.routes.front(), "", DeliveryState::dropped, "no destination");
  }
  return rows;
}

}  // namespace sluice
