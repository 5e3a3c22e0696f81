// What PS3.5 6.2 asks of a value: its characters and its length.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/dicom/vr.h"

namespace sluice::dicom {

// What is wrong with one value that is to be written under this VR, in UTF-8 and without
// padding: "is no value of VR SH: more than 16 characters". Lengths are in characters; a
// backslash would make two values of it, but where it is a character. nullopt when nothing
// is. Of VRs that no text makes (sequences, OW, UN and the like) there is no right value.
// Never tells the value.
[[nodiscard]] std::optional<std::string> find_value_defect(Vr vr, std::string_view text);

}  // namespace sluice::dicom
