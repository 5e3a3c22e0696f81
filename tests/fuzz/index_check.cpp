#include "tests/fuzz/index_check.h"

#include <algorithm>
#include <string>

#include "tests/dicom/data_set_bytes.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

using dicom::Element;
using dicom::ElementIndex;
using dicom::Header;
using dicom::kRoot;

constexpr std::uint64_t kDelimiter = 8;
constexpr std::size_t kMostLookUps = 64;  // each costs a walk over what it is in

class IndexCheck {
 public:
  IndexCheck(const Header& header, std::string_view data) : header_(header), data_(data) {}

  void run() {
    require(header_.length() <= data_.size(), "the header ends within the data set");
    check_children(kRoot, 0, header_.length());
    for (ElementIndex index = 0; index < header_.elements().size(); ++index) check(index);
    check_look_ups();
  }

 private:
  [[nodiscard]] ElementIndex end_of(ElementIndex parent) const {
    return parent == kRoot ? static_cast<ElementIndex>(header_.elements().size())
                           : header_.after(parent);
  }

  // From `begin` to `end` one stands behind the other, without a gap.
  void check_children(ElementIndex parent, std::uint64_t begin, std::uint64_t end) const {
    const auto detail = [&] { return parent == kRoot ? "top level" : header_.path(parent); };
    std::uint64_t at = begin;
    const ElementIndex first = parent == kRoot ? 0 : parent + 1;
    for (ElementIndex index = first; index < end_of(parent); index = header_.after(index)) {
      const Element& child = header_[index];
      require(child.parent == parent, "a child knows its parent", detail);
      require(child.offset == at, "nothing lies between two elements", detail);
      require(child.end > at, "every element has bytes", detail);
      require(header_.after(index) > index, "what comes after comes later", detail);
      at = child.end;
    }
    // Some writers end what has a length by a delimiter as well.
    const bool stray = parent != kRoot && at + kDelimiter == end && is_delimiter(at, parent);
    require(at == end || stray, "all that is in it belongs to an element", detail);
  }

  [[nodiscard]] bool is_delimiter(std::uint64_t offset, ElementIndex container) const {
    const dicom::Tag tag = header_[container].is_item() ? dicom::tags::kItemDelimitation
                                                        : dicom::tags::kSequenceDelimitation;
    const bool big = header_.transfer_syntax().big_endian && !is_implicit_inside(container);
    return tag_at(offset, big) == tag && data_.substr(offset + 4, 4) == std::string(4, '\0');
  }

  [[nodiscard]] bool is_implicit_inside(ElementIndex container) const {
    return header_[container].implicit_vr || header_[container].written_as_un;
  }

  [[nodiscard]] dicom::Tag tag_at(std::uint64_t offset, bool big_endian) const {
    const auto number = [&](std::uint64_t at) {
      const auto first = static_cast<unsigned char>(data_[at]);
      const auto second = static_cast<unsigned char>(data_[at + 1]);
      return static_cast<std::uint16_t>(big_endian ? first << 8U | second : second << 8U | first);
    };
    return {number(offset), number(offset + 2)};
  }

  void check(ElementIndex index) const {
    const Element& element = header_[index];
    const auto detail = [&] { return header_.path(index); };
    const bool big = header_.transfer_syntax().big_endian && !element.implicit_vr;
    require(element.end <= header_.length(), "an element ends within the header", detail);
    require(tag_at(element.offset, big) == element.tag, "the tag is that of the bytes", detail);
    const int depth = element.parent == kRoot ? 0 : header_[element.parent].depth + 1;
    require(element.depth == depth, "a child is one deeper than its parent", detail);
    const bool undefined = element.length == dicom::kUndefinedLength;
    require(undefined || element.end == element.value_offset() + element.length,
            "a length is that of the bytes", detail);
    if (element.is_item() || element.is_sequence()) {
      require(!header_.value(index), "what has children has no value", detail);
      const std::uint64_t content_end = element.end - (undefined ? kDelimiter : 0);
      require(content_end >= element.value_offset(), "a delimiter is behind the head", detail);
      require(!undefined || is_delimiter(content_end, index), "it ends by its delimiter", detail);
      check_children(index, element.value_offset(), content_end);
    } else if (const auto value = header_.value(index)) {
      require(*value == data_.substr(element.value_offset(), element.length),
              "a value is that of the bytes", detail);
    }
  }

  void check_look_ups() const {
    const auto elements = header_.elements();
    const auto most = static_cast<ElementIndex>(std::min(elements.size(), kMostLookUps));
    for (ElementIndex index = 0; index < most; ++index) {
      const Element& element = elements[index];
      const auto first = std::ranges::find_if(elements, [&](const Element& other) {
        return other.parent == element.parent && other.tag == element.tag;
      });
      require(header_.find(element.tag, element.parent) ==
                  static_cast<ElementIndex>(first - elements.begin()),
              "find() gives the first of its tag", [&] { return header_.path(index); });
      require(!header_.path(index).empty(), "every element has a path");
    }
  }

  const Header& header_;
  std::string_view data_;
};

}  // namespace

void check_index(const Header& header, std::string_view data) {
  IndexCheck(header, data).run();
}

bool is_ordered(const Header& header) {
  const auto elements = header.elements();
  for (ElementIndex index = 0; index < elements.size(); ++index) {
    const ElementIndex next = header.after(index);
    if (elements[index].is_item() || next >= elements.size()) continue;
    if (elements[next].parent != elements[index].parent) continue;
    if (elements[next].tag <= elements[index].tag) return false;
  }
  return true;
}

}  // namespace sluice::fuzz
