// The one list of filter types.
#pragma once

#include <span>

#include "gateway/pipeline/filter.h"

namespace sluice {

[[nodiscard]] std::span<const FilterType> filter_types();

}  // namespace sluice
