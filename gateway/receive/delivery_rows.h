// From what the routes said to rows of the queue.
#pragma once

#include <vector>

#include "gateway/pipeline/pipeline.h"
#include "gateway/queue/queue.h"

namespace sluice {

// Pass: a ready row per destination; drop and quarantine: a row without destination.
// No route at all: quarantined, or dropped where `drop_unrouted`. Never empty. A
// rejection is the caller's to answer; it makes no row.
[[nodiscard]] std::vector<DeliveryRow> delivery_rows(const Provenance& provenance,
                                                     const Decision& decision, bool drop_unrouted);

}  // namespace sluice
