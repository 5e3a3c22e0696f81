#include "gateway/dicom/dictionary.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdicent.h>
#include <dcmtk/dcmdata/dcdict.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <numeric>

namespace sluice::dicom {

namespace {

constexpr std::string_view kRetiredPrefix = "RETIRED_";

std::uint32_t packed(Tag tag) {
  return (static_cast<std::uint32_t>(tag.group) << 16U) | tag.element;
}

// Fibonacci hashing: neighbouring tags land far apart.
std::size_t hash(Tag tag) {
  return (packed(tag) * 2654435761U) >> 8U;
}

Tag to_tag(const DcmTagKey& key) {
  return {key.getGroup(), key.getElement()};
}

// DCMTK has names of its own for attributes whose VR depends on others.
Vr to_vr(DcmEVR evr) {
  switch (evr) {
    case EVR_ox:
    case EVR_px:
    case EVR_lt:
      return Vr::OW;
    case EVR_xs:
      return Vr::US;
    case EVR_up:
      return Vr::UL;
    default:
      break;
  }
  const DcmVR vr(evr);
  const std::string_view name = vr.getVRName();
  if (name.size() != 2 || !vr.isStandard()) return Vr::UN;
  return static_cast<Vr>(vr_code(name[0], name[1]));
}

std::string to_keyword(const char* name) {
  std::string_view view = name == nullptr ? "" : name;
  if (view.starts_with(kRetiredPrefix)) view.remove_prefix(kRetiredPrefix.size());
  return std::string(view);
}

bool is_usual(const DcmDictEntry& entry) {
  return entry.getPrivateCreator() == nullptr && entry.getKey().getGroup() != 0xFFFE;
}

std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(left[i]) == lower(right[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

const Dictionary& Dictionary::get() {
  static const Dictionary dictionary;
  return dictionary;
}

Dictionary::Dictionary() {
  load();
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.tag < b.tag; });
  std::stable_sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
    return packed(a.high) - packed(a.low) < packed(b.high) - packed(b.low);
  });
  fill_slots();
}

void Dictionary::load() {
  DcmDataDictionary& source = dcmDataDict.wrlock();
  for (auto entry = source.normalBegin(); entry != source.normalEnd(); ++entry) {
    if (!is_usual(**entry)) continue;
    entries_.push_back({to_tag((*entry)->getKey()), to_vr((*entry)->getEVR()),
                        to_keyword((*entry)->getTagName())});
  }
  for (auto entry = source.repeatingBegin(); entry != source.repeatingEnd(); ++entry) {
    // Private creators and group lengths stand here as well; vr() knows them itself.
    const Tag low = to_tag((*entry)->getKey());
    if (!is_usual(**entry) || low.is_private() || low.is_group_length()) continue;
    ranges_.push_back({low, to_tag((*entry)->getUpperKey()),
                       (*entry)->getGroupRangeRestriction() == DcmDictRange_Even,
                       to_vr((*entry)->getEVR()), to_keyword((*entry)->getTagName())});
  }
  dcmDataDict.wrunlock();
}

void Dictionary::fill_slots() {
  slots_.assign(std::bit_ceil(entries_.size() * 2 + 2), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = hash(entries_[i].tag) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
  for (const Entry& entry : entries_) tags_.emplace(entry.keyword, entry.tag);
  for (const Range& range : ranges_) tags_.emplace(range.keyword, range.low);
}

const Dictionary::Entry* Dictionary::find_entry(Tag tag) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash(tag) & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const Entry& entry = entries_[slots_[slot] - 1];
    if (entry.tag == tag) return &entry;
  }
  return nullptr;
}

const Dictionary::Range* Dictionary::find_range(Tag tag) const {
  for (const Range& range : ranges_) {
    if (tag.group < range.low.group || tag.group > range.high.group) continue;
    if (tag.element < range.low.element || tag.element > range.high.element) continue;
    if (range.even_groups && tag.is_private()) continue;
    return &range;
  }
  return nullptr;
}

Vr Dictionary::vr(Tag tag) const {
  if (tag.is_group_length()) return Vr::UL;
  if (tag.is_private()) {
    return tag.element >= 0x0010 && tag.element <= 0x00FF ? Vr::LO : Vr::UN;
  }
  if (const Entry* entry = find_entry(tag)) return entry->vr;
  if (const Range* range = find_range(tag)) return range->vr;
  return Vr::UN;
}

std::string_view Dictionary::keyword(Tag tag) const {
  if (tag.is_private()) return {};
  if (const Entry* entry = find_entry(tag)) return entry->keyword;
  if (const Range* range = find_range(tag)) return range->keyword;
  return {};
}

std::optional<Tag> Dictionary::find(std::string_view keyword) const {
  const auto found = tags_.find(keyword);
  if (found == tags_.end()) return std::nullopt;
  return found->second;
}

std::string_view Dictionary::nearest(std::string_view keyword) const {
  std::string_view best;
  std::size_t least = keyword.size() + 64;
  const auto consider = [&](std::string_view candidate) {
    // No distance is less than the difference of the lengths.
    const auto [shorter, longer] = std::minmax({keyword.size(), candidate.size()});
    if (longer - shorter >= least) return;
    const std::size_t distance = edit_distance(keyword, candidate);
    if (distance >= least) return;
    least = distance;
    best = candidate;
  };
  for (const Entry& entry : entries_) consider(entry.keyword);
  for (const Range& range : ranges_) consider(range.keyword);
  return best;
}

}  // namespace sluice::dicom
