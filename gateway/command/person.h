// Who gives a command, for the record.
#pragma once

#include "gateway/audit/messages.h"

namespace sluice::command {

// The login name and the account it acts as: "ann (uid 1000)".
[[nodiscard]] audit::Person person();

}  // namespace sluice::command
