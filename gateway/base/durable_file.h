// Small files that are there whole or not at all, also after a power cut.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Writes `path` (mode 0600) under the name `path`.new, syncs, renames over what was there,
// and syncs the folder. Returns 0 or the error number; then what was there still is, or
// nobody knows whether the new one outlives a power cut. One thread per path.
[[nodiscard]] int write_durably(const std::string& path, std::string_view text);

// The names in a folder. Returns 0 or the error number.
[[nodiscard]] int sync_folder(const std::string& folder);

}  // namespace sluice
