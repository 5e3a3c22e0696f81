#include "gateway/dicom/sop_class.h"

#include <algorithm>
#include <span>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>

namespace sluice::dicom {

std::vector<std::string> storage_sop_classes() {
  const std::span<const char*> known(dcmAllStorageSOPClassUIDs,
                                     static_cast<std::size_t>(numberOfDcmAllStorageSOPClassUIDs));
  std::vector<std::string> uids;
  for (const char* uid : known) {
    if (std::ranges::find(uids, uid) == uids.end()) uids.emplace_back(uid);
  }
  return uids;
}

std::string sop_class_name(const std::string& uid) {
  return dcmFindNameOfUID(uid.c_str(), uid.c_str());
}

}  // namespace sluice::dicom
