// How the bytes of a data set are to be read (PS3.5 10, Annex A).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::dicom {

struct TransferSyntax {
  std::string uid;
  bool explicit_vr = true;
  bool big_endian = false;
  bool deflated = false;
  bool encapsulated = false;
};

inline constexpr std::string_view kImplicitVrLittleEndian = "1.2.840.10008.1.2";
inline constexpr std::string_view kExplicitVrLittleEndian = "1.2.840.10008.1.2.1";
inline constexpr std::string_view kExplicitVrBigEndian = "1.2.840.10008.1.2.2";
inline constexpr std::string_view kDeflatedExplicitVrLittleEndian = "1.2.840.10008.1.2.1.99";

// Every syntax but the four above, known or private, is explicit VR little endian
// with encapsulated pixel data (PS3.5 A.4).
[[nodiscard]] TransferSyntax transfer_syntax(std::string_view uid);

// False for those that are known to be encoded otherwise: implicit VR of a vendor's own,
// deflated ones of JPIP, and what is no data set. Of a UID that nobody knows it is true:
// PS3.5 A.4 asks for what transfer_syntax() says.
[[nodiscard]] bool is_readable(std::string_view uid);

// All that DCMTK knows and is_readable() holds for, in its order: what can be sent, for it
// can have been received so.
[[nodiscard]] std::vector<std::string> readable_transfer_syntaxes();

// DCMTK's name for it, or the UID itself.
[[nodiscard]] std::string transfer_syntax_name(std::string_view uid);

}  // namespace sluice::dicom
