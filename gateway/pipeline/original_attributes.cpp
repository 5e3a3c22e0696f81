// Original Attributes Sequence (0400,0561), PS3.3 C.12.1.1.9: what stood there
// before, so that a person can undo a repair.
//
// Values that followed their VR go to Modified Attributes Sequence (0400,0550),
// which holds top-level attributes. Values that broke their VR may not be written
// under it again; they go to Nonconforming Modified Attributes Sequence (0400,0551)
// as bytes, with the Selector Attribute Macro (PS3.3 Table 10-20) to say where.
#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include "gateway/dicom/vr.h"
#include "gateway/pipeline/instance.h"

namespace sluice {
namespace {

using dicom::ElementIndex;
using dicom::Header;
using dicom::kRoot;
using dicom::NewItem;
using dicom::Patch;
using dicom::Tag;
using dicom::Vr;

constexpr Tag kNonconformingModifiedAttributesSequence{0x0400, 0x0551};
constexpr Tag kNonconformingDataElementValue{0x0400, 0x0552};
constexpr Tag kAttributeModificationDateTime{0x0400, 0x0562};
constexpr Tag kModifyingSystem{0x0400, 0x0563};
constexpr Tag kSourceOfPreviousValues{0x0400, 0x0564};
constexpr Tag kReasonForTheAttributeModification{0x0400, 0x0565};
constexpr Tag kSelectorAttribute{0x0072, 0x0026};
constexpr Tag kSelectorValueNumber{0x0072, 0x0028};
constexpr Tag kSelectorSequencePointer{0x0072, 0x0052};
constexpr Tag kSelectorSequencePointerPrivateCreator{0x0072, 0x0054};
constexpr Tag kSelectorAttributePrivateCreator{0x0072, 0x0056};
constexpr Tag kSelectorSequencePointerItems{0x0074, 0x1057};

// DT in UTC with microseconds (PS3.5 6.2).
std::string date_time(std::chrono::system_clock::time_point time) {
  using std::chrono::microseconds;
  const auto since_epoch = std::chrono::duration_cast<microseconds>(time.time_since_epoch());
  const std::time_t seconds = since_epoch.count() / 1'000'000;
  std::tm broken_down{};
  gmtime_r(&seconds, &broken_down);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y%m%d%H%M%S", &broken_down);
  std::string microseconds_text = std::to_string(since_epoch.count() % 1'000'000);
  microseconds_text.insert(0, 6 - microseconds_text.size(), '0');
  return std::string(text.data(), length) + "." + microseconds_text + "+0000";
}

std::string at_text(Tag tag) {
  return dicom::to_string(tag).substr(1, 9);
}

// The creator of a private element: (gggg,00bb) of the same item (PS3.5 7.8.1).
std::string private_creator(const Header& header, Tag tag, ElementIndex parent) {
  if (!tag.is_private() || tag.element < 0x1000) return "";
  const Tag creator{tag.group, static_cast<std::uint16_t>(tag.element >> 8U)};
  const auto index = header.find(creator, parent);
  const auto value = index ? header.value(*index) : std::nullopt;
  return value ? dicom::value_to_text(Vr::LO, *value, false) : "";
}

void add_once(NewItem& item, dicom::NewElement element) {
  if (std::ranges::find(item, element.tag, &dicom::NewElement::tag) != item.end()) return;
  item.push_back(std::move(element));
}

// The sequences around an element, outermost first, as the parallel values of the
// Selector Attribute Macro.
struct Selector {
  std::string pointers;
  std::string items;  // counted from 1
  std::string creators;
  bool has_private = false;

  void add(const std::string& pointer, const std::string& item, const std::string& creator) {
    const auto put_first = [](std::string& list, const std::string& value) {
      list = list.empty() ? value : value + "\\" + list;
    };
    const bool first = pointers.empty();
    put_first(pointers, pointer);
    put_first(items, item);
    creators = first ? creator : creator + "\\" + creators;
    has_private = has_private || !creator.empty();
  }
};

int item_number(const Header& header, ElementIndex item) {
  int number = 0;
  const ElementIndex sequence = header[item].parent;
  for (ElementIndex index = sequence + 1; index <= item; ++index) {
    if (header[index].parent == sequence) ++number;
  }
  return number;
}

Selector selector(const Header& header, ElementIndex element) {
  Selector made;
  for (ElementIndex item = header[element].parent; item != kRoot;) {
    const ElementIndex sequence = header[item].parent;
    const Tag tag = header[sequence].tag;
    made.add(at_text(tag), std::to_string(item_number(header, item)),
             private_creator(header, tag, header[sequence].parent));
    item = header[sequence].parent;
  }
  return made;
}

// A private element is none without the one that reserves its block (PS3.5 7.8.1).
void add_creator(NewItem& item, const Header& header, Tag tag) {
  const std::string creator = private_creator(header, tag, kRoot);
  const Tag reserved{tag.group, static_cast<std::uint16_t>(tag.element >> 8U)};
  if (!creator.empty()) add_once(item, {reserved, Vr::LO, creator});
}

// Where text was turned to another set, what is recorded stands in the one it was received in:
// an item has that of the data set, unless it says otherwise (PS3.5 7.5.3). Absent: the default.
void add_character_set(NewItem& item, const Patch& patch) {
  constexpr Tag kSet = dicom::tags::kSpecificCharacterSet;
  const auto index = patch.header().find(kSet);
  const auto received = index ? patch.header().value(*index) : std::nullopt;
  if (patch.value(kSet) != received) {
    add_once(item, {kSet, Vr::CS, std::string(received.value_or(""))});
  }
}

class Encoder {
 public:
  explicit Encoder(bool big_endian) : big_endian_(big_endian) {}

  Result<void> add(NewItem& item, Tag tag, Vr vr, std::string_view text) const {
    auto value = dicom::text_to_value(vr, text, big_endian_);
    if (!value) return tl::unexpected(value.error());
    item.push_back({tag, vr, std::move(*value)});
    return {};
  }

  Result<NewItem> nonconforming(const Header& header, ElementIndex index, std::string value) const {
    const dicom::Element& element = header[index];
    const Selector where = selector(header, index);
    const std::string creator = private_creator(header, element.tag, element.parent);
    const bool multiple = value.find('\\') != std::string::npos;
    if (value.size() % 2 != 0) value += '\0';
    NewItem item;
    auto added = add(item, kSelectorAttribute, Vr::AT, at_text(element.tag));
    if (added) added = add(item, kSelectorValueNumber, Vr::US, multiple ? "0" : "1");
    if (added && !where.pointers.empty()) {
      added = add(item, kSelectorSequencePointer, Vr::AT, where.pointers);
      if (added) added = add(item, kSelectorSequencePointerItems, Vr::IS, where.items);
      if (added && where.has_private) {
        added = add(item, kSelectorSequencePointerPrivateCreator, Vr::LO, where.creators);
      }
    }
    if (added && !creator.empty()) {
      added = add(item, kSelectorAttributePrivateCreator, Vr::LO, creator);
    }
    if (!added) return tl::unexpected(added.error());
    item.push_back({kNonconformingDataElementValue, Vr::OB, std::move(value)});
    return item;
  }

 private:
  bool big_endian_;
};

}  // namespace

// Of a sequence, and of what is too long to be in memory, nothing is said: not that it was empty.
bool Instance::is_to_be_recorded(const Original& original) const {
  if (!original.index) return true;
  return !untold_.contains(*original.index) && header().value(*original.index);
}

Result<void> Instance::record_original_attributes() {
  if (originals_.empty()) return {};
  const Encoder encoder(header().transfer_syntax().big_endian);
  NewItem modified;
  std::vector<NewItem> nonconforming;
  for (const Original& original : originals_) {
    if (!is_to_be_recorded(original)) continue;
    const auto received = original.index ? header().value(*original.index) : std::nullopt;
    std::string value(received.value_or(""));
    if (original.record == Record::nonconforming && original.index) {
      auto item = encoder.nonconforming(header(), *original.index, std::move(value));
      if (!item) return tl::unexpected(item.error());
      nonconforming.push_back(std::move(*item));
    } else if (!original.index || header()[*original.index].depth == 0) {
      const Vr vr =
          original.index ? header()[*original.index].vr : dicom::dictionary_vr(original.tag);
      modified.push_back({original.tag, vr, std::move(value)});
      add_creator(modified, header(), original.tag);
    }
  }
  if (!modified.empty()) add_character_set(modified, patch_);
  if (modified.empty() && nonconforming.empty()) return {};

  NewItem item;
  auto added =
      encoder.add(item, kAttributeModificationDateTime, Vr::DT, date_time(provenance_.received_at));
  if (added) added = encoder.add(item, kModifyingSystem, Vr::LO, "SLUICE");
  if (added) {
    added = encoder.add(item, kSourceOfPreviousValues, Vr::LO, provenance_.calling_ae_title);
  }
  if (added) {
    added = encoder.add(item, kReasonForTheAttributeModification, Vr::CS,
                        nonconforming.empty() ? "COERCE" : "CORRECT");
  }
  if (!added) return tl::unexpected(added.error());
  std::vector<NewItem> modified_items;
  if (!modified.empty()) modified_items.push_back(std::move(modified));
  item.push_back({dicom::tags::kModifiedAttributesSequence, Vr::SQ, std::move(modified_items)});
  if (!nonconforming.empty()) {
    item.push_back({kNonconformingModifiedAttributesSequence, Vr::SQ, std::move(nonconforming)});
  }
  originals_.clear();
  return patch_.append_item(dicom::tags::kOriginalAttributesSequence, std::move(item));
}

}  // namespace sluice
