// From edits to bytes. Each edit becomes a splice: so many bytes at an offset give way
// to others. What grows or shrinks is added up along its parents, and their length
// fields and the group lengths beside them become splices too. Sorted by offset, the
// splices and the ranges between them are the pieces.
#include <algorithm>
#include <compare>
#include <functional>
#include <utility>

#include "gateway/dicom/encode.h"
#include "gateway/dicom/patch.h"

namespace sluice::dicom {
namespace {

constexpr std::uint64_t kDelimiterLength = 8;
constexpr std::uint64_t kLengthField = 4;

struct Splice {
  std::uint64_t offset = 0;
  // At one offset: the end of what is nested deeper comes first, then lower tags, and
  // what is inserted comes before what is replaced.
  int shallowness = 0;
  bool replaces = false;
  Tag tag;
  std::uint64_t removed = 0;  // bytes
  std::string bytes;
};

std::weak_ordering order(const Splice& left, const Splice& right) {
  if (const auto by = left.offset <=> right.offset; by != 0) return by;
  if (const auto by = left.replaces <=> right.replaces; by != 0) return by;
  if (const auto by = left.shallowness <=> right.shallowness; by != 0) return by;
  return left.tag <=> right.tag;
}

}  // namespace

class Renderer {
 public:
  explicit Renderer(const Patch& patch) : patch_(patch), header_(patch.header()) {}

  Result<std::vector<Piece>> render(std::uint64_t data_set_length) {
    if (data_set_length < header_.length()) {
      return failure(ErrorCode::permanent, "the data set is shorter than its header");
    }
    auto done = add_edits();
    if (done) done = add_insertions();
    if (done) done = add_appended_items();
    if (done) done = correct_lengths();
    if (!done) return tl::unexpected(done.error());
    std::ranges::stable_sort(
        splices_, [](const Splice& left, const Splice& right) { return order(left, right) < 0; });
    return pieces(data_set_length);
  }

 private:
  // Of the element itself; what is inside a sequence written as UN is implicit.
  [[nodiscard]] Encoding encoding_of(const Element& element) const {
    return {element.implicit_vr, header_.transfer_syntax().big_endian && !element.implicit_vr};
  }
  [[nodiscard]] Encoding encoding_inside(ElementIndex container) const {
    if (container == kRoot) {
      return {!header_.transfer_syntax().explicit_vr, header_.transfer_syntax().big_endian};
    }
    const Element& element = header_[container];
    return element.written_as_un ? Encoding{true, false} : encoding_of(element);
  }

  Result<void> add_edits() {
    for (const auto& [index, edit] : patch_.edits_) {
      const Element& element = header_[index];
      if (patch_.is_covered(index)) continue;
      const std::uint64_t before = element.end - element.offset;
      std::string bytes;
      if (!edit.removed) {
        const auto added = appended_to(index);
        if (!added) return tl::unexpected(added.error());
        const Vr vr = element.written_as_un ? Vr::UN : element.vr;
        auto put = put_head(bytes, element.tag, vr, edit.value.size() + added->size(),
                            encoding_of(element));
        if (!put) return put;
        bytes += edit.value;
        bytes += *added;
      }
      grow(index, static_cast<std::int64_t>(bytes.size()) - static_cast<std::int64_t>(before));
      splices_.push_back(
          {element.offset, -element.depth, true, element.tag, before, std::move(bytes)});
    }
    return {};
  }

  Result<void> add_insertions() {
    for (const Patch::Insertion& insertion : patch_.insertions_) {
      if (insertion.parent != kRoot && is_replaced(insertion.parent)) continue;
      std::string bytes;
      auto put = put_element(bytes, insertion.element, encoding_inside(insertion.parent));
      if (!put) return put;
      const auto length = static_cast<std::int64_t>(bytes.size());
      grow_group(insertion.parent, insertion.element.tag, length);
      if (insertion.parent != kRoot) grow_container(insertion.parent, length);
      splices_.push_back({insertion_offset(insertion), -depth_inside(insertion.parent), false,
                          insertion.element.tag, 0, std::move(bytes)});
    }
    return {};
  }

  Result<void> add_appended_items() {
    for (const auto& entry : patch_.appended_) {
      const ElementIndex sequence = entry.first;
      if (is_replaced(sequence)) continue;
      auto bytes = appended_to(sequence);
      if (!bytes) return tl::unexpected(bytes.error());
      grow_container(sequence, static_cast<std::int64_t>(bytes->size()));
      splices_.push_back({content_end(sequence), -depth_inside(sequence), false, tags::kItem, 0,
                          *std::move(bytes)});
    }
    return {};
  }

  [[nodiscard]] Result<std::string> appended_to(ElementIndex sequence) const {
    std::string bytes;
    const auto appended = patch_.appended_.find(sequence);
    if (appended == patch_.appended_.end()) return bytes;
    for (const NewItem& item : appended->second) {
      auto put = put_item(bytes, item, encoding_inside(sequence));
      if (!put) return tl::unexpected(put.error());
    }
    return bytes;
  }

  // Nothing of what the data set has there is left to add to.
  [[nodiscard]] bool is_replaced(ElementIndex container) const {
    return patch_.edits_.contains(container) || patch_.is_covered(container);
  }

  [[nodiscard]] int depth_inside(ElementIndex container) const {
    return container == kRoot ? 0 : header_[container].depth + 1;
  }

  [[nodiscard]] std::uint64_t content_end(ElementIndex container) const {
    if (container == kRoot) return header_.length();
    const Element& element = header_[container];
    if (element.length == kUndefinedLength) return element.end - kDelimiterLength;
    // Not `end`: some writers put a delimiter behind the last child all the same.
    std::uint64_t content = element.value_offset();
    const ElementIndex behind = header_.after(container);
    for (ElementIndex child = container + 1; child < behind; child = header_.after(child)) {
      content = header_[child].end;
    }
    return content;
  }

  // Before the first sibling with a higher tag.
  [[nodiscard]] std::uint64_t insertion_offset(const Patch::Insertion& insertion) const {
    const ElementIndex parent = insertion.parent;
    const auto end = parent == kRoot ? static_cast<ElementIndex>(header_.elements().size())
                                     : header_.after(parent);
    for (ElementIndex index = parent == kRoot ? 0 : parent + 1; index < end;
         index = header_.after(index)) {
      if (header_[index].tag > insertion.element.tag) return header_[index].offset;
    }
    return content_end(parent);
  }

  // An element's bytes became more or less: so did its group and what it is in.
  void grow(ElementIndex index, std::int64_t by) {
    const Element& element = header_[index];
    grow_group(element.parent, element.tag, by);
    if (element.parent != kRoot) grow_container(element.parent, by);
  }

  void grow_container(ElementIndex container, std::int64_t by) {
    if (header_[container].length != kUndefinedLength) growth_[container] += by;
    grow(container, by);
  }

  void grow_group(ElementIndex parent, Tag tag, std::int64_t by) {
    if (tag == tags::kItem || tag.is_group_length()) return;
    const auto index = header_.find(Tag{tag.group, 0}, parent);
    // Under that tag a hostile sender may put a sequence, whose length is its own.
    if (!index || header_[*index].is_sequence() || patch_.edits_.contains(*index)) return;
    growth_[*index] += by;
  }

  Result<void> correct_lengths() {
    for (const auto& [index, growth] : growth_) {
      if (growth == 0) continue;
      if (auto corrected = correct_length(header_[index], index, growth); !corrected) {
        return corrected;
      }
    }
    return {};
  }

  // The length field of a container, or the value of a group length (UL, PS3.5 7.2).
  Result<void> correct_length(const Element& element, ElementIndex index, std::int64_t growth) {
    const bool is_container = element.is_sequence() || element.is_item();
    const bool big_endian =
        is_container ? encoding_of(element).big_endian : header_.is_big_endian(index);
    std::int64_t before = element.length;
    std::uint64_t offset = element.value_offset() - kLengthField;
    if (!is_container) {
      const auto value = header_.value(index);
      if (!value || value->size() != kLengthField) return {};  // no group length that can be right
      before = read_length(*value, big_endian);
      offset = element.value_offset();
    }
    const std::int64_t after = before + growth;
    if (after < 0 || after >= std::int64_t{kUndefinedLength}) {
      // A wrong group length stays wrong; a container's length must be right.
      if (!is_container) return {};
      return failure(ErrorCode::permanent,
                     header_.path(index) + " would have " + std::to_string(after) + " bytes");
    }
    std::string bytes;
    put_32(bytes, static_cast<std::uint32_t>(after), big_endian);
    splices_.push_back({offset, -element.depth, true, element.tag, kLengthField, std::move(bytes)});
    return {};
  }

  static std::int64_t read_length(std::string_view value, bool big_endian) {
    std::uint32_t number = 0;
    for (std::size_t at = 0; at < value.size(); ++at) {
      const std::size_t significant = big_endian ? at : value.size() - 1 - at;
      number = (number << 8U) | static_cast<unsigned char>(value[significant]);
    }
    return number;
  }

  Result<std::vector<Piece>> pieces(std::uint64_t data_set_length) {
    std::vector<Piece> made;
    std::uint64_t at = 0;
    const auto add_range = [&](std::uint64_t end) {
      if (end > at) made.push_back({at, end - at, {}});
      at = end;
    };
    for (Splice& splice : splices_) {
      add_range(splice.offset);
      at = splice.offset + splice.removed;
      if (splice.bytes.empty()) continue;
      if (!made.empty() && made.back().is_new()) {
        made.back().bytes += splice.bytes;
        made.back().length = made.back().bytes.size();
      } else {
        made.push_back({0, splice.bytes.size(), std::move(splice.bytes)});
      }
    }
    add_range(data_set_length);
    return join(std::move(made));
  }

  // A patch that removes nothing and adds nothing in between leaves one range.
  static std::vector<Piece> join(std::vector<Piece> pieces) {
    std::vector<Piece> joined;
    for (Piece& piece : pieces) {
      const bool adjacent = !joined.empty() && !piece.is_new() && !joined.back().is_new() &&
                            joined.back().offset + joined.back().length == piece.offset;
      if (adjacent) {
        joined.back().length += piece.length;
      } else {
        joined.push_back(std::move(piece));
      }
    }
    return joined;
  }

  const Patch& patch_;
  const Header& header_;
  std::vector<Splice> splices_;
  std::map<ElementIndex, std::int64_t> growth_;
};

Result<std::vector<Piece>> Patch::render(std::uint64_t data_set_length) const {
  return Renderer(*this).render(data_set_length);
}

}  // namespace sluice::dicom
