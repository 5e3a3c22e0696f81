// What a value of a VR may hold (PS3.5 Table 6.2-1). Values are single ones, in UTF-8.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/dicom/vr.h"

namespace sluice::dicom {

// Characters, of PN those of a component group; nullopt where there is no limit, and for
// binary VRs.
[[nodiscard]] std::optional<std::size_t> longest_value(Vr vr);

// Code points; what is no UTF-8 counts as bytes.
[[nodiscard]] std::size_t count_characters(std::string_view text);

// The first so many characters.
[[nodiscard]] std::string_view first_characters(std::string_view text, std::size_t count);

// True for the VRs whose text Specific Character Set (0008,0005) speaks of (PS3.5 6.1.2.3).
[[nodiscard]] bool is_in_character_set(Vr vr);

// True where "\" is a character and parts no values.
[[nodiscard]] bool has_one_value(Vr vr);

// "has 20 characters, SH takes 16"; nullopt when it is right. An empty value is.
[[nodiscard]] std::optional<std::string> find_value_defect(Vr vr, std::string_view value);

}  // namespace sluice::dicom
