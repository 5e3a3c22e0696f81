// Tells of instances that do not fit to their series. See README.md beside this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_check_series(config::Table& options,
                                                        const FilterContext& context);

}  // namespace sluice
