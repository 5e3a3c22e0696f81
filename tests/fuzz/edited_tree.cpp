#include "tests/fuzz/edited_tree.h"

#include <algorithm>
#include <map>
#include <utility>

#include "tests/dicom/data_set_bytes.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {

using dicom::Element;
using dicom::ElementIndex;
using dicom::Header;
using dicom::kRoot;
using dicom::NewElement;
using dicom::NewItem;
using dicom::Tag;
using dicom::Vr;

namespace {

constexpr std::size_t kLongestShort = 0xFFFE;

std::string padded(std::string value, Vr vr) {
  if (value.size() % 2 != 0) value += dicom::padding_of(vr);
  return value;
}

test::Bytes writer(bool implicit_vr, bool big_endian) {
  if (implicit_vr) return {test::Form::implicit_le};
  return {big_endian ? test::Form::explicit_be : test::Form::explicit_le};
}

bool is_short(const std::string& head_bytes) {
  return head_bytes.size() == 8;
}

}  // namespace

EditedTree::EditedTree(const Header& header, std::string_view data)
    : header_(header), data_(data), nodes_(header.elements().size()) {
  for (ElementIndex index = 0; index < nodes_.size(); ++index) {
    node(header[index].parent).children.push_back(index);
  }
}

const EditedTree::Node& EditedTree::node(ElementIndex index) const {
  return index == kRoot ? root_ : nodes_[index];
}
EditedTree::Node& EditedTree::node(ElementIndex index) {
  return index == kRoot ? root_ : nodes_[index];
}

bool EditedTree::is_gone(ElementIndex index) const {
  if (node(index).removed) return true;
  for (ElementIndex at = header_[index].parent; at != kRoot; at = header_[at].parent) {
    if (node(at).removed || node(at).replaced) return true;
  }
  return false;
}

bool EditedTree::is_replaced(ElementIndex index) const {
  return node(index).replaced.has_value();
}

std::vector<ElementIndex> EditedTree::top(Tag tag) const {
  std::vector<ElementIndex> found;
  for (const ElementIndex index : root_.children) {
    if (header_[index].tag == tag && !node(index).removed) found.push_back(index);
  }
  return found;
}

const EditedTree::Insertion* EditedTree::inserted_at_top(Tag tag) const {
  const auto found = std::ranges::find_if(
      root_.insertions, [&](const Insertion& each) { return each.element.tag == tag; });
  return found == root_.insertions.end() ? nullptr : &*found;
}
EditedTree::Insertion* EditedTree::inserted_at_top(Tag tag) {
  const auto found = std::ranges::find_if(
      root_.insertions, [&](const Insertion& each) { return each.element.tag == tag; });
  return found == root_.insertions.end() ? nullptr : &*found;
}

bool EditedTree::has_at_top(Tag tag) const {
  return !top(tag).empty() || inserted_at_top(tag) != nullptr;
}

void EditedTree::set(ElementIndex index, const std::string& value) {
  Node& edited = node(index);
  edited.removed = false;
  edited.replaced = padded(value, header_[index].known_vr());
  edited.appended.clear();
}

void EditedTree::set(Tag tag, std::string_view text) {
  const auto value_for = [&](Vr vr, bool big_endian) {
    const auto value = dicom::text_to_value(vr, text, big_endian);
    require(value.has_value(), "a text that was taken is a value");
    return *value;
  };
  const auto found = top(tag);
  for (const ElementIndex index : found) {
    set(index, value_for(header_[index].known_vr(), header_.is_big_endian(index)));
  }
  if (!found.empty()) return;
  Insertion* const earlier = inserted_at_top(tag);
  const Vr vr = earlier == nullptr ? dicom::dictionary_vr(tag) : earlier->element.vr;
  std::string value = value_for(vr, header_.transfer_syntax().big_endian);
  if (earlier != nullptr) {
    earlier->element.value = std::move(value);
  } else {
    insert(kRoot, {tag, vr, std::move(value)});
  }
}

void EditedTree::remove(ElementIndex index) {
  node(index).removed = true;
  node(index).replaced.reset();
}

void EditedTree::remove(Tag tag) {
  for (const ElementIndex index : top(tag)) remove(index);
  std::erase_if(root_.insertions, [&](const Insertion& each) { return each.element.tag == tag; });
}

void EditedTree::insert(ElementIndex parent, NewElement element) {
  Node& into = node(parent);
  const auto behind = std::ranges::find_if(
      into.children, [&](ElementIndex child) { return header_[child].tag > element.tag; });
  into.insertions.push_back(
      {static_cast<std::size_t>(behind - into.children.begin()), std::move(element)});
}

bool EditedTree::append_item(Tag sequence, NewItem item) {
  const auto found = top(sequence);
  if (!found.empty() && header_[found.front()].is_sequence()) {
    node(found.front()).appended.push_back(std::move(item));
    return true;
  }
  for (const ElementIndex index : found) {
    const Node& there = node(index);
    if (there.replaced ? !there.replaced->empty() : header_[index].length > 0) return false;
  }
  if (Insertion* earlier = inserted_at_top(sequence)) {
    auto* items = std::get_if<std::vector<NewItem>>(&earlier->element.value);
    if (items == nullptr) return false;
    items->push_back(std::move(item));
    return true;
  }
  for (const ElementIndex index : found) remove(index);
  insert(kRoot, {sequence, Vr::SQ, std::vector<NewItem>{std::move(item)}});
  return true;
}

std::optional<std::string> EditedTree::value(ElementIndex index) const {
  const Element& element = header_[index];
  if (element.is_sequence() || element.is_item() || is_gone(index)) return std::nullopt;
  if (node(index).replaced) return node(index).replaced;
  const auto kept = header_.value(index);
  if (!kept) return std::nullopt;
  return std::string(*kept);
}

std::optional<std::string> EditedTree::value(Tag tag) const {
  if (const auto found = top(tag); !found.empty()) return value(found.front());
  const Insertion* const insertion = inserted_at_top(tag);
  if (insertion == nullptr) return std::nullopt;
  const auto* const text = std::get_if<std::string>(&insertion->element.value);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

std::optional<std::string> EditedTree::bytes() const {
  too_long_ = false;
  std::string made = children(kRoot);
  made += data_.substr(header_.length());
  if (too_long_) return std::nullopt;
  return made;
}

EditedTree::Form EditedTree::form_of(ElementIndex index) const {
  const bool implicit_vr = header_[index].implicit_vr;
  return {implicit_vr, header_.transfer_syntax().big_endian && !implicit_vr};
}

EditedTree::Form EditedTree::form_inside(ElementIndex index) const {
  if (index == kRoot) {
    return {!header_.transfer_syntax().explicit_vr, header_.transfer_syntax().big_endian};
  }
  return header_[index].written_as_un ? Form{true, false} : form_of(index);
}

std::string EditedTree::slice(std::uint64_t begin, std::uint64_t end) const {
  return std::string(data_.substr(begin, end - begin));
}

std::string EditedTree::head(Tag tag, Vr vr, std::size_t length, Form form) const {
  std::string made = writer(form.implicit_vr, form.big_endian)
                         .head(tag, dicom::to_string(vr), static_cast<std::uint32_t>(length));
  const bool short_length = !form.implicit_vr && tag.group != 0xFFFE && is_short(made);
  if (short_length && length > kLongestShort) too_long_ = true;
  return made;
}

std::string EditedTree::new_item(const NewItem& item, Form form) const {
  std::multimap<Tag, const NewElement*> ordered;
  for (const NewElement& element : item) ordered.emplace(element.tag, &element);
  std::string value;
  for (const auto& entry : ordered) value += new_element(*entry.second, form);
  return head(dicom::tags::kItem, Vr::UN, value.size(), form) + value;
}

std::string EditedTree::new_element(const NewElement& element, Form form) const {
  std::string value;
  if (const auto* items = std::get_if<std::vector<NewItem>>(&element.value)) {
    for (const NewItem& item : *items) value += new_item(item, form);
  } else {
    value = padded(std::get<std::string>(element.value), element.vr);
  }
  return head(element.tag, element.vr, value.size(), form) + value;
}

// An element or item as it is to stand: untouched, replaced, or with new content between
// its own head and delimiter.
std::string EditedTree::element(ElementIndex index) const {
  const Element& element = header_[index];
  const Node& edited = node(index);
  std::string appended;
  for (const NewItem& item : edited.appended) appended += new_item(item, form_inside(index));
  if (edited.replaced) {
    const Vr vr = element.written_as_un ? Vr::UN : element.vr;
    const std::string value = *edited.replaced + appended;
    return head(element.tag, vr, value.size(), form_of(index)) + value;
  }
  if (!element.is_sequence() && !element.is_item()) return slice(element.offset, element.end);

  const std::uint64_t children_end =
      edited.children.empty() ? element.value_offset() : header_[edited.children.back()].end;
  const std::string content = children(index) + appended;
  const std::string tail = slice(children_end, element.end);
  if (element.length == dicom::kUndefinedLength) {
    return slice(element.offset, element.value_offset()) + content + tail;
  }
  const std::size_t length = content.size() + tail.size();
  if (length == element.length) {
    return slice(element.offset, element.value_offset()) + content + tail;
  }
  const Form form = form_of(index);
  const std::string field =
      writer(form.implicit_vr, form.big_endian).number_32(static_cast<std::uint32_t>(length));
  return slice(element.offset, element.value_offset() - 4) + field + content + tail;
}

std::string EditedTree::children(ElementIndex parent) const {
  const Node& of = node(parent);
  std::map<std::uint16_t, std::int64_t> growth;  // by group
  std::vector<std::string> made;
  for (const ElementIndex child : of.children) {
    made.push_back(node(child).removed ? "" : element(child));
    const Element& before = header_[child];
    if (before.tag.is_group_length() || before.is_item()) continue;
    growth[before.tag.group] += static_cast<std::int64_t>(made.back().size()) -
                                static_cast<std::int64_t>(before.end - before.offset);
  }
  std::vector<std::multimap<Tag, std::string>> inserted(of.children.size() + 1);
  for (const Insertion& insertion : of.insertions) {
    const std::string bytes = new_element(insertion.element, form_inside(parent));
    const Tag tag = insertion.element.tag;
    if (!tag.is_group_length()) growth[tag.group] += static_cast<std::int64_t>(bytes.size());
    inserted[insertion.before].emplace(tag, bytes);
  }
  for (const auto& [group, by] : growth) {  // the first group length of each
    const auto length = std::ranges::find(of.children, Tag{group, 0},
                                          [&](ElementIndex child) { return header_[child].tag; });
    if (length == of.children.end() || node(*length).removed || node(*length).replaced) continue;
    made[static_cast<std::size_t>(length - of.children.begin())] = with_group_length(*length, by);
  }
  std::string joined;
  for (std::size_t i = 0; i <= of.children.size(); ++i) {
    for (const auto& entry : inserted[i]) joined += entry.second;
    if (i < of.children.size()) joined += made[i];
  }
  return joined;
}

// Only what can be a group length, four bytes, follows its group.
std::string EditedTree::with_group_length(ElementIndex index, std::int64_t growth) const {
  const Element& length = header_[index];
  if (length.is_sequence() || length.length != 4) return element(index);
  const bool big_endian = header_.is_big_endian(index);
  std::int64_t before = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t at = big_endian ? i : 3 - i;
    before = before << 8U | static_cast<unsigned char>(data_[length.value_offset() + at]);
  }
  const std::int64_t after = before + growth;
  if (after < 0 || after >= std::int64_t{dicom::kUndefinedLength}) return element(index);
  return slice(length.offset, length.value_offset()) +
         writer(false, big_endian).number_32(static_cast<std::uint32_t>(after));
}

}  // namespace sluice::fuzz
