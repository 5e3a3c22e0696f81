// Makes Series Number (0020,0011) unique in its study. See README.md beside this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_remap_series_number(config::Table& options,
                                                               const FilterContext& context);

}  // namespace sluice
