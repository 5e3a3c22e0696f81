#include "filters/received_series.h"

#include "filters/numbering.h"

namespace sluice {

std::string received_series(const Instance& instance) {
  std::string series = uid_as_received(instance, dicom::tags::kSeriesInstanceUid);
  const std::string path = dicom::keyword(dicom::tags::kSeriesInstanceUid);
  for (const Change& change : instance.changes()) {
    if (change.path == path && change.reason == kSplitReason) series = change.after;
  }
  return series;
}

}  // namespace sluice
