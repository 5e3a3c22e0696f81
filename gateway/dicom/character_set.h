// Text from one Specific Character Set (0008,0005) to another (PS3.5 6.1.2).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::dicom {

inline constexpr std::string_view kUtf8Set = "ISO_IR 192";

// Sets as in the attribute, "\"-separated, "" for the default repertoire. ASCII text
// and equal sets need no conversion. nullopt when the text has no form in the target
// set, or a set is unknown.
[[nodiscard]] std::optional<std::string> convert_text(std::string_view text, std::string_view from,
                                                      std::string_view to);

// How many bytes at the beginning are UTF-8 (RFC 3629): all of them, or up to the first that
// is not.
[[nodiscard]] std::size_t valid_utf8_length(std::string_view text);

}  // namespace sluice::dicom
