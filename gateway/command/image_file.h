// The header of an image on disk, for looking at what would become of it.
#pragma once

#include <cstdint>
#include <string>

#include "gateway/base/error.h"
#include "gateway/dicom/header.h"

namespace sluice::command {

// Errors: permanent, when the file cannot be read or is no DICOM Part 10 file; corrupt,
// also when sequences are nested deeper than this.
[[nodiscard]] Result<dicom::Header> read_image(const std::string& path,
                                               std::uint32_t max_nesting = dicom::kMostNesting);

// The element's value without padding; empty where it is absent.
[[nodiscard]] std::string text_of(const dicom::Header& header, dicom::Tag tag);

}  // namespace sluice::command
