// What holds of every index that the scanner makes, whatever the bytes.
#pragma once

#include <string_view>

#include "gateway/dicom/header.h"

namespace sluice::fuzz {

// Throws BrokenPromise. `data`: the bytes as scanned, inflated where they came deflated.
// Every byte of the header belongs to one element, each lies where the index says, values
// are those of the bytes, and look-ups find what a search would.
void check_index(const dicom::Header& header, std::string_view data);

// True when the tags ascend, at every depth.
[[nodiscard]] bool is_ordered(const dicom::Header& header);

}  // namespace sluice::fuzz
