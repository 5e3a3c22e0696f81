// Sets, copies, removes and changes values by rules. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_edit(config::Table& options,
                                                const FilterContext& context);

}  // namespace sluice
