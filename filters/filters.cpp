#include "filters/filters.h"

#include <array>

#include "filters/lookup/lookup.h"
#include "filters/merge_studies/merge_studies.h"
#include "filters/remap_series_number/remap_series_number.h"
#include "filters/sanitize_uids/sanitize_uids.h"

namespace sluice {

std::span<const FilterType> filter_types() {
  static constexpr std::array<FilterType, 4> kTypes = {{
      {"sanitize_uids", make_sanitize_uids},
      {"merge_studies", make_merge_studies},
      {"remap_series_number", make_remap_series_number},
      {"lookup", make_lookup, false},
  }};
  return kTypes;
}

}  // namespace sluice
