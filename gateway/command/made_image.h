// A data set made of values that a configuration names, for its tests.
#pragma once

#include <string>

#include "gateway/config/table.h"
#include "gateway/dicom/header.h"

namespace sluice::command {

// Explicit VR little endian, of a table such as
//
//   { Modality = "CT", "RequestAttributesSequence[0].StudyID" = "7", "(0009,xx01,ACME)" = "x" }
//
// Keys are as of AttributePath, with numbered items; a value is a text of its VR, a list of
// them where it is multi-valued, "" where it is there and empty. Text is written in the Specific
// Character Set (0008,0005) that the table names, else in ISO_IR 192 where it is not ASCII.
// SOP Class UID, where there is none, is Secondary Capture's; other UIDs that every instance has
// are made of `seed`, and the same each time. Notes every mistake.
[[nodiscard]] dicom::Header make_image(config::Table& attributes, const std::string& seed);

}  // namespace sluice::command
