// The site's secret: UIDs made under one key are the same on every gateway that has it.
#pragma once

#include <optional>
#include <string>

#include "gateway/base/error.h"

namespace sluice::command {

// data_dir/site.key: 64 hex digits and a newline, mode 0600.
// nullopt when there is none yet. Errors: configuration, when it cannot be read or is
// no key; with path and what to do.
[[nodiscard]] Result<std::optional<std::string>> read_site_key(const std::string& data_dir);

// Reads it, or at the first start makes one, durably, and warns how to share it.
// Errors: as above; configuration, when a ledger is there and the key is not.
[[nodiscard]] Result<std::string> read_or_make_site_key(const std::string& data_dir);

// For looking without writing: where there is none yet, a key that nobody will see again, and
// a word on stderr.
[[nodiscard]] Result<std::string> key_for_looking(const std::string& data_dir);

}  // namespace sluice::command
