// An instance and its deliveries as the bytes of a record of the journal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/queue/queue.h"

namespace sluice {

struct QueueRecord {
  InstanceRow instance;
  std::vector<DeliveryRow> deliveries;
};

// As they are when they are added: what is `sending` by then is `ready` when it is read.
[[nodiscard]] std::string record_of(const QueueRecord& record);
// Errors: corrupt, for what record_of() did not make.
[[nodiscard]] Result<QueueRecord> record_from(std::string_view bytes);

}  // namespace sluice
