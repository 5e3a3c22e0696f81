// Keeps instances for a person. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_quarantine(config::Table& options,
                                                      const FilterContext& context);

}  // namespace sluice
