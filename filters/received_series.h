// Which series an instance came with, for filters that keep something by it.
#pragma once

#include <string>
#include <string_view>

#include "gateway/pipeline/instance.h"

namespace sluice {

// The reason of the change by which check_series gives what is another series under one UID a
// UID of its own.
inline constexpr std::string_view kSplitReason = "split";

// The Series Instance UID as it came, or the one that check_series gave; "" when there is none. A
// filter that gave a series as a whole another UID does not make it another series.
[[nodiscard]] std::string received_series(const Instance& instance);

}  // namespace sluice
