// Who we are, in associations and in files (PS3.7 D.3.3.2, PS3.10 7.1).
#pragma once

#include <string_view>

namespace sluice::dicom {

// Both end in a NUL, as every literal does.
inline constexpr std::string_view kImplementationClassUid =
    "2.25.280522797028122832885654018961817450494";
inline constexpr std::string_view kImplementationVersionName = "SLUICE_0_1";  // SH, 16 characters

}  // namespace sluice::dicom
