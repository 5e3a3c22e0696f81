// That the disk below data_dir has failed, remembered in a file until a person says that
// it can be trusted again. After a failed write or sync nobody knows what is on the disk,
// and asking again may get an answer that is wrong: so nothing is acknowledged from then
// on, over restarts too. What was acknowledged before goes on being delivered.
//
//   data_dir/fault          when and why, while it lasts
//   data_dir/fault.cleared  the last one, with who cleared it and why
#pragma once

#include <optional>
#include <string>

#include "gateway/base/error.h"

namespace sluice::command {

// The text of the fault that lasts; nullopt: none. A file that cannot be read is a fault.
[[nodiscard]] std::optional<std::string> read_fault(const std::string& data_dir);

// Durable where the disk still allows; where it does not, the log says so and the process
// remembers until it ends. The first reason stays. Any thread.
void write_fault(const std::string& data_dir, const std::string& reason) noexcept;

// Errors: transient, with path and what to do.
[[nodiscard]] Result<void> clear_fault(const std::string& data_dir, const std::string& who,
                                       const std::string& why);

}  // namespace sluice::command
