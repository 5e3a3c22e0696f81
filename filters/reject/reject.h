// Refuses instances. See README.md beside
// this file.
#pragma once

#include <memory>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::unique_ptr<Filter> make_reject(config::Table& options,
                                                  const FilterContext& context);

}  // namespace sluice
