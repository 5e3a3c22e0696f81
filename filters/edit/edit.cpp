#include "filters/edit/edit.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/edit/rule.h"
#include "gateway/dicom/character_set.h"
#include "gateway/dicom/value_rules.h"

namespace sluice {
namespace {

using dicom::Vr;
using Place = AttributePath::Place;

enum class Characters { quarantine, reject, unicode };

struct Options {
  std::vector<EditRule> rules;
  Characters characters = Characters::quarantine;
  Record record = Record::coerced;
};

class Edit : public Filter {
 public:
  explicit Edit(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& /*ledger*/) const override {
    std::vector<Place> edited;
    for (const EditRule& rule : options_.rules) {
      if (!rule.when.holds(instance)) continue;
      for (const Place& place : rule.attribute.places(instance.patch())) {
        const std::size_t before = instance.changes().size();
        auto verdict = edit(rule, place, instance);
        if (!verdict || !std::holds_alternative<Pass>(*verdict)) return verdict;
        if (instance.changes().size() > before) edited.push_back(place);
      }
    }
    // What one rule makes too long another may cut.
    for (const Place& place : edited) {
      const std::string why = defect(place, instance);
      if (!why.empty()) return Quarantine{dicom::keyword(place.tag) + " " + why};
    }
    return Pass{};
  }

  FilterEffects effects() const override {
    FilterEffects effects;
    for (const EditRule& rule : options_.rules) effects.attributes.push_back(rule.attribute.text());
    return effects;
  }

 private:
  Result<Verdict> edit(const EditRule& rule, const Place& place, Instance& instance) const {
    const auto found = instance.patch().values(place.parent, place.tag);
    const Vr vr = found.empty() ? vr_of(rule) : found.front().vr;
    Text before;
    if (!found.empty()) before = instance.unicode(found.front(), place.parent);
    if (!std::ranges::all_of(found, &dicom::PlacedValue::is_kept) && rule.reads_before()) {
      if (rule.name == "default") return Pass{};  // it is not empty
      return Quarantine{rule.attribute.text() + " is too long for " + rule.name};
    }
    const Result<Text> made = rule.operation(before, vr, instance);
    if (!made) return Quarantine{made.error().message};
    const Text& after = *made;
    const bool is_twice = found.size() > 1;
    if (after == before && !is_twice) return Pass{};
    if (!after) {
      instance.remove(place, rule.name, options_.record);
      return Pass{};
    }
    const auto text = encoded(vr, *after, place, instance);
    if (!text) return refusal(rule);
    const auto changed = instance.change(place, vr, *text, rule.name, options_.record);
    if (!changed) return tl::unexpected(changed.error());
    return Pass{};
  }

  // Of a private one that is not there nobody knows; text is what is mostly meant.
  static Vr vr_of(const EditRule& rule) {
    const Vr vr = rule.attribute.vr();
    return vr == Vr::UN ? Vr::LO : vr;
  }

  // What is wrong with the value that stands there now; "" when nothing is.
  static std::string defect(const Place& place, const Instance& instance) {
    for (const dicom::PlacedValue& found : instance.patch().values(place.parent, place.tag)) {
      const std::string text = instance.unicode(found, place.parent);
      for (std::string_view rest = text;;) {
        const std::size_t end =
            dicom::has_one_value(found.vr) ? std::string_view::npos : rest.find('\\');
        const std::string_view one = rest.substr(0, end);
        // Of a private attribute in implicit VR nobody knows what it may hold.
        const bool is_free = one.empty() || found.vr == Vr::UN;
        const auto why = is_free ? std::nullopt : dicom::find_value_defect(found.vr, one);
        if (why) return *why;
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
      }
    }
    return "";
  }

  // In the character set of the place; nullopt when it has no such characters.
  std::optional<std::string> encoded(Vr vr, const std::string& text, const Place& place,
                                     Instance& instance) const {
    const std::string set =
        dicom::is_in_character_set(vr) ? instance.character_set(place.parent) : "";
    if (auto own = dicom::convert_text(text, dicom::kUtf8Set, set)) return own;
    if (options_.characters != Characters::unicode || !dicom::is_in_character_set(vr)) return {};
    const auto turned = instance.turn_to_unicode("characters");
    if (!turned || !*turned) return {};
    return text;
  }

  Verdict refusal(const EditRule& rule) const {
    constexpr std::uint16_t kCannotUnderstand = 0xC000;
    std::string reason =
        rule.attribute.text() + " by " + rule.name + " has no form in its character set";
    if (options_.characters == Characters::reject) return Reject{kCannotUnderstand, reason};
    return Quarantine{reason};
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Filter> make_edit(config::Table& options, const FilterContext& /*context*/) {
  Options made;
  for (config::Table& table : options.tables("rule")) {
    if (auto rule = EditRule::read(table)) made.rules.push_back(std::move(*rule));
  }
  const std::string characters =
      options.choice("characters", "quarantine", {"quarantine", "reject", "unicode"});
  if (characters == "unicode") made.characters = Characters::unicode;
  if (characters == "reject") made.characters = Characters::reject;
  if (!options.boolean("record_original", true)) made.record = Record::none;
  return std::make_unique<Edit>(std::move(made));
}

}  // namespace sluice
