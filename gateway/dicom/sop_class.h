// The storage SOP classes that the standard knows (PS3.4 Annex B), by DCMTK's dictionary.
#pragma once

#include <string>
#include <vector>

namespace sluice::dicom {

// Their UIDs, each once; retired ones among them.
[[nodiscard]] std::vector<std::string> storage_sop_classes();

// DCMTK's name for it, "CTImageStorage", or the UID itself.
[[nodiscard]] std::string sop_class_name(const std::string& uid);

}  // namespace sluice::dicom
