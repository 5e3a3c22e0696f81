// DCMTK's data dictionary (PS3.6), copied once into tables that are read without a
// lock: the scanner asks for a VR per element. Private to gateway/dicom.
// Made at first use, constant from then on; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/dicom/tag.h"
#include "gateway/dicom/vr.h"

namespace sluice::dicom {

class Dictionary {
 public:
  static const Dictionary& get();

  [[nodiscard]] bool empty() const { return entries_.empty(); }

  // As dictionary_vr().
  [[nodiscard]] Vr vr(Tag tag) const;

  // Without DCMTK's "RETIRED_"; "" when there is none.
  [[nodiscard]] std::string_view keyword(Tag tag) const;

  // Of repeating groups (60xx) the first.
  [[nodiscard]] std::optional<Tag> find(std::string_view keyword) const;

  // The keyword with the least edit distance, letter case aside.
  [[nodiscard]] std::string_view nearest(std::string_view keyword) const;

 private:
  struct Entry {
    Tag tag;
    Vr vr = Vr::UN;
    std::string keyword;
  };
  struct Range {
    Tag low;
    Tag high;
    bool even_groups = false;
    Vr vr = Vr::UN;
    std::string keyword;
  };

  Dictionary();
  void load();
  void fill_slots();
  [[nodiscard]] const Entry* find_entry(Tag tag) const;
  [[nodiscard]] const Range* find_range(Tag tag) const;

  std::vector<Entry> entries_;
  std::vector<Range> ranges_;         // 50xx, 60xx and the like; narrow ones first
  std::vector<std::uint32_t> slots_;  // open addressing: index into entries_ plus one, or 0
  std::unordered_map<std::string_view, Tag> tags_;  // views into entries_ and ranges_
};

}  // namespace sluice::dicom
