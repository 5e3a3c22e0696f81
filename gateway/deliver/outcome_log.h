// The log lines in which an attempt ends. Safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "gateway/queue/queue.h"

namespace sluice {

void log_delivered(const Outcome& outcome, std::uint64_t bytes, std::chrono::milliseconds took);
void log_undelivered(const Outcome& outcome);

}  // namespace sluice
