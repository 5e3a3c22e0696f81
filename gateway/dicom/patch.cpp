#include "gateway/dicom/patch.h"

#include <algorithm>
#include <utility>

namespace sluice::dicom {
namespace {

Result<void> check_top_level(Tag tag) {
  if (tag >= tags::kFloatPixelData) {
    return failure(ErrorCode::permanent,
                   to_string(tag) + " stands at or behind the pixel data, where nothing is edited");
  }
  if (tag.group == 0x0000 || tag.group == 0x0002) {
    return failure(ErrorCode::permanent, to_string(tag) + " does not belong into a data set");
  }
  if (tag.is_group_length()) {
    return failure(ErrorCode::permanent, to_string(tag) +
                                             " is a group length: it follows the "
                                             "group and is not set");
  }
  return {};
}

std::string padded(std::string value, Vr vr) {
  if (value.size() % 2 != 0) value += padding_of(vr);
  return value;
}

}  // namespace

bool Patch::empty() const {
  return edits_.empty() && insertions_.empty() && appended_.empty();
}

bool Patch::is_removed(ElementIndex index) const {
  const auto edit = edits_.find(index);
  return (edit != edits_.end() && edit->second.removed) || is_covered(index);
}

bool Patch::is_covered(ElementIndex index) const {
  for (ElementIndex at = (*header_)[index].parent; at != kRoot; at = (*header_)[at].parent) {
    if (edits_.contains(at)) return true;
  }
  return false;
}

std::vector<ElementIndex> Patch::received(ElementIndex parent, Tag tag) const {
  std::vector<ElementIndex> found;
  const auto first = header_->find(tag, parent);
  if (!first) return found;
  const auto end = parent == kRoot ? static_cast<ElementIndex>(header_->elements().size())
                                   : header_->after(parent);
  for (ElementIndex index = *first; index < end; index = header_->after(index)) {
    if ((*header_)[index].tag == tag && !is_removed(index)) found.push_back(index);
    if (parent == kRoot && !header_->is_unordered()) break;
  }
  return found;
}

const Patch::Insertion* Patch::inserted(Tag tag, ElementIndex parent) const {
  const auto found = std::ranges::find_if(insertions_, [&](const Insertion& insertion) {
    return insertion.parent == parent && insertion.element.tag == tag;
  });
  return found == insertions_.end() ? nullptr : &*found;
}

std::vector<PlacedValue> Patch::values(ElementIndex parent, Tag tag) const {
  std::vector<PlacedValue> all;
  for (const ElementIndex index : received(parent, tag)) {
    const Element& element = (*header_)[index];
    const auto kept = value(index);
    all.push_back({element.known_vr(), header_->is_big_endian(index), kept.value_or(""),
                   kept.has_value() || element.is_sequence()});
  }
  const Insertion* const own = inserted(tag, parent);
  if (own == nullptr || !all.empty()) return all;
  const auto* const text = std::get_if<std::string>(&own->element.value);
  all.push_back({own->element.vr, header_->transfer_syntax().big_endian,
                 text == nullptr ? std::string_view() : std::string_view(*text)});
  return all;
}

std::optional<std::string_view> Patch::value(ElementIndex index) const {
  const Element& element = (*header_)[index];
  if (element.is_sequence() || element.is_item() || is_removed(index)) return std::nullopt;
  const auto edit = edits_.find(index);
  return edit == edits_.end() ? header_->value(index) : std::string_view(edit->second.value);
}

std::optional<std::string_view> Patch::value(Tag tag) const {
  if (const auto found = received(kRoot, tag); !found.empty()) return value(found.front());
  const Insertion* insertion = inserted(tag);
  if (insertion == nullptr) return std::nullopt;
  const auto* text = std::get_if<std::string>(&insertion->element.value);
  return text == nullptr ? std::nullopt : std::optional<std::string_view>(*text);
}

std::string Patch::text(Tag tag) const {
  const auto read = value(tag);
  if (!read) return "";
  if (const auto found = received(kRoot, tag); !found.empty()) {
    return value_to_text((*header_)[found.front()].known_vr(), *read,
                         header_->is_big_endian(found.front()));
  }
  return value_to_text(inserted(tag)->element.vr, *read, header_->transfer_syntax().big_endian);
}

std::vector<std::string_view> Patch::values(Tag tag) const {
  std::vector<std::string_view> all;
  for (const ElementIndex index : received(kRoot, tag)) all.push_back(value(index).value_or(""));
  if (all.empty() && inserted(tag) != nullptr) all.push_back(value(tag).value_or(""));
  return all;
}

std::vector<std::string> Patch::texts(Tag tag) const {
  std::vector<std::string> all;
  for (const ElementIndex index : received(kRoot, tag)) {
    all.push_back(value_to_text((*header_)[index].known_vr(), value(index).value_or(""),
                                header_->is_big_endian(index)));
  }
  if (all.empty() && inserted(tag) != nullptr) all.push_back(text(tag));
  return all;
}

void Patch::set(ElementIndex index, std::string value) {
  appended_.erase(index);
  edits_[index] = Edit{false, padded(std::move(value), (*header_)[index].known_vr())};
}

Result<void> Patch::set(Tag tag, std::string_view text) {
  if (auto allowed = check_top_level(tag); !allowed) return allowed;
  const Vr vr = dictionary_vr(tag);
  if (vr == Vr::SQ) {
    return failure(ErrorCode::permanent, keyword(tag) + " is a sequence, which has no text");
  }
  const auto found = received(kRoot, tag);
  std::vector<std::string> values;  // all or none of them are set
  for (const ElementIndex index : found) {
    auto value = text_to_value((*header_)[index].known_vr(), text, header_->is_big_endian(index));
    if (!value) return tl::unexpected(value.error());
    values.push_back(std::move(*value));
  }
  for (std::size_t i = 0; i < found.size(); ++i) set(found[i], std::move(values[i]));
  if (!found.empty()) return {};
  // What was inserted before keeps the VR it was inserted with.
  const Insertion* const earlier = inserted(tag);
  auto value = text_to_value(earlier == nullptr ? vr : earlier->element.vr, text,
                             header_->transfer_syntax().big_endian);
  if (!value) return tl::unexpected(value.error());
  if (earlier != nullptr) {
    insertions_[static_cast<std::size_t>(earlier - insertions_.data())].element.value =
        std::move(*value);
    return {};
  }
  insertions_.push_back({kRoot, {tag, vr, std::move(*value)}});
  return {};
}

void Patch::remove(ElementIndex index) {
  edits_[index] = Edit{true, {}};
}

void Patch::remove(Tag tag, ElementIndex parent) {
  for (const ElementIndex index : received(parent, tag)) remove(index);
  std::erase_if(insertions_, [&](const Insertion& insertion) {
    return insertion.parent == parent && insertion.element.tag == tag;
  });
}

Result<void> Patch::put(ElementIndex parent, NewElement element) {
  // What one could not insert, nobody has inserted before.
  std::erase_if(insertions_, [&](const Insertion& insertion) {
    return insertion.parent == parent && insertion.element.tag == element.tag;
  });
  return insert(parent, std::move(element));
}

Result<void> Patch::insert(ElementIndex parent, NewElement element) {
  if (parent == kRoot) {
    if (auto allowed = check_top_level(element.tag); !allowed) return allowed;
  } else if (!(*header_)[parent].is_item()) {
    return failure(ErrorCode::permanent, header_->path(parent) + " is no item to insert into");
  }
  insertions_.push_back({parent, std::move(element)});
  return {};
}

Result<void> Patch::append_item(Tag sequence, NewItem item) {
  if (auto allowed = check_top_level(sequence); !allowed) return allowed;
  const auto found = received(kRoot, sequence);
  if (!found.empty() && (*header_)[found.front()].is_sequence()) {
    appended_[found.front()].push_back(std::move(item));
    return {};
  }
  // An empty element that does not stand as a sequence gives way to one that does.
  const auto has_value = [&](ElementIndex index) {
    const auto edit = edits_.find(index);
    return edit == edits_.end() ? (*header_)[index].length > 0 : !edit->second.value.empty();
  };
  if (std::ranges::any_of(found, has_value)) {
    return failure(ErrorCode::permanent, keyword(sequence) + " is there, but is no sequence");
  }
  const Insertion* const earlier = inserted(sequence);
  if (earlier == nullptr) {
    for (const ElementIndex index : found) remove(index);
    insertions_.push_back({kRoot, {sequence, Vr::SQ, std::vector<NewItem>{std::move(item)}}});
    return {};
  }
  auto& value = insertions_[static_cast<std::size_t>(earlier - insertions_.data())].element.value;
  auto* const items = std::get_if<std::vector<NewItem>>(&value);
  if (items == nullptr) {
    return failure(ErrorCode::permanent, keyword(sequence) + " was inserted, but is no sequence");
  }
  for (const ElementIndex index : found) remove(index);
  items->push_back(std::move(item));
  return {};
}

}  // namespace sluice::dicom
