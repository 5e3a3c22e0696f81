// Data element tags (PS3.5 7.1), their keywords and the ones Sluice names.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/error.h"

namespace sluice::dicom {

struct Tag {
  std::uint16_t group = 0;
  std::uint16_t element = 0;

  auto operator<=>(const Tag&) const = default;
  [[nodiscard]] bool is_private() const { return (group & 1U) != 0; }
  [[nodiscard]] bool is_group_length() const { return element == 0; }
};

// "(0020,000D)"
[[nodiscard]] std::string to_string(Tag tag);

// "StudyInstanceUID", or "(gggg,eeee)" when the dictionary has no keyword.
[[nodiscard]] std::string keyword(Tag tag);

// A keyword, "(0020,000D)", "0020,000D" or "0020000D".
// Errors: configuration, with the nearest keyword.
[[nodiscard]] Result<Tag> parse_tag(std::string_view text);

// The same without a word on what is wrong, which takes a walk through the dictionary.
[[nodiscard]] std::optional<Tag> find_tag(std::string_view text);

namespace tags {
inline constexpr Tag kSpecificCharacterSet{0x0008, 0x0005};
inline constexpr Tag kSopClassUid{0x0008, 0x0016};
inline constexpr Tag kSopInstanceUid{0x0008, 0x0018};
inline constexpr Tag kStudyDate{0x0008, 0x0020};
inline constexpr Tag kStudyTime{0x0008, 0x0030};
inline constexpr Tag kAccessionNumber{0x0008, 0x0050};
inline constexpr Tag kModality{0x0008, 0x0060};
inline constexpr Tag kReferencedSopInstanceUid{0x0008, 0x1155};
inline constexpr Tag kPatientName{0x0010, 0x0010};
inline constexpr Tag kPatientId{0x0010, 0x0020};
inline constexpr Tag kIssuerOfPatientId{0x0010, 0x0021};
inline constexpr Tag kStudyInstanceUid{0x0020, 0x000D};
inline constexpr Tag kSeriesInstanceUid{0x0020, 0x000E};
inline constexpr Tag kStudyId{0x0020, 0x0010};
inline constexpr Tag kSeriesNumber{0x0020, 0x0011};
inline constexpr Tag kInstanceNumber{0x0020, 0x0013};
inline constexpr Tag kModifiedAttributesSequence{0x0400, 0x0550};
inline constexpr Tag kOriginalAttributesSequence{0x0400, 0x0561};
inline constexpr Tag kFloatPixelData{0x7FE0, 0x0008};
inline constexpr Tag kDoubleFloatPixelData{0x7FE0, 0x0009};
inline constexpr Tag kPixelData{0x7FE0, 0x0010};
inline constexpr Tag kItem{0xFFFE, 0xE000};
inline constexpr Tag kItemDelimitation{0xFFFE, 0xE00D};
inline constexpr Tag kSequenceDelimitation{0xFFFE, 0xE0DD};
}  // namespace tags

}  // namespace sluice::dicom
