// Gives instances that belong together one Study Instance UID. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_merge_studies(config::Table& options,
                                                         const FilterContext& context);

}  // namespace sluice
