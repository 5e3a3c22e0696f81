// The log lines on how an attempt ended.
#pragma once

#include <chrono>
#include <cstdint>

#include "gateway/queue/queue.h"

namespace sluice {

void log_delivered(const Outcome& outcome, std::uint64_t bytes, std::chrono::milliseconds took);
// Deferred, held or given up.
void log_undelivered(const Outcome& outcome);

}  // namespace sluice
