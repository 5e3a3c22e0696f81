// Repairs UIDs that break PS3.5 9.1, at every depth. See README.md beside this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_sanitize_uids(config::Table& options,
                                                         const FilterContext& context);

}  // namespace sluice
