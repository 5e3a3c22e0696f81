#include "gateway/deliver/lane_log.h"

#include <string>

#include "gateway/base/log.h"

namespace sluice {

using std::chrono::milliseconds;

void log_delivered(const Outcome& outcome, std::uint64_t bytes, milliseconds took) {
  const std::string status = outcome.status.empty() ? "none" : outcome.status;
  if (outcome.reason.empty()) {
    log::info("delivered", {{"id", outcome.instance_id},
                            {"destination", outcome.destination},
                            {"route", outcome.route},
                            {"status", status},
                            {"bytes", bytes},
                            {"milliseconds", took.count()}});
  } else {
    log::warning("delivered with a warning", {{"id", outcome.instance_id},
                                              {"destination", outcome.destination},
                                              {"route", outcome.route},
                                              {"status", status},
                                              {"reason", outcome.reason},
                                              {"bytes", bytes},
                                              {"milliseconds", took.count()}});
  }
}

void log_undelivered(const Outcome& outcome) {
  const std::string status = outcome.status.empty() ? "none" : outcome.status;
  if (outcome.state == DeliveryState::discarded) {
    log::warning("given up", {{"id", outcome.instance_id},
                              {"destination", outcome.destination},
                              {"route", outcome.route},
                              {"status", status},
                              {"reason", outcome.reason}});
  } else if (outcome.state == DeliveryState::held) {
    log::error("held", {{"id", outcome.instance_id},
                        {"destination", outcome.destination},
                        {"route", outcome.route},
                        {"status", status},
                        {"reason", outcome.reason}});
  } else {
    log::warning("deferred", {{"id", outcome.instance_id},
                              {"destination", outcome.destination},
                              {"route", outcome.route},
                              {"status", status},
                              {"reason", outcome.reason},
                              {"retry_after_milliseconds", outcome.retry_after.count()}});
  }
}

}  // namespace sluice
