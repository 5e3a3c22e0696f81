// The edits of one data set, and the bytes that come of them.
//
// A patch never copies what it does not change: render() gives pieces, ranges of
// the received data set and new bytes, in order. An empty patch renders to one
// range. Lengths of enclosing sequences and items and existing group lengths are
// corrected; elements stand in tag order; every untouched byte stays as it is.
//
//   Patch patch(header);
//   patch.set(tags::kSeriesNumber, "10000");
//   auto pieces = patch.render(data_set_length);
//
// Reads see earlier edits. A Patch belongs to one thread; the header must outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/dicom/header.h"

namespace sluice::dicom {

// An element to be inserted: a value as encoded, or the items of a sequence.
struct NewElement;
using NewItem = std::vector<NewElement>;  // any order; rendered in tag order
struct NewElement {
  Tag tag;
  Vr vr = Vr::UN;
  std::variant<std::string, std::vector<NewItem>> value;
};

// A value as encoded; valid until the next edit.
struct PlacedValue {
  Vr vr = Vr::UN;
  bool big_endian = false;
  std::string_view value;  // "" also of a sequence
  bool is_kept = true;     // false: too long to be kept in memory, and `value` is ""
};

// A range of the received data set (after inflation), or new bytes.
struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::string bytes;  // used when not empty; then length is its size

  [[nodiscard]] bool is_new() const { return !bytes.empty(); }
};

class Patch {
 public:
  explicit Patch(const Header& header) : header_(&header) {}

  [[nodiscard]] const Header& header() const { return *header_; }
  [[nodiscard]] bool empty() const;

  // The value as encoded, through earlier edits; nullopt when absent, removed,
  // a sequence, or too long to be kept in memory.
  [[nodiscard]] std::optional<std::string_view> value(Tag tag) const;  // top level, the first
  [[nodiscard]] std::optional<std::string_view> value(ElementIndex index) const;

  // As text: value_to_text() of the value; "" when there is none.
  [[nodiscard]] std::string text(Tag tag) const;

  // The same of each that stands at top level, in order: two where a tag comes twice.
  // Of one that has no value in memory, "".
  [[nodiscard]] std::vector<std::string_view> values(Tag tag) const;
  [[nodiscard]] std::vector<std::string> texts(Tag tag) const;

  // The elements with this tag in an item, or at top level with kRoot, that were received
  // and not removed: two where it comes twice.
  [[nodiscard]] std::vector<ElementIndex> received(ElementIndex parent, Tag tag) const;
  // By itself, or with what it is in.
  [[nodiscard]] bool is_removed(ElementIndex index) const;

  // What stands in this item, or at top level with kRoot, under this tag, through edits:
  // two where it comes twice there.
  [[nodiscard]] std::vector<PlacedValue> values(ElementIndex parent, Tag tag) const;

  // Replaces the value of one element; its VR stays as it is in the bytes. Of a
  // sequence or item: all that is in it, edits and appended items included, by items or
  // elements as encoded; it then has a defined length.
  void set(ElementIndex index, std::string value);

  // At top level: replaces every element with this tag, or inserts one with the
  // dictionary's VR. Text as of text_to_value(). Errors: permanent, as there, and
  // for tags at or behind pixel data, group lengths, sequences and groups 0000 and 0002;
  // nothing is set then.
  [[nodiscard]] Result<void> set(Tag tag, std::string_view text);

  // Removes the element with all that is in it.
  void remove(ElementIndex index);
  void remove(Tag tag, ElementIndex parent = kRoot);  // every one in this item or at top level

  // Inserts into an item, or at top level with kRoot, before the first element with a
  // higher tag. Errors: permanent when `parent` is no item, and at top level for group
  // lengths, groups 0000 and 0002 and tags at or behind pixel data.
  [[nodiscard]] Result<void> insert(ElementIndex parent, NewElement element);

  // The same; what was inserted there under this tag before gives way.
  [[nodiscard]] Result<void> put(ElementIndex parent, NewElement element);

  // Appends an item to a top-level sequence (the first with this tag), which is made
  // when absent, removed or an empty value. Errors: permanent, as insert(), and when an
  // element with this tag has a value that is no sequence.
  [[nodiscard]] Result<void> append_item(Tag sequence, NewItem item);

  // The data set in pieces, in order, adjacent ranges joined. Errors: permanent when
  // a value does not fit the 16-bit length of its VR, or a 32-bit length overflows.
  [[nodiscard]] Result<std::vector<Piece>> render(std::uint64_t data_set_length) const;

 private:
  struct Edit {
    bool removed = false;
    std::string value;  // when not removed
  };
  struct Insertion {
    ElementIndex parent = kRoot;
    NewElement element;
  };
  friend class Renderer;

  [[nodiscard]] const Insertion* inserted(Tag tag, ElementIndex parent = kRoot) const;
  [[nodiscard]] bool is_covered(ElementIndex index) const;  // what it is in was edited as a whole

  const Header* header_;
  std::map<ElementIndex, Edit> edits_;
  std::vector<Insertion> insertions_;
  std::map<ElementIndex, std::vector<NewItem>> appended_;  // by sequence
};

}  // namespace sluice::dicom
