// A secret in a file of its own.
#pragma once

#include <string>

#include "gateway/base/error.h"

namespace sluice {

// The bytes of the file without white space at their end: 32 at least. Errors:
// configuration, with what is wrong and what to do; so is a file that everybody can read.
[[nodiscard]] Result<std::string> read_key_file(const std::string& path);

}  // namespace sluice
