// A sender that tells the audit trail what was sent: a wrapper around another one.
#pragma once

#include <memory>

#include "gateway/audit/recorder.h"
#include "gateway/config/config.h"
#include "gateway/deliver/sender.h"

namespace sluice {

// The same sender without a recorder, which must outlive it.
[[nodiscard]] std::unique_ptr<Sender> audited(std::unique_ptr<Sender> sender,
                                              const config::Destination& destination,
                                              audit::Recorder* recorder);

}  // namespace sluice
