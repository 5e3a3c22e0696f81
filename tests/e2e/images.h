// Images as DCMTK sees them: copies to send, and what arrived to compare with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dctk.h>

#include "tests/support/fixtures.h"

namespace sluice::test {

inline void require(const OFCondition& condition, const std::string& what) {
  if (condition.bad()) throw std::runtime_error(what + ": " + condition.text());
}

// The file as read, nothing corrected; every value in memory.
inline std::unique_ptr<DcmFileFormat> load_image(const std::string& path) {
  auto file = std::make_unique<DcmFileFormat>();
  require(file->loadFile(path.c_str()), "cannot read " + path);
  require(file->loadAllDataIntoMemory(), "cannot read " + path);
  return file;
}

// The first occurrence at the top level; "" when it is absent.
inline std::string text_of(DcmItem& item, const DcmTagKey& tag) {
  OFString text;
  if (item.findAndGetOFStringArray(tag, text).bad()) return {};
  return {text.c_str(), text.size()};
}
inline std::string text_of(const std::string& path, const DcmTagKey& tag) {
  return text_of(*load_image(path)->getDataset(), tag);
}

using Values = std::vector<std::pair<DcmTagKey, std::string>>;

// A copy of a file with other values, in its own transfer syntax.
inline void copy_image(const std::string& from, const std::string& to, const Values& values) {
  const auto file = load_image(from);
  DcmDataset& data_set = *file->getDataset();
  for (const auto& [tag, value] : values) {
    require(data_set.putAndInsertString(tag, value.c_str()), "cannot set a value of " + from);
  }
  require(file->saveFile(to.c_str(), data_set.getOriginalXfer()), "cannot write " + to);
}

// `count` instances of one series in `folder`; their SOP Instance UIDs are
// "<root>.1" and so on. Returns the files.
inline std::vector<std::string> make_series(const std::string& folder, const std::string& root,
                                            std::size_t count, const Values& more = {}) {
  std::filesystem::create_directories(folder);
  std::vector<std::string> files;
  for (std::size_t i = 1; i <= count; ++i) {
    Values values = {{DCM_SOPInstanceUID, root + "." + std::to_string(i)},
                     {DCM_InstanceNumber, std::to_string(i)}};
    values.insert(values.end(), more.begin(), more.end());
    files.push_back(std::filesystem::path(folder) / (values.front().second + ".dcm"));
    copy_image(fixture("CT_small.dcm"), files.back(), values);
  }
  return files;
}

// The bytes behind the file meta information of a Part 10 file.
inline std::string data_set_bytes(const std::string& path) {
  const std::string bytes = read_file(path);
  constexpr std::size_t kGroupLength = 128 + 4;  // (0002,0000) UL 4, then its value
  if (bytes.size() < kGroupLength + 12 || bytes.substr(128, 4) != "DICM" ||
      bytes.substr(kGroupLength, 4) != std::string("\x02\0\0\0", 4)) {
    throw std::runtime_error("no Part 10 file: " + path);
  }
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    length |= std::size_t{static_cast<unsigned char>(bytes[kGroupLength + 8 + i])} << (8 * i);
  }
  return bytes.substr(kGroupLength + 12 + length);
}

inline std::set<std::string> sop_instance_uids(const std::set<std::string>& files) {
  std::set<std::string> uids;
  for (const std::string& file : files) uids.insert(text_of(file, DCM_SOPInstanceUID));
  return uids;
}

// What a person reads as the name of a nested element:
// "RTDoseROISequence[0].ReferencedSOPInstanceUID".
inline std::string name_below(const std::string& parent, const DcmObject& element) {
  DcmTag tag(element.getTag());
  const std::string name = tag.getTagName();
  return parent.empty() ? name : parent + "." + name;
}

// Where two data sets differ: in tag, VR, form of length or bytes of the value. By path,
// as above, with the text of the right one; a path that only one of them has is there too.
class Differences {
 public:
  using Map = std::map<std::string, std::string>;

  [[nodiscard]] static Map between(DcmItem& left, DcmItem& right) {
    Differences found;
    found.compare_items(left, right, "");
    return found.paths_;
  }

 private:
  void compare_items(DcmItem& left, DcmItem& right, const std::string& parent) {
    unsigned long i = 0;
    unsigned long k = 0;
    while (i < left.card() || k < right.card()) {
      DcmElement* a = i < left.card() ? left.getElement(i) : nullptr;
      DcmElement* b = k < right.card() ? right.getElement(k) : nullptr;
      if (b == nullptr || (a != nullptr && a->getTag() < b->getTag())) {
        paths_[name_below(parent, *a)] = "";
        ++i;
      } else if (a == nullptr || b->getTag() < a->getTag()) {
        note(name_below(parent, *b), *b);
        ++k;
      } else {
        compare_elements(*a, *b, name_below(parent, *a));
        ++i;
        ++k;
      }
    }
  }

  void compare_elements(DcmElement& a, DcmElement& b, const std::string& path) {
    auto* left = dynamic_cast<DcmSequenceOfItems*>(&a);
    auto* right = dynamic_cast<DcmSequenceOfItems*>(&b);
    const bool nested = left != nullptr && right != nullptr && a.ident() == EVR_SQ;
    const bool undefined_left = a.getLengthField() == DCM_UndefinedLength;
    const bool undefined_right = b.getLengthField() == DCM_UndefinedLength;
    bool same = a.getVR() == b.getVR() && undefined_left == undefined_right;
    same = same && (nested ? left->card() == right->card() : bytes(a) == bytes(b));
    if (!same) {
      note(path, b);
    } else if (nested) {
      for (unsigned long i = 0; i < left->card(); ++i) {
        compare_items(*left->getItem(i), *right->getItem(i), path + "[" + std::to_string(i) + "]");
      }
    }
  }

  // Encoded as it stood in the data set.
  static std::string bytes(DcmElement& element) {
    std::string encoded;
    std::string buffer(1 << 16, '\0');
    DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
    // Pixel data is written in the representation that it has.
    const bool pixels = element.ident() == EVR_PixelData;
    E_TransferSyntax syntax = EXS_LittleEndianExplicit;
    if (pixels) {
      E_TransferSyntax kept = EXS_Unknown;
      const DcmRepresentationParameter* parameter = nullptr;
      dynamic_cast<DcmPixelData&>(element).getOriginalRepresentationKey(kept, parameter);
      if (DcmXfer(kept).isEncapsulated()) syntax = kept;
    }
    element.transferInit();
    OFCondition written = EC_StreamNotifyClient;
    while (written == EC_StreamNotifyClient) {
      written = element.write(stream, syntax, EET_UndefinedLength, nullptr);
      void* filled = nullptr;
      offile_off_t length = 0;
      stream.flushBuffer(filled, length);
      encoded.append(static_cast<const char*>(filled), static_cast<std::size_t>(length));
    }
    element.transferEnd();
    require(written, "cannot encode an element");
    return encoded;
  }

  void note(const std::string& path, DcmElement& element) {
    OFString text;
    const bool has_text = element.isLeaf() && element.getOFStringArray(text).good();
    paths_[path] = has_text ? std::string(text.c_str(), text.size()) : "";
  }

  Map paths_;
};

}  // namespace sluice::test
