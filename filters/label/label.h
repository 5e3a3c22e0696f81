// Gives instances a word that later routes and conditions can ask for. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_label(config::Table& options,
                                                 const FilterContext& context);

}  // namespace sluice
