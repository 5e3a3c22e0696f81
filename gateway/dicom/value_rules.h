// What PS3.5 6.2 asks of a value: its characters and its length.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/dicom/vr.h"

namespace sluice::dicom {

// In characters, of PN those of each component group; nullopt where there is no limit, and
// for VRs that are no text.
[[nodiscard]] std::optional<std::size_t> longest_value(Vr vr);

// The first so many characters of text in UTF-8.
[[nodiscard]] std::string_view first_characters(std::string_view text, std::size_t count);

// True for the VRs whose text Specific Character Set (0008,0005) speaks of (PS3.5 6.1.2.3).
[[nodiscard]] bool is_in_character_set(Vr vr);

// True where "\" is a character and parts no values.
[[nodiscard]] bool has_one_value(Vr vr);

// What is wrong with one value that is to be written under this VR, in UTF-8 and without
// padding: "is no value of VR SH: more than 16 characters". Lengths are in characters; a
// backslash would make two values of it, but where it is a character. nullopt when nothing
// is. Of VRs that no text makes (sequences, OW, UN and the like) there is no right value.
// Never tells the value.
[[nodiscard]] std::optional<std::string> find_value_defect(Vr vr, std::string_view text);

}  // namespace sluice::dicom
