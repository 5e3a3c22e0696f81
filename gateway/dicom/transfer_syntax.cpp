#include "gateway/dicom/transfer_syntax.h"

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

std::string transfer_syntax_name(std::string_view uid) {
  std::string text(uid);
  if (text.empty()) return text;  // as are those that DCMTK made up
  const DcmXfer syntax(text.c_str());
  if (syntax.getXfer() == EXS_Unknown) return text;
  return syntax.getXferName();
}

}  // namespace sluice::dicom
