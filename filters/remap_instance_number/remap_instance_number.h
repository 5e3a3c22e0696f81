// Makes Instance Number (0020,0013) unique in its series. See README.md beside this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_remap_instance_number(config::Table& options,
                                                                 const FilterContext& context);

}  // namespace sluice
