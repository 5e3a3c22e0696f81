// Takes instances and delivers them nowhere. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_drop(config::Table& options,
                                                const FilterContext& context);

}  // namespace sluice
