// Folders and names of the spool. Errors: configuration, with path and what to do.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"

namespace sluice::folder {

inline constexpr std::string_view kFinished = ".dcm";
inline constexpr std::string_view kUnfinished = ".part";

[[nodiscard]] inline std::string finished_name(const std::string& id) {
  return id + std::string(kFinished);
}

[[nodiscard]] tl::unexpected<Error> unusable(const std::string& path, std::string_view operation,
                                             int error_number);

[[nodiscard]] FileDescriptor open_folder(const std::string& path);

// A new folder is only there after a power cut when its parent was synced.
[[nodiscard]] Result<void> sync_folder(const std::string& path);

// With those that it is in, each synced, mode 0700.
[[nodiscard]] Result<void> make_folder(const std::filesystem::path& folder);

// Of all that is in it.
[[nodiscard]] Result<std::set<ino_t>> inodes(const std::string& folder);

// Sorted.
[[nodiscard]] Result<std::vector<std::string>> names_with_suffix(const std::string& folder,
                                                                 std::string_view suffix);

}  // namespace sluice::folder
