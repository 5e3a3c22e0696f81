#include <algorithm>
#include <limits>

#include "gateway/base/log.h"
#include "gateway/config/address.h"
#include "gateway/config/tables.h"

namespace sluice::config {

Metrics read_metrics(Table& table, const std::vector<Listener>& listeners) {
  Metrics metrics;
  metrics.address = table.string("address", metrics.address);
  if (!is_ip_address(metrics.address)) {
    table.mistake("address",
                  "address must be an IP address of this machine, \"0.0.0.0\" or \"::\", not '" +
                      log::escape(metrics.address) + "'");
  }
  metrics.port = static_cast<std::uint16_t>(
      table.integer("port", metrics.port, 0, std::numeric_limits<std::uint16_t>::max()));
  const auto taken = std::ranges::find_if(listeners, [&](const Listener& listener) {
    return metrics.port != 0 && listener.port == metrics.port &&
           do_addresses_overlap(listener.address, metrics.address);
  });
  if (taken != listeners.end()) {
    table.mistake("port", "port " + std::to_string(metrics.port) + " is that of the listener '" +
                              taken->name + "'");
  }
  table.finish();
  return metrics;
}

}  // namespace sluice::config
