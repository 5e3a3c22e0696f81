#include "gateway/deliver/lane_log.h"

#include <string>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice {

using std::chrono::milliseconds;

void log_delivered(const Outcome& outcome, const std::string& destination, std::uint64_t bytes,
                   milliseconds took) {
  const std::string status = outcome.status.empty() ? "none" : outcome.status;
  if (outcome.reason.empty()) {
    log::info("delivered", {{"id", outcome.instance_id},
                            {"destination", destination},
                            {"route", outcome.route},
                            {"priority", to_string(outcome.priority)},
                            {"status", status},
                            {"bytes", bytes},
                            {"milliseconds", took.count()}});
  } else {
    log::warning("delivered with a warning", {{"id", outcome.instance_id},
                                              {"destination", destination},
                                              {"route", outcome.route},
                                              {"priority", to_string(outcome.priority)},
                                              {"status", status},
                                              {"reason", outcome.reason},
                                              {"bytes", bytes},
                                              {"milliseconds", took.count()}});
  }
}

void log_undelivered(const Outcome& outcome, const std::string& destination) {
  const std::string status = outcome.status.empty() ? "none" : outcome.status;
  if (outcome.state == DeliveryState::discarded) {
    log::warning("given up", {{"id", outcome.instance_id},
                              {"destination", destination},
                              {"route", outcome.route},
                              {"priority", to_string(outcome.priority)},
                              {"status", status},
                              {"reason", outcome.reason}});
  } else if (outcome.state == DeliveryState::held) {
    log::error("held", {{"id", outcome.instance_id},
                        {"destination", destination},
                        {"route", outcome.route},
                        {"priority", to_string(outcome.priority)},
                        {"status", status},
                        {"reason", outcome.reason}});
  } else {
    log::warning("deferred", {{"id", outcome.instance_id},
                              {"destination", destination},
                              {"route", outcome.route},
                              {"priority", to_string(outcome.priority)},
                              {"status", status},
                              {"reason", outcome.reason},
                              {"retry_after_milliseconds", outcome.retry_after.count()}});
  }
}

void log_configuration_alarm(const Outcome& outcome, const config::Destination& destination) {
  count("sluice_configuration_alarms_total", {{"destination", destination.name}});
  log::error("a destination does not take us: what is sent to it alone is held",
             {{"destination", destination.name},
              {"called_ae_title", destination.called_ae_title},
              {"host", destination.host},
              {"port", destination.port},
              {"calling_ae_title", destination.calling_ae_title},
              {"status", outcome.status.empty() ? "none" : outcome.status},
              {"reason", outcome.reason},
              {"advice",
               "let it know calling_ae_title and this machine, or mend `address` and "
               "`calling_ae_title` of the destination and reload; then `sluice queue retry "
               "--destination " +
                   destination.name + "`"}});
}

std::string told_by(const std::string& destination, const std::string& reason) {
  return "by " + destination + (reason.empty() ? "" : ": " + reason);
}

}  // namespace sluice
