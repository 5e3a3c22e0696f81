// Value representations (PS3.5 6.2, 7.1.2) and values as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/base/error.h"
#include "gateway/dicom/tag.h"

namespace sluice::dicom {

constexpr std::uint16_t vr_code(char first, char second) {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(first) << 8U) |
                                    static_cast<unsigned char>(second));
}

// The two characters as they stand in an explicit VR data set, so that a VR
// this program does not know still has a value and passes through.
enum class Vr : std::uint16_t {
  AE = vr_code('A', 'E'),
  AS = vr_code('A', 'S'),
  AT = vr_code('A', 'T'),
  CS = vr_code('C', 'S'),
  DA = vr_code('D', 'A'),
  DS = vr_code('D', 'S'),
  DT = vr_code('D', 'T'),
  FD = vr_code('F', 'D'),
  FL = vr_code('F', 'L'),
  IS = vr_code('I', 'S'),
  LO = vr_code('L', 'O'),
  LT = vr_code('L', 'T'),
  OB = vr_code('O', 'B'),
  OD = vr_code('O', 'D'),
  OF = vr_code('O', 'F'),
  OL = vr_code('O', 'L'),
  OV = vr_code('O', 'V'),
  OW = vr_code('O', 'W'),
  PN = vr_code('P', 'N'),
  SH = vr_code('S', 'H'),
  SL = vr_code('S', 'L'),
  SQ = vr_code('S', 'Q'),
  SS = vr_code('S', 'S'),
  ST = vr_code('S', 'T'),
  SV = vr_code('S', 'V'),
  TM = vr_code('T', 'M'),
  UC = vr_code('U', 'C'),
  UI = vr_code('U', 'I'),
  UL = vr_code('U', 'L'),
  UN = vr_code('U', 'N'),
  UR = vr_code('U', 'R'),
  US = vr_code('U', 'S'),
  UT = vr_code('U', 'T'),
  UV = vr_code('U', 'V'),
};

[[nodiscard]] std::string to_string(Vr vr);

// True for the VRs whose explicit form has two reserved bytes and a 32-bit
// length (PS3.5 Table 7.1-1), and for every VR the standard does not name.
[[nodiscard]] bool has_long_length(Vr vr);

// The VR of DCMTK's dictionary; UN for what it does not know, private elements
// included. Ambiguous ones resolve as in PS3.5 A.1: US or SS to US, OB or OW to OW.
// Group lengths are UL, private creators LO.
[[nodiscard]] Vr dictionary_vr(Tag tag);

// Errors: configuration, when DCMTK found no data dictionary (dicom.dic, or what
// DCMDICTPATH names): implicit VR data sets could not be read. For the start.
[[nodiscard]] Result<void> check_dictionary();

// A value as text, "\"-separated: strings without their padding, US, SS, UL, SL,
// UV, SV, FL, FD and AT in decimal or as gggg,eeee; "" for other binary VRs.
// LT, ST, UT and UR have one value, in which "\" is a character; leading spaces count
// in LT, ST, UT and UC. UN and VRs the standard does not name are taken as text.
[[nodiscard]] std::string value_to_text(Vr vr, std::string_view value, bool big_endian);

// The reverse, padded to even length: NUL for UI, OB, UN and VRs the standard does not
// name, which take the text as their bytes; space for other text, IS and DS as given.
// Errors: permanent, when the text is no value of a binary VR, or the VR is SQ.
[[nodiscard]] Result<std::string> text_to_value(Vr vr, std::string_view text, bool big_endian);

// What fills a value of this VR to even length: space for text, NUL for the rest.
[[nodiscard]] char padding_of(Vr vr);

}  // namespace sluice::dicom
