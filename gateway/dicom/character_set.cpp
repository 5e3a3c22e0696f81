#include "gateway/dicom/character_set.h"

#include <algorithm>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>

namespace sluice::dicom {
namespace {

// Of the character that the text begins with; 0 when it is none. The ranges of the second
// byte keep out what is too long, a surrogate, or above U+10FFFF (RFC 3629, 4).
std::size_t utf8_character_length(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  const unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (std::size_t at = 2; at < length; ++at) {
    if ((byte(at) & 0xC0U) != 0x80U) return 0;
  }
  return length;
}

}  // namespace

std::optional<std::string> convert_text(std::string_view text, std::string_view from,
                                        std::string_view to) {
  const bool ascii = std::ranges::all_of(text, [](char character) {
    return static_cast<unsigned char>(character) < 0x80 && character != '\x1b';
  });
  if (ascii || from == to) return std::string(text);
  DcmSpecificCharacterSet converter;
  const OFString source(from.data(), from.size());
  const OFString target(to.data(), to.size());
  if (converter.selectCharacterSet(source, target).bad()) return std::nullopt;
  OFString converted;
  if (converter.convertString(text.data(), text.size(), converted, "\\^=").bad()) {
    return std::nullopt;
  }
  return std::string(converted.c_str(), converted.size());
}

std::size_t valid_utf8_length(std::string_view text) {
  std::size_t valid = 0;
  while (valid < text.size()) {
    const std::size_t length = utf8_character_length(text.substr(valid, 4));
    if (length == 0) break;
    valid += length;
  }
  return valid;
}

}  // namespace sluice::dicom
