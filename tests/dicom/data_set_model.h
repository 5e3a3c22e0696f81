// A data set as a tree that can be written, made at random and edited: what a patch is
// held against. Written from scratch each time, with all lengths counted anew.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/dicom/data_set_bytes.h"

namespace sluice::test {

inline constexpr dicom::ElementIndex kNew = dicom::kRoot - 1;  // not in the index

struct ModelItem;

struct ModelElement {
  dicom::Tag tag;
  std::string vr;
  std::string value;             // of a plain one; of a group length: ignored
  std::vector<ModelItem> items;  // of a sequence
  bool is_sequence = false;
  bool is_fragments = false;  // `value` is what stands before the delimiter
  bool is_undefined = false;
  std::uint32_t group_length_error = 0;
  dicom::ElementIndex index = kNew;
};

struct ModelItem {
  std::vector<ModelElement> elements;
  bool is_undefined = false;
  dicom::ElementIndex index = kNew;
};

inline std::string written(const std::vector<ModelElement>& elements, Bytes bytes);

inline std::string written(const ModelElement& element, Bytes bytes) {
  if (element.is_fragments) {
    return bytes.head(element.tag, element.vr, kUndefined) + element.value + bytes.sequence_end();
  }
  if (!element.is_sequence) return bytes.element(element.tag, element.vr, element.value);
  const Bytes inside{element.vr == "UN" ? Form::implicit_le : bytes.form};
  std::string items;
  for (const ModelItem& item : element.items) {
    items += inside.item(written(item.elements, inside), item.is_undefined);
  }
  if (!element.is_undefined) return bytes.element(element.tag, element.vr, items);
  return bytes.head(element.tag, element.vr, kUndefined) + items + inside.sequence_end();
}

inline std::string written(const std::vector<ModelElement>& elements, Bytes bytes) {
  std::string data;
  for (const ModelElement& element : elements) {
    if (!element.tag.is_group_length()) {
      data += written(element, bytes);
      continue;
    }
    std::size_t length = element.group_length_error;
    for (const ModelElement& other : elements) {
      if (other.tag.group != element.tag.group || other.tag.is_group_length()) continue;
      length += written(other, bytes).size();
    }
    data += bytes.element(element.tag, "UL", bytes.number_32(static_cast<std::uint32_t>(length)));
  }
  return data;
}

// As the index counts: a sequence, its items, each followed by its elements.
inline void number(std::vector<ModelElement>& elements, dicom::ElementIndex& next) {
  for (ModelElement& element : elements) {
    element.index = next++;
    for (ModelItem& item : element.items) {
      item.index = next++;
      number(item.elements, next);
    }
  }
}

// Where an element or item is now; nothing when it was removed.
struct Place {
  std::vector<ModelElement>* siblings = nullptr;
  std::size_t position = 0;
  std::vector<ModelItem>* items = nullptr;  // of an item
};

inline std::optional<Place> find(std::vector<ModelElement>& elements, dicom::ElementIndex index) {
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (elements[i].index == index) return Place{&elements, i, nullptr};
    for (std::size_t k = 0; k < elements[i].items.size(); ++k) {
      if (elements[i].items[k].index == index) return Place{nullptr, k, &elements[i].items};
      if (auto found = find(elements[i].items[k].elements, index)) return found;
    }
  }
  return std::nullopt;
}

inline bool has(const std::vector<ModelElement>& elements, dicom::Tag tag) {
  return std::ranges::find(elements, tag, &ModelElement::tag) != elements.end();
}

inline void insert_in_order(std::vector<ModelElement>& elements, ModelElement element) {
  const auto behind = std::ranges::find_if(
      elements, [&](const ModelElement& other) { return other.tag > element.tag; });
  elements.insert(behind, std::move(element));
}

inline std::string padded(std::string value, const std::string& vr) {
  if (value.size() % 2 != 0) value += vr == "UI" || vr == "OB" || vr == "UN" ? '\0' : ' ';
  return value;
}

// Makes data sets. The same seed gives the same ones everywhere: std::mt19937 is
// defined to the bit, and no distribution of the library is used.
class ModelMaker {
 public:
  ModelMaker(std::uint32_t seed, Form form) : random_(seed), form_(form) {}

  std::size_t below(std::size_t limit) { return random_() % limit; }
  bool one_in(std::size_t count) { return below(count) == 0; }

  std::string value(const std::string& vr, bool may_be_odd) {
    if (vr == "US") {
      std::string numbers;
      numbers.assign(2 * (1 + below(3)), static_cast<char>('a' + below(26)));
      return numbers;
    }
    std::string text(below(12), '1');
    for (char& c : text) c = static_cast<char>('0' + below(10));
    if (one_in(40)) text.append(700, '5');
    return may_be_odd && one_in(4) ? text : padded(text, vr);
  }

  struct Kind {
    dicom::Tag tag;
    const char* vr = "";
  };
  static constexpr std::array<Kind, 13> kPlain = {{
      {{0x0008, 0x0005}, "CS"},
      {{0x0008, 0x0018}, "UI"},
      {{0x0008, 0x0060}, "CS"},
      {{0x0008, 0x103E}, "LO"},
      {{0x0008, 0x1155}, "UI"},
      {{0x0010, 0x0010}, "PN"},
      {{0x0010, 0x4000}, "LT"},
      {{0x0020, 0x000D}, "UI"},
      {{0x0020, 0x0011}, "IS"},
      {{0x0028, 0x0010}, "US"},
      {{0x0029, 0x0010}, "LO"},
      {{0x0029, 0x1011}, "UN"},
      {{0x0042, 0x0011}, "OB"},
  }};
  static constexpr std::array<dicom::Tag, 5> kSequences = {{
      {0x0008, 0x1110},
      {0x0008, 0x1140},
      {0x0029, 0x1020},
      {0x0040, 0x0275},
      {0x0088, 0x0200},
  }};

  // Elements in tag order, each tag once.
  std::vector<ModelElement> elements(int depth, bool in_un, bool may_be_odd) {
    std::vector<ModelElement> made;
    for (const Kind& kind : kPlain) {
      if (one_in(3)) made.push_back({kind.tag, kind.vr, value(kind.vr, may_be_odd)});
    }
    for (const dicom::Tag tag : kSequences) {
      if (depth < 4 && one_in(static_cast<std::size_t>(depth) + 3)) {
        made.push_back(sequence(tag, depth, in_un, may_be_odd));
      }
    }
    for (const std::uint16_t group : {std::uint16_t{0x0008}, std::uint16_t{0x0029}}) {
      if (!one_in(4)) continue;
      ModelElement length{{group, 0}, "UL", ""};
      length.group_length_error = one_in(3) ? 20 : 0;
      made.push_back(std::move(length));
    }
    if (depth > 0 && !in_un && form_ == Form::explicit_le && one_in(6)) {
      ModelElement icon{dicom::tags::kPixelData, "OB",
                        Bytes{form_}.item("") + Bytes{form_}.item("abcd")};
      icon.is_fragments = true;
      made.push_back(std::move(icon));
    }
    std::ranges::sort(made, {}, &ModelElement::tag);
    return made;
  }

 private:
  ModelElement sequence(dicom::Tag tag, int depth, bool in_un, bool may_be_odd) {
    ModelElement made{tag, "SQ", ""};
    made.is_sequence = true;
    const bool implicit = in_un || form_ == Form::implicit_le;
    if (!implicit && one_in(4)) made.vr = "UN";
    // Without a VR, or as UN, only its undefined length tells a private sequence.
    made.is_undefined = one_in(2) || (tag.is_private() && (implicit || made.vr == "UN"));
    const std::size_t items = below(4);
    for (std::size_t i = 0; i < items; ++i) {
      made.items.push_back({elements(depth + 1, in_un || made.vr == "UN", may_be_odd), one_in(2)});
    }
    return made;
  }

  std::mt19937 random_;
  Form form_;
};

}  // namespace sluice::test
