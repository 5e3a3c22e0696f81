// Sets attributes to values that a file has for the instance's key. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_lookup(config::Table& options,
                                                  const FilterContext& context);

}  // namespace sluice
