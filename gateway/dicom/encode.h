// Elements and items as bytes (PS3.5 7.1, 7.5). Private to gateway/dicom.
#pragma once

#include <cstdint>
#include <string>

#include "gateway/base/error.h"
#include "gateway/dicom/patch.h"

namespace sluice::dicom {

// How the bytes at one place are written.
struct Encoding {
  bool implicit_vr = false;
  bool big_endian = false;
};

void put_16(std::string& out, std::uint16_t number, bool big_endian);
void put_32(std::string& out, std::uint32_t number, bool big_endian);

// Tag, VR and length; the value is to follow. Errors: permanent, when the length does
// not fit the VR's 16 bits or is not below the undefined length.
[[nodiscard]] Result<void> put_head(std::string& out, Tag tag, Vr vr, std::uint64_t length,
                                    Encoding encoding);

// With the value, sequences and items of defined length. Errors: as put_head().
[[nodiscard]] Result<void> put_element(std::string& out, const NewElement& element,
                                       Encoding encoding);
[[nodiscard]] Result<void> put_item(std::string& out, const NewItem& item, Encoding encoding);

}  // namespace sluice::dicom
