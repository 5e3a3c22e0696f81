// Patches: any edits on whatever the scanner takes. The bytes that come out are those of
// a tree edited in the plain way, and a data set again, for DCMTK too.
#include "gateway/dicom/patch.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/dicom/data_set_bytes.h"
#include "tests/dicom/dcmtk_oracle.h"
#include "tests/fuzz/edited_tree.h"
#include "tests/fuzz/index_check.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

using dicom::ElementIndex;
using dicom::Header;
using dicom::kRoot;
using dicom::NewElement;
using dicom::NewItem;
using dicom::Tag;
using dicom::Vr;

constexpr std::uint32_t kDepth = 24;  // DCMTK recurses, and edits nest a little deeper
constexpr std::size_t kMostEdits = 16;
constexpr Tag kTags[] = {{0x0008, 0x0005}, {0x0008, 0x0018}, {0x0008, 0x0060}, {0x0008, 0x1110},
                         {0x0008, 0x1140}, {0x0008, 0x1155}, {0x0009, 0x0010}, {0x0009, 0x1001},
                         {0x0010, 0x0010}, {0x0010, 0x4000}, {0x0020, 0x000D}, {0x0020, 0x0011},
                         {0x0028, 0x0009}, {0x0028, 0x0010}, {0x0040, 0x0275}, {0x0042, 0x0011},
                         {0x0400, 0x0561}, {0x6000, 0x3000}};

class Edits {
 public:
  Edits(const Header& header, std::string_view data, Input& input)
      : header_(header), data_(data), input_(input), patch_(header), tree_(header, data) {}

  void make() {
    for (std::size_t i = 0; i < kMostEdits && input_.has_decisions(); ++i) edit();
  }

  void check_values() {
    for (ElementIndex index = 0; index < header_.elements().size(); ++index) {
      require(patch_.value(index) == tree_.value(index), "a value is what was set",
              [&] { return header_.path(index); });
    }
    for (const Tag tag : kTags) {
      require(patch_.value(tag) == tree_.value(tag), "a value is what was set",
              [&] { return dicom::keyword(tag); });
    }
  }

  // nullopt when a value is too long for its VR, which rendering must find too.
  std::optional<std::string> render() const {
    const auto expected = tree_.bytes();
    const auto pieces = patch_.render(data_.size());
    require(pieces.has_value() == expected.has_value(), "what fits is rendered, and nothing else",
            [&] { return pieces ? std::string("too long") : pieces.error().message; });
    if (!pieces) return std::nullopt;
    check_pieces(*pieces);
    std::string rendered = test::joined(*pieces, data_);
    require(rendered == *expected, "the bytes are those of the edited tree");
    require(!patch_.empty() || rendered == data_, "an empty patch changes nothing");
    return rendered;
  }

 private:
  void check_pieces(const std::vector<dicom::Piece>& pieces) const {
    std::uint64_t at = 0;
    for (const dicom::Piece& piece : pieces) {
      require(piece.length > 0, "no piece is empty");
      if (piece.is_new()) {
        require(piece.length == piece.bytes.size(), "a new piece tells its length");
        continue;
      }
      require(piece.offset >= at && piece.length <= data_.size() - piece.offset,
              "ranges are of the data set, in its order");
      at = piece.offset + piece.length;
    }
  }

  void edit() {
    switch (input_.below(7)) {
      case 0:
        return set_by_tag();
      case 1:
        return remove_by_tag();
      case 2:
        return append_item();
      case 3:
        return insert(kRoot);
      case 4:
        return with_any_index([this](ElementIndex index) { remove(index); });
      default:
        return with_any_index([this](ElementIndex index) { set_or_insert(index); });
    }
  }

  template <typename Do>
  void with_any_index(Do act) {
    if (header_.elements().empty()) return;
    act(static_cast<ElementIndex>(input_.number() % header_.elements().size()));
  }

  Tag any_tag() {
    const std::size_t choice = input_.below(std::size(kTags) + 2);
    if (choice < std::size(kTags)) return kTags[choice];
    if (choice > std::size(kTags) && !header_.elements().empty()) {
      return header_[static_cast<ElementIndex>(input_.number() % header_.elements().size())].tag;
    }
    const auto group = static_cast<std::uint16_t>(input_.number());
    return {group, static_cast<std::uint16_t>(input_.number())};
  }

  void set_by_tag() {
    const Tag tag = any_tag();
    const std::string text = input_.text();
    const bool was_empty = patch_.empty();
    if (patch_.set(tag, text)) {
      require(tag < dicom::tags::kFloatPixelData && !tag.is_group_length(), "no edit of these");
      tree_.set(tag, text);
    } else {
      require(patch_.empty() == was_empty, "what is refused sets nothing");
    }
  }

  void remove_by_tag() {
    const Tag tag = any_tag();
    patch_.remove(tag);
    tree_.remove(tag);
  }

  void append_item() {
    const Tag tag = any_tag();
    NewItem item = new_item(0);
    if (is_forbidden_at_top(tag)) {
      require(!patch_.append_item(tag, item), "nothing is appended at or behind the pixel data");
      return;
    }
    // Without a VR the dictionary alone tells that it is a sequence.
    const bool is_implicit = !header_.transfer_syntax().explicit_vr;
    if (is_implicit && dicom::dictionary_vr(tag) != Vr::SQ) return;
    const bool taken = patch_.append_item(tag, item).has_value();
    require(taken == tree_.append_item(tag, std::move(item)), "a value is no place for an item",
            [&] { return dicom::keyword(tag); });
  }

  static bool is_forbidden_at_top(Tag tag) {
    return tag >= dicom::tags::kFloatPixelData || tag.group == 0 || tag.group == 2 ||
           tag.is_group_length();
  }

  void insert(ElementIndex parent) {
    NewElement element = new_element(0);
    if (element.tag.group == 0xFFFE) return;  // not an element's tag
    if (parent == kRoot && is_forbidden_at_top(element.tag)) {
      require(!patch_.insert(parent, element), "nothing is inserted at or behind the pixel data");
      return;
    }
    if (parent == kRoot && tree_.has_at_top(element.tag)) return;  // set() is for that
    require(patch_.insert(parent, element).has_value(), "an item takes an element");
    tree_.insert(parent, std::move(element));
  }

  void remove(ElementIndex index) {
    patch_.remove(index);
    tree_.remove(index);
  }

  void set_or_insert(ElementIndex index) {
    const dicom::Element& element = header_[index];
    if (element.is_item() && !input_.yes()) {
      if (!tree_.is_gone(index) && !tree_.is_replaced(index)) insert(index);
      return;
    }
    std::string value;
    if (element.is_sequence() && !element.written_as_un) {
      if (input_.yes()) value = empty_item(element);
    } else if (!element.is_item() && dicom::dictionary_vr(element.tag) != Vr::SQ) {
      value = input_.text();
    }
    patch_.set(index, value);
    tree_.set(index, value);
  }

  [[nodiscard]] std::string empty_item(const dicom::Element& element) const {
    const bool big_endian = header_.transfer_syntax().big_endian && !element.implicit_vr;
    return test::Bytes{big_endian ? test::Form::explicit_be : test::Form::explicit_le}.item("");
  }

  NewElement new_element(int depth) {
    NewElement element{any_tag()};
    element.vr = dicom::dictionary_vr(element.tag);
    if (element.vr != Vr::SQ) {
      element.value = input_.text();
      return element;
    }
    std::vector<NewItem> items;
    for (std::size_t count = input_.below(3); count > 0; --count) {
      items.push_back(new_item(depth + 1));
    }
    element.value = std::move(items);
    return element;
  }

  NewItem new_item(int depth) {
    NewItem item;
    for (std::size_t count = depth > 3 ? 0 : input_.below(4); count > 0; --count) {
      NewElement element = new_element(depth);
      if (element.tag.group != 0xFFFE) item.push_back(std::move(element));
    }
    return item;
  }

  const Header& header_;
  std::string_view data_;
  Input& input_;
  dicom::Patch patch_;
  EditedTree tree_;
};

// What DCMTK reads otherwise than the scanner: "" when nothing. nullopt when the two cannot
// be compared: DCMTK refuses some of what is taken, sorts, and reads odd lengths in ways of
// its own.
std::optional<std::string> difference_to_dcmtk(const Header& header, std::string_view data) {
  if (header.is_unordered() || !is_ordered(header)) return std::nullopt;
  for (const dicom::Element& element : header.elements()) {
    const bool is_odd = element.length % 2 != 0 && element.length != dicom::kUndefinedLength;
    if (is_odd) return std::nullopt;
  }
  DcmDataset theirs;
  if (!test::read_by_dcmtk(data, header.transfer_syntax(), theirs)) return std::nullopt;
  return test::TreeComparison(header).compare(theirs);
}

}  // namespace

void patch(Bytes bytes) {
  keep_quiet();
  Input input(bytes);
  const dicom::TransferSyntax syntax = input.transfer_syntax();
  if (syntax.deflated) return;  // a patch is of the data set after inflation
  dicom::ScanLimits limits;
  limits.depth = kDepth;
  const std::string_view data = text_of(input.subject());
  const auto header = dicom::scan(input.subject(), syntax, limits);
  if (!header) return;
  Edits edits(*header, data, input);
  edits.make();
  edits.check_values();
  const auto rendered = edits.render();
  if (!rendered) return;
  const auto again = test::scan_text(*rendered, syntax);
  require(again.has_value(), "what is rendered is a data set",
          [&] { return again.error().message; });
  check_index(*again, *rendered);
  const auto before = difference_to_dcmtk(*header, data);
  if (!before) return;
  // Read otherwise by a PACS, it would reach it past the filters.
  require(before->empty(), "DCMTK reads it as the scanner does", [&] { return *before; });
  if (again->is_unordered() || !is_ordered(*again)) return;
  const auto after = difference_to_dcmtk(*again, *rendered);
  require(after && after->empty(), "DCMTK reads what is rendered as the scanner does",
          [&] { return after.value_or("it is refused"); });
}

}  // namespace sluice::fuzz
