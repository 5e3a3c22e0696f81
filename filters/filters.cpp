#include "filters/filters.h"

#include <array>

#include "filters/check_series/check_series.h"
#include "filters/drop/drop.h"
#include "filters/edit/edit.h"
#include "filters/label/label.h"
#include "filters/lookup/lookup.h"
#include "filters/merge_studies/merge_studies.h"
#include "filters/quarantine/quarantine.h"
#include "filters/reject/reject.h"
#include "filters/remap_instance_number/remap_instance_number.h"
#include "filters/remap_series_number/remap_series_number.h"
#include "filters/remap_uids/remap_uids.h"
#include "filters/sanitize_uids/sanitize_uids.h"

namespace sluice {

std::span<const FilterType> filter_types() {
  static constexpr auto kTypes = std::to_array<FilterType>({
      {"sanitize_uids", make_sanitize_uids},
      {"merge_studies", make_merge_studies},
      {"remap_series_number", make_remap_series_number},
      {"remap_instance_number", make_remap_instance_number},
      {"remap_uids", make_remap_uids},
      {"check_series", make_check_series},
      {"edit", make_edit},
      {"lookup", make_lookup, false},
      {"label", make_label},
      {"drop", make_drop},
      {"quarantine", make_quarantine},
      {"reject", make_reject},
  });
  return kTypes;
}

}  // namespace sluice
