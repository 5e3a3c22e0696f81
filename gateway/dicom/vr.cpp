#include "gateway/dicom/vr.h"

#include "gateway/dicom/dictionary.h"

namespace sluice::dicom {

std::string to_string(Vr vr) {
  const auto code = static_cast<std::uint16_t>(vr);
  return {static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
}

bool has_long_length(Vr vr) {
  switch (vr) {
    case Vr::AE:
    case Vr::AS:
    case Vr::AT:
    case Vr::CS:
    case Vr::DA:
    case Vr::DS:
    case Vr::DT:
    case Vr::FD:
    case Vr::FL:
    case Vr::IS:
    case Vr::LO:
    case Vr::LT:
    case Vr::PN:
    case Vr::SH:
    case Vr::SL:
    case Vr::SS:
    case Vr::ST:
    case Vr::TM:
    case Vr::UI:
    case Vr::UL:
    case Vr::US:
      return false;
    default:
      return true;
  }
}

char padding_of(Vr vr) {
  switch (vr) {
    case Vr::AE:
    case Vr::AS:
    case Vr::CS:
    case Vr::DA:
    case Vr::DS:
    case Vr::DT:
    case Vr::IS:
    case Vr::LO:
    case Vr::LT:
    case Vr::PN:
    case Vr::SH:
    case Vr::ST:
    case Vr::TM:
    case Vr::UC:
    case Vr::UR:
    case Vr::UT:
      return ' ';
    default:
      return '\0';
  }
}

Vr dictionary_vr(Tag tag) {
  return Dictionary::get().vr(tag);
}

Result<void> check_dictionary() {
  if (!Dictionary::get().empty()) return {};
  return failure(ErrorCode::configuration,
                 "DCMTK found no data dictionary, without which implicit VR data sets cannot be "
                 "read; install dicom.dic (Debian: libdcmtk17) or unset DCMDICTPATH");
}

}  // namespace sluice::dicom
