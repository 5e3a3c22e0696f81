// The head of a DICOM Part 10 file: preamble, prefix and file meta information.
#pragma once

#include <string>

#include "gateway/spool/spool.h"

namespace sluice {

// 128 zero bytes, "DICM" and group 0002 in Explicit VR Little Endian (PS3.10 7.1).
// Values stand as received, padded to even length and cut where their VR ends
// (UI 64 bytes, AE 16), so that no sender can break the file's structure.
[[nodiscard]] std::string encode_file_head(const FileMeta& meta);

}  // namespace sluice
