#include "gateway/dicom/transfer_syntax.h"

#include <algorithm>
#include <array>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcxfer.h>

namespace sluice::dicom {

TransferSyntax transfer_syntax(std::string_view uid) {
  TransferSyntax syntax;
  syntax.uid = uid;
  if (uid == kImplicitVrLittleEndian) {
    syntax.explicit_vr = false;
  } else if (uid == kExplicitVrBigEndian) {
    syntax.big_endian = true;
  } else if (uid == kDeflatedExplicitVrLittleEndian) {
    syntax.deflated = true;
  } else if (uid != kExplicitVrLittleEndian) {
    syntax.encapsulated = true;
  }
  return syntax;
}

bool is_readable(std::string_view uid) {
  static constexpr std::array<std::string_view, 6> kOtherwise = {
      "1.2.840.113619.5.2",       // GE: implicit VR, pixel data big endian
      "1.2.840.10008.1.20",       // Papyrus 3: implicit VR; retired
      "1.2.840.10008.1.2.4.95",   // JPIP Referenced Deflate
      "1.2.840.10008.1.2.4.205",  // JPIP HTJ2K Referenced Deflate
      "1.2.840.10008.1.2.6.1",    // RFC 2557 MIME encapsulation; retired
      "1.2.840.10008.1.2.6.2"};   // XML encoding; retired
  return std::ranges::find(kOtherwise, uid) == kOtherwise.end();
}

std::vector<std::string> readable_transfer_syntaxes() {
  std::vector<std::string> uids;
  for (int number = EXS_LittleEndianImplicit;; ++number) {
    const DcmXfer syntax(static_cast<E_TransferSyntax>(number));
    if (syntax.getXfer() == EXS_Unknown) return uids;
    // Without a UID are those that DCMTK made up.
    const std::string uid = syntax.getXferID();
    if (!uid.empty() && is_readable(uid)) uids.push_back(uid);
  }
}

std::string transfer_syntax_name(std::string_view uid) {
  std::string text(uid);
  if (text.empty()) return text;  // as are those that DCMTK made up
  const DcmXfer syntax(text.c_str());
  if (syntax.getXfer() == EXS_Unknown) return text;
  return syntax.getXferName();
}

}  // namespace sluice::dicom
