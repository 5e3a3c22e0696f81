// Small data sets for tests, and the data sets of real files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/dicom/header.h"
#include "gateway/dicom/patch.h"
#include "tests/support/fixtures.h"

namespace sluice::test {

// Explicit VR little endian, in the order of the calls; odd values are the caller's wish.
class DataSet {
 public:
  DataSet& add(dicom::Tag tag, dicom::Vr vr, std::string_view value) {
    head(tag, vr, value.size());
    bytes_ += value;
    return *this;
  }
  // Padded by VR.
  DataSet& text(dicom::Tag tag, dicom::Vr vr, std::string_view value) {
    std::string padded(value);
    if (padded.size() % 2 != 0) padded += dicom::padding_of(vr);
    return add(tag, vr, padded);
  }
  DataSet& uid(dicom::Tag tag, std::string_view value) { return text(tag, dicom::Vr::UI, value); }
  DataSet& sequence(dicom::Tag tag, const std::vector<DataSet>& items) {
    std::string value;
    for (const DataSet& item : items) {
      put(value, 0xFFFE, 2);
      put(value, 0xE000, 2);
      put(value, item.bytes_.size(), 4);
      value += item.bytes_;
    }
    return add(tag, dicom::Vr::SQ, value);
  }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  static void put(std::string& out, std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>((number >> (8 * i)) & 0xFFU);
  }
  void head(dicom::Tag tag, dicom::Vr vr, std::size_t length) {
    put(bytes_, tag.group, 2);
    put(bytes_, tag.element, 2);
    bytes_ += dicom::to_string(vr);
    if (dicom::has_long_length(vr)) put(bytes_, 0, 2);
    put(bytes_, length, dicom::has_long_length(vr) ? 4 : 2);
  }
  std::string bytes_;
};

// A data set with what every image has; further elements behind these.
inline DataSet image(std::string_view sop_instance_uid, std::string_view study,
                     std::string_view series, std::string_view series_number) {
  DataSet made;
  made.uid(dicom::tags::kSopClassUid, "1.2.840.10008.5.1.4.1.1.2")
      .uid(dicom::tags::kSopInstanceUid, sop_instance_uid)
      .uid(dicom::tags::kStudyInstanceUid, study)
      .uid(dicom::tags::kSeriesInstanceUid, series)
      .text(dicom::tags::kSeriesNumber, dicom::Vr::IS, series_number);
  return made;
}

inline dicom::Header header_of(
    std::string_view bytes,
    const std::string& transfer_syntax_uid = std::string(dicom::kExplicitVrLittleEndian)) {
  auto header =
      dicom::scan(std::as_bytes(std::span(bytes)), dicom::transfer_syntax(transfer_syntax_uid));
  if (!header) throw std::runtime_error(header.error().message);
  return std::move(*header);
}

// The bytes that a patch makes of a plain data set.
inline std::string rendered(const dicom::Patch& patch, std::string_view bytes) {
  const auto pieces = patch.render(bytes.size());
  if (!pieces) throw std::runtime_error(pieces.error().message);
  std::string made;
  for (const dicom::Piece& piece : *pieces) {
    made +=
        piece.is_new() ? std::string_view(piece.bytes) : bytes.substr(piece.offset, piece.length);
  }
  return made;
}

struct FileDataSet {
  std::string name;
  std::string transfer_syntax_uid;
  std::string bytes;
};

// The data set of a Part 10 file; nullopt for a file without complete meta information.
inline std::optional<FileDataSet> file_data_set(const std::string& path) {
  const std::string file = read_file(path);
  constexpr std::size_t kMeta = 132;
  constexpr std::size_t kGroupLength = kMeta + 8;
  if (file.size() < kGroupLength + 4 || file.compare(128, 4, "DICM") != 0 ||
      file.compare(kMeta, 6, std::string("\2\0\0\0UL", 6)) != 0) {
    return std::nullopt;
  }
  std::uint32_t length = 0;
  for (std::size_t i = 4; i-- > 0;) {
    length = (length << 8U) | static_cast<unsigned char>(file[kGroupLength + i]);
  }
  const std::size_t start = kGroupLength + 4 + length;
  const std::size_t syntax = file.find(std::string("\2\0\x10\0UI", 6), kMeta);
  if (start > file.size() || syntax == std::string::npos || syntax > start) return std::nullopt;
  const std::size_t syntax_length = static_cast<unsigned char>(file[syntax + 6]);
  std::string uid = file.substr(syntax + 8, syntax_length);
  while (!uid.empty() && uid.back() == '\0') uid.pop_back();
  return FileDataSet{path.substr(path.rfind('/') + 1), uid, file.substr(start)};
}

}  // namespace sluice::test
