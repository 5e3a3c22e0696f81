#include "gateway/pipeline/attribute_path.h"

#include <algorithm>
#include <charconv>

#include "gateway/base/log.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

using dicom::ElementIndex;
using dicom::Tag;

constexpr std::uint16_t kFirstBlock = 0x10;  // PS3.5 7.8.1
constexpr std::uint16_t kLastBlock = 0xFF;

tl::unexpected<Error> mistake(std::string_view text, const std::string& what) {
  return failure(ErrorCode::configuration, "'" + log::escape(text) + "' " + what);
}

std::optional<std::uint16_t> hexadecimal(std::string_view digits) {
  std::uint16_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// "(0029,xx08,SIEMENS CSA HEADER)": its tag with 00 for the block, and the creator.
std::optional<std::pair<Tag, std::string>> parse_private(std::string_view text) {
  constexpr std::string_view kForm = "(gggg,xxee,C)";
  if (text.size() < kForm.size() || text.front() != '(' || text.back() != ')') return std::nullopt;
  if (text[5] != ',' || text.substr(6, 2) != "xx" || text[10] != ',') return std::nullopt;
  const auto group = hexadecimal(text.substr(1, 4));
  const auto element = hexadecimal(text.substr(8, 2));
  if (!group || !element || *group % 2 == 0) return std::nullopt;
  return std::pair(Tag{*group, *element}, std::string(text.substr(11, text.size() - 12)));
}

// Where the next step begins: behind a dot that stands in no parentheses.
std::size_t step_end(std::string_view text) {
  bool inside = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '(') inside = true;
    if (text[at] == ')') inside = false;
    if (text[at] == '.' && !inside) return at;
  }
  return text.size();
}

}  // namespace

Result<AttributePath::Step> AttributePath::parse_step(std::string_view text, bool is_last) {
  Step step;
  std::string_view name = text;
  if (!text.empty() && text.back() == ']') {
    const std::size_t bracket = text.rfind('[');
    if (bracket == std::string_view::npos) return mistake(text, "has a ] without a [");
    const std::string_view item = text.substr(bracket + 1, text.size() - bracket - 2);
    name = text.substr(0, bracket);
    if (is_last) return mistake(text, "names an item; an attribute in it must follow: [0].Keyword");
    if (item != "*") {
      std::uint32_t number = 0;
      const auto [stop, error] = std::from_chars(item.data(), item.data() + item.size(), number);
      if (error != std::errc() || stop != item.data() + item.size()) {
        return mistake(text, "needs the number of an item, from 0, or *");
      }
      step.item = number;
    }
  } else if (!is_last) {
    return mistake(text, "leads to an attribute in it, so it needs an item: [0], or [*] for all");
  }
  if (auto own = parse_private(name)) {
    step.tag = own->first;
    step.creator = std::move(own->second);
    return step;
  }
  const auto tag = dicom::parse_tag(name);
  if (!tag) return tl::unexpected(tag.error());
  step.tag = *tag;
  if (!is_last && !tag->is_private() && dicom::dictionary_vr(*tag) != dicom::Vr::SQ) {
    return mistake(text, "is no sequence");
  }
  return step;
}

Result<AttributePath> AttributePath::parse(std::string_view text) {
  AttributePath path;
  path.text_ = std::string(text);
  for (std::string_view rest = text;;) {
    const std::size_t end = step_end(rest);
    auto step = parse_step(rest.substr(0, end), end == rest.size());
    if (!step) return tl::unexpected(step.error());
    const Tag tag = step->tag;
    if (tag.group == 0x0000 || tag.group == 0x0002) {
      return mistake(text, "does not belong into a data set");
    }
    if (step->creator.empty() && tag.is_group_length()) return mistake(text, "is a group length");
    if (path.steps_.empty() && tag >= dicom::tags::kFloatPixelData) {
      return mistake(text, "stands at or behind the pixel data, where nothing is looked at");
    }
    path.steps_.push_back(std::move(*step));
    if (end == rest.size()) return path;
    rest.remove_prefix(end + 1);
  }
}

std::optional<Tag> AttributePath::top_level() const {
  if (steps_.size() != 1 || !steps_.front().creator.empty()) return std::nullopt;
  return steps_.front().tag;
}

dicom::Vr AttributePath::vr() const {
  const Step& last = steps_.back();
  return last.creator.empty() ? dicom::dictionary_vr(last.tag) : dicom::Vr::UN;
}

std::optional<Tag> AttributePath::resolve(const Step& step, const dicom::Patch& patch,
                                          ElementIndex parent) {
  if (step.creator.empty()) return step.tag;
  for (std::uint16_t block = kFirstBlock; block <= kLastBlock; ++block) {
    const auto index = patch.header().find(Tag{step.tag.group, block}, parent);
    if (!index || patch.is_removed(*index)) continue;
    const auto value = patch.value(*index);
    if (value && dicom::value_to_text(dicom::Vr::LO, *value, false) == step.creator) {
      return Tag{step.tag.group, static_cast<std::uint16_t>(block << 8U | step.tag.element)};
    }
  }
  return std::nullopt;
}

std::vector<AttributePath::Place> AttributePath::places(const dicom::Patch& patch) const {
  const dicom::Header& header = patch.header();
  std::vector<ElementIndex> parents{dicom::kRoot};
  for (const Step& step : std::span(steps_).first(steps_.size() - 1)) {
    std::vector<ElementIndex> items;
    for (const ElementIndex parent : parents) {
      const auto tag = resolve(step, patch, parent);
      const auto sequence = tag ? header.find(*tag, parent) : std::nullopt;
      if (!sequence || !header[*sequence].is_sequence() || patch.is_removed(*sequence)) continue;
      std::uint32_t number = 0;
      const ElementIndex end = header.after(*sequence);
      for (ElementIndex item = *sequence + 1; item < end; item = header.after(item), ++number) {
        if ((!step.item || *step.item == number) && !patch.is_removed(item)) items.push_back(item);
      }
    }
    parents = std::move(items);
  }
  std::vector<Place> found;
  for (const ElementIndex parent : parents) {
    if (const auto tag = resolve(steps_.back(), patch, parent)) found.push_back({parent, *tag});
  }
  return found;
}

}  // namespace sluice
