#include "gateway/dicom/character_set.h"

#include <algorithm>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>

namespace sluice::dicom {

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

}  // namespace sluice::dicom
