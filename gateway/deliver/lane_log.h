// The log lines on how an attempt ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "gateway/config/config.h"
#include "gateway/queue/queue.h"

namespace sluice {

// `destination`: where it was sent to, which may be one of the group that the row names.
void log_delivered(const Outcome& outcome, const std::string& destination, std::uint64_t bytes,
                   std::chrono::milliseconds took);
// Deferred, held or given up.
void log_undelivered(const Outcome& outcome, const std::string& destination);

// It does not take us: counted, and told with what to do.
void log_configuration_alarm(const Outcome& outcome, const config::Destination& destination);

// The reason of an outcome that names a group: "by pacs2: warning B000". So the row tells
// which of them it was.
[[nodiscard]] std::string told_by(const std::string& destination, const std::string& reason);

}  // namespace sluice
