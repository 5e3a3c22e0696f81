// What DCMTK reads, to hold the index against.
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dctk.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/dicom/data_set_bytes.h"
#include "tests/support/fixtures.h"

namespace sluice::test {

// A file as a sender would read it: what is sent is its data set.
struct Image {
  std::string name;
  dicom::TransferSyntax syntax;
  std::string data_set;
};

// Behind the preamble and the group 0002, which is always explicit VR little endian.
inline std::size_t data_set_offset(std::string_view file) {
  std::size_t at = file.size() > 132 && file.substr(128, 4) == "DICM" ? 132 : 0;
  const auto byte = [&](std::size_t index) {
    return std::size_t{static_cast<unsigned char>(file[index])};
  };
  while (at + 12 < file.size() && byte(at) == 2 && byte(at + 1) == 0) {
    const bool is_long = file.substr(at + 4, 2) == "OB";
    const std::size_t field = is_long ? at + 8 : at + 6;
    const std::size_t high = is_long ? (byte(field + 2) << 16U) | (byte(field + 3) << 24U) : 0;
    at = (is_long ? at + 12 : at + 8) + (byte(field) | (byte(field + 1) << 8U) | high);
  }
  return at;
}

// nullopt when DCMTK cannot tell the transfer syntax; such a file is not sent.
inline std::optional<Image> load_image(const std::string& path) {
  DcmFileFormat file;
  file.loadFile(path.c_str(), EXS_Unknown, EGL_noChange, 64, ERM_autoDetect);
  const DcmXfer xfer(file.getDataset()->getOriginalXfer());
  if (xfer.getXfer() == EXS_Unknown) return std::nullopt;
  const std::string bytes = read_file(path);
  return Image{path.substr(path.rfind('/') + 1), dicom::transfer_syntax(xfer.getXferID()),
               bytes.substr(data_set_offset(bytes))};
}

inline std::vector<Image> all_images() {
  std::vector<Image> images;
  for (const std::string& path : all_fixtures()) {
    if (auto image = load_image(path)) images.push_back(std::move(*image));
  }
  return images;
}

// Reads the whole data set; false when DCMTK refuses it.
inline bool read_by_dcmtk(std::string_view data, const dicom::TransferSyntax& syntax,
                          DcmDataset& into) {
  const E_TransferSyntax xfer = DcmXfer(syntax.uid.c_str()).getXfer();
  DcmInputBufferStream stream;
  stream.setBuffer(data.data(), static_cast<offile_off_t>(data.size()));
  stream.setEos();
  into.transferInit();
  const OFCondition read = into.read(stream, xfer, EGL_noChange);
  into.transferEnd();
  return read.good();
}

// Compares tags, nesting and the lengths of plain values, of `index` and what follows
// it in the same item. "" or the path of the first difference.
class TreeComparison {
 public:
  explicit TreeComparison(const dicom::Header& header) : header_(header) {}

  std::string compare(DcmItem& item, dicom::ElementIndex parent = dicom::kRoot) {
    auto index = parent == dicom::kRoot ? 0 : parent + 1;
    const auto end = parent == dicom::kRoot ? count() : header_.after(parent);
    for (unsigned long i = 0; i < item.card(); ++i) {
      DcmElement* theirs = item.getElement(i);
      const dicom::Tag tag{theirs->getGTag(), theirs->getETag()};
      const bool is_pixel_data = tag == dicom::tags::kFloatPixelData ||
                                 tag == dicom::tags::kDoubleFloatPixelData ||
                                 tag == dicom::tags::kPixelData;
      if (parent == dicom::kRoot && is_pixel_data) break;  // the header ends before it
      if (index >= end) return to_string(tag) + " is missing";
      if (header_[index].tag != tag) return header_.path(index) + " is " + to_string(tag);
      if (auto found = compare_element(*theirs, index); !found.empty()) return found;
      index = header_.after(index);
    }
    return index == end ? "" : header_.path(index) + " is too much";
  }

 private:
  [[nodiscard]] dicom::ElementIndex count() const {
    return static_cast<dicom::ElementIndex>(header_.elements().size());
  }

  std::string compare_element(DcmElement& theirs, dicom::ElementIndex index) {
    const dicom::Element& ours = header_[index];
    auto* sequence = dynamic_cast<DcmSequenceOfItems*>(&theirs);
    const bool is_sequence = sequence != nullptr && theirs.ident() == EVR_SQ;
    if (is_sequence && ours.is_sequence()) return compare_items(*sequence, index);
    // DCMTK leaves UN of defined length as it is.
    if (is_sequence || (ours.is_sequence() && !ours.written_as_un))
      return header_.path(index) + ": a sequence?";
    if (ours.length == dicom::kUndefinedLength) return "";
    const auto padded = ours.length + ours.length % 2;
    if (theirs.getLength() + theirs.getLength() % 2 == padded) return "";
    return header_.path(index) + ": " + std::to_string(theirs.getLength()) + " bytes";
  }

  std::string compare_items(DcmSequenceOfItems& sequence, dicom::ElementIndex index) {
    auto item = index + 1;
    const auto end = header_.after(index);
    for (unsigned long i = 0; i < sequence.card(); ++i) {
      if (item >= end) return header_.path(index) + ": an item is missing";
      if (auto found = compare(*sequence.getItem(i), item); !found.empty()) return found;
      item = header_.after(item);
    }
    return item == end ? "" : header_.path(item) + " is too much";
  }

  const dicom::Header& header_;
};

}  // namespace sluice::test
