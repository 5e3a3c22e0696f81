#include "gateway/pipeline/route.h"

#include <algorithm>
#include <map>

#include "gateway/base/log.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

bool one_matches(const std::vector<std::string>& globs, std::string_view value) {
  return std::ranges::any_of(globs,
                             [&](const std::string& glob) { return matches_glob(glob, value); });
}

// One of the values that backslashes part.
bool one_value_matches(const std::vector<std::string>& globs, std::string_view values) {
  for (;;) {
    const std::size_t end = values.find('\\');
    if (one_matches(globs, values.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    values.remove_prefix(end + 1);
  }
}

}  // namespace

bool matches_glob(std::string_view glob, std::string_view text) {
  // Greedy with one way back: on a mismatch the last star takes one more character.
  std::size_t glob_at = 0;
  std::size_t text_at = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (text_at < text.size()) {
    if (glob_at < glob.size() && glob[glob_at] == '*') {
      star = glob_at++;
      star_text = text_at;
    } else if (glob_at < glob.size() && (glob[glob_at] == '?' || glob[glob_at] == text[text_at])) {
      ++glob_at;
      ++text_at;
    } else if (star != std::string_view::npos) {
      glob_at = star + 1;
      text_at = ++star_text;
    } else {
      return false;
    }
  }
  return glob.substr(glob_at).find_first_not_of('*') == std::string_view::npos;
}

Route::Route(const config::Route& route, config::Mistakes& mistakes)
    : name_(route.name),
      destinations_(route.destinations),
      final_(route.final),
      acknowledge_(route.acknowledge) {
  static const std::map<std::string, Source, std::less<>> sources = {
      {"calling_ae_title", Source::calling_ae_title},
      {"called_ae_title", Source::called_ae_title},
      {"peer_address", Source::peer_address},
      {"listener", Source::listener}};
  for (const config::Condition& condition : route.when) {
    Condition made;
    made.globs = condition.globs;
    if (const auto source = sources.find(condition.key); source != sources.end()) {
      made.source = source->second;
    } else if (const auto tag = dicom::parse_tag(condition.key); !tag) {
      mistakes.add(condition.line, "route '" + log::escape(name_) + "': " + tag.error().message +
                                       "; besides attributes, 'when' knows calling_ae_title, "
                                       "called_ae_title, peer_address and listener");
    } else if (*tag >= dicom::tags::kFloatPixelData || tag->is_group_length()) {
      mistakes.add(condition.line,
                   "route '" + log::escape(name_) + "': " + log::escape(condition.key) +
                       " cannot be a condition: it is a group length or stands at or "
                       "behind the pixel data");
    } else {
      made.tag = *tag;
    }
    conditions_.push_back(std::move(made));
  }
}

bool Route::takes(const Instance& instance) const {
  return std::ranges::all_of(conditions_,
                             [&](const Condition& each) { return holds(each, instance); });
}

bool Route::holds(const Condition& condition, const Instance& instance) {
  if (condition.source == Source::attribute) {
    const std::vector<std::string> texts = instance.texts(condition.tag);
    if (texts.empty()) return one_matches(condition.globs, "");
    return std::ranges::any_of(
        texts, [&](const std::string& text) { return one_value_matches(condition.globs, text); });
  }
  std::string text;
  switch (condition.source) {
    case Source::calling_ae_title:
      text = instance.provenance().calling_ae_title;
      break;
    case Source::called_ae_title:
      text = instance.provenance().called_ae_title;
      break;
    case Source::peer_address:
      text = instance.provenance().peer_address;
      break;
    case Source::listener:
      text = instance.provenance().listener;
      break;
    case Source::attribute:
      break;
  }
  return one_matches(condition.globs, text);
}

}  // namespace sluice
