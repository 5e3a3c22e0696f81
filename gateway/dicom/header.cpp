#include "gateway/dicom/header.h"

#include <algorithm>

namespace sluice::dicom {
namespace {

// The first few, each once, and how many more.
std::string list_of(const std::vector<Tag>& tags, std::string_view what) {
  constexpr std::size_t kNamed = 8;
  if (tags.empty()) return "";
  std::string text;
  for (std::size_t i = 0; i < std::min(tags.size(), kNamed); ++i) text += to_string(tags[i]) + " ";
  if (tags.size() > kNamed) text += "and " + std::to_string(tags.size() - kNamed) + " more ";
  return text + std::string(what);
}

}  // namespace

Vr Element::known_vr() const {
  if (vr != Vr::UN || is_item()) return vr;
  const Vr known = dictionary_vr(tag);
  return known == Vr::SQ ? Vr::UN : known;
}

std::optional<std::string_view> Header::value(ElementIndex index) const {
  const Element& element = elements_[index];
  if (element.kept == kNotKept || element.is_item()) return std::nullopt;
  return std::string_view(values_).substr(element.kept, element.length);
}

bool Header::is_big_endian(ElementIndex index) const {
  const Element& element = elements_[index];
  return transfer_syntax_.big_endian && !element.implicit_vr && element.vr != Vr::UN;
}

ElementIndex Header::after(ElementIndex index) const {
  const Element& element = elements_[index];
  if (!element.is_sequence() && !element.is_item()) return index + 1;
  const auto next = std::lower_bound(
      elements_.begin() + index + 1, elements_.end(), element.end,
      [](const Element& candidate, std::uint64_t end) { return candidate.offset < end; });
  return static_cast<ElementIndex>(next - elements_.begin());
}

std::optional<ElementIndex> Header::find(Tag tag, ElementIndex parent) const {
  if (parent == kRoot) {
    // The first at or above the tag; out of order, each must be looked at.
    const auto found =
        unordered_
            ? std::find_if(top_.begin(), top_.end(),
                           [&](ElementIndex i) { return elements_[i].tag == tag; })
            : std::lower_bound(top_.begin(), top_.end(), tag, [&](ElementIndex i, Tag wanted) {
                return elements_[i].tag < wanted;
              });
    if (found == top_.end() || elements_[*found].tag != tag) return std::nullopt;
    return *found;
  }
  const ElementIndex end = after(parent);
  for (ElementIndex i = parent + 1; i < end; i = after(i)) {
    if (elements_[i].tag == tag) return i;
  }
  return std::nullopt;
}

bool Header::is_inside(ElementIndex index, Tag sequence) const {
  for (ElementIndex at = elements_[index].parent; at != kRoot; at = elements_[at].parent) {
    if (elements_[at].tag == sequence) return true;
  }
  return false;
}

std::string Header::irregular_tags() const {
  if (!unordered_) return "";
  std::vector<Tag> all;
  all.reserve(top_.size() + behind_.size());
  for (const ElementIndex index : top_) all.push_back(elements_[index].tag);
  all.insert(all.end(), behind_.begin(), behind_.end());
  std::vector<Tag> sorted = all;
  std::ranges::sort(sorted);
  std::vector<Tag> twice;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i] == sorted[i - 1] && (twice.empty() || twice.back() != sorted[i])) {
      twice.push_back(sorted[i]);
    }
  }
  std::vector<Tag> out_of_order;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i] < all[i - 1] && !std::ranges::binary_search(twice, all[i])) {
      out_of_order.push_back(all[i]);
    }
  }
  const std::string both = twice.empty() || out_of_order.empty() ? "" : "; ";
  const std::string text = list_of(twice, "twice") + both + list_of(out_of_order, "out of order");
  return text.empty() ? "behind the pixel data" : text;
}

std::string Header::path(ElementIndex index) const {
  std::string path;
  for (ElementIndex i = index; i != kRoot; i = elements_[i].parent) {
    const Element& element = elements_[i];
    std::string step;
    if (element.is_item()) {
      step = "[" + std::to_string(element.kept) + "]";
    } else {
      step = keyword(element.tag);
    }
    if (!path.empty() && path.front() != '[') step += '.';
    path.insert(0, step);
  }
  return path;
}

}  // namespace sluice::dicom
