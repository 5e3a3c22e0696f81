// Text from one Specific Character Set (0008,0005) to another (PS3.5 6.1.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::dicom {

// Sets as in the attribute, "\"-separated, "" for the default repertoire. ASCII text
// and equal sets need no conversion. nullopt when the text has no form in the target
// set, or a set is unknown.
[[nodiscard]] std::optional<std::string> convert_text(std::string_view text, std::string_view from,
                                                      std::string_view to);

}  // namespace sluice::dicom
