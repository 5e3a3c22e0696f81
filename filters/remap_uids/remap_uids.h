// Gives what an instance names by UID other UIDs, and turns them back. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_remap_uids(config::Table& options,
                                                      const FilterContext& context);

}  // namespace sluice
