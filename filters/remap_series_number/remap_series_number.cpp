#include "filters/remap_series_number/remap_series_number.h"

#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "gateway/dicom/uid.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

namespace tags = dicom::tags;

// PS3.4 Table B.2-1, Cannot Understand.
constexpr std::uint16_t kCannotUnderstand = 0xC000;
constexpr std::int32_t kGreatest = std::numeric_limits<std::int32_t>::max();
// IS, PS3.5 Table 6.2-1.
constexpr std::size_t kLongestIntegerString = 12;

enum class Defect { none, absent, empty, not_integer, out_of_range, multi_valued };
enum class Policy { assign, pass, reject, quarantine };

std::string_view to_string(Defect defect) {
  switch (defect) {
    case Defect::none:
      break;
    case Defect::absent:
      return "absent";
    case Defect::empty:
      return "empty";
    case Defect::not_integer:
      return "not an integer string";
    case Defect::out_of_range:
      return "out of range";
    case Defect::multi_valued:
      return "multi-valued";
  }
  return "none";
}

struct SeriesNumber {
  Defect defect = Defect::none;
  std::int32_t number = 0;  // when there is no defect
};

SeriesNumber read(const std::string& text) {
  if (text.empty()) return {Defect::empty};
  if (text.find('\\') != std::string::npos) return {Defect::multi_valued};
  const char* begin = text.data();
  const char* const end = begin + text.size();
  if (*begin == '+' && text.size() > 1 && text[1] != '-') ++begin;  // from_chars takes no plus
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error == std::errc::result_out_of_range) return {Defect::out_of_range};
  if (error != std::errc() || stop != end) return {Defect::not_integer};
  if (number > kGreatest || number < std::numeric_limits<std::int32_t>::min()) {
    return {Defect::out_of_range};
  }
  if (text.size() > kLongestIntegerString) return {Defect::not_integer};
  return {Defect::none, static_cast<std::int32_t>(number)};
}

struct Options {
  bool offset_mode = false;
  std::int32_t offset = 0;
  std::int32_t base = 10000;
  std::map<Defect, Policy> policies;
  bool record_original = true;
  std::string scope;
};

class RemapSeriesNumber : public Filter {
 public:
  explicit RemapSeriesNumber(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    const SeriesNumber received = read_each(instance);
    if (received.defect != Defect::none) {
      switch (options_.policies.at(received.defect)) {
        case Policy::pass:
          return Pass{};
        case Policy::reject:
          return Reject{kCannotUnderstand, reason(received.defect)};
        case Policy::quarantine:
          return Quarantine{reason(received.defect)};
        case Policy::assign:
          break;
      }
    }
    SeriesNumberRequest request{options_.scope, instance.text(tags::kStudyInstanceUid),
                                series_as_received(instance), wanted(received), options_.base};
    for (const dicom::Tag tag : {tags::kStudyInstanceUid, tags::kSeriesInstanceUid}) {
      if (instance.is_ambiguous(tag)) {
        return Quarantine{"two values of " + dicom::keyword(tag) + ", of which a series has one"};
      }
    }
    if (request.study_instance_uid.empty() || request.series_instance_uid.empty()) {
      return Quarantine{"no Study or Series Instance UID to keep a Series Number by"};
    }
    const auto given = ledger.series_number(request);
    if (!given) return tl::unexpected(given.error());
    if (received.defect == Defect::none && *given == received.number &&
        !instance.is_ambiguous(tags::kSeriesNumber)) {
      return Pass{};
    }
    const auto changed = instance.change(tags::kSeriesNumber, std::to_string(*given),
                                         change_reason(received, *given), record(received.defect));
    if (!changed) return tl::unexpected(changed.error());
    return Pass{};
  }

 private:
  // Where the attribute comes twice: what is to be refused decides, then a number, then
  // what gets one; both get the same then.
  SeriesNumber read_each(const Instance& instance) const {
    std::optional<SeriesNumber> found;
    for (const std::string& text : instance.texts(tags::kSeriesNumber)) {
      const SeriesNumber one = read(text);
      if (!found || weight(one.defect) > weight(found->defect)) found = one;
    }
    return found.value_or(SeriesNumber{Defect::absent});
  }

  int weight(Defect defect) const {
    if (defect == Defect::none) return 2;
    switch (options_.policies.at(defect)) {
      case Policy::reject:
        return 4;
      case Policy::quarantine:
        return 3;
      case Policy::assign:
        return 1;
      case Policy::pass:
        break;
    }
    return 0;
  }

  static std::string reason(Defect defect) {
    return "Series Number " + std::string(to_string(defect));
  }

  // The key is the series as it came, so that a filter before this one that gives
  // the series another UID does not make it another series.
  static std::string series_as_received(const Instance& instance) {
    const auto index = instance.header().find(tags::kSeriesInstanceUid);
    const auto value = index ? instance.header().value(*index) : std::nullopt;
    return std::string(dicom::trim_uid(value.value_or("")));
  }

  std::optional<std::int32_t> wanted(const SeriesNumber& received) const {
    if (received.defect != Defect::none) return std::nullopt;
    const std::int64_t number =
        std::int64_t{received.number} + (options_.offset_mode ? options_.offset : 0);
    if (number > kGreatest) return std::nullopt;
    return static_cast<std::int32_t>(number);
  }

  std::string_view change_reason(const SeriesNumber& received, std::int32_t given) const {
    if (received.defect != Defect::none) return to_string(received.defect);
    return options_.offset_mode && wanted(received) == given ? "offset" : "collision";
  }

  Record record(Defect defect) const {
    if (!options_.record_original) return Record::none;
    const bool broke_its_vr = defect == Defect::not_integer || defect == Defect::out_of_range;
    return broke_its_vr ? Record::nonconforming : Record::coerced;
  }

  Options options_;
};

Policy to_policy(std::string_view text) {
  if (text == "pass") return Policy::pass;
  if (text == "reject") return Policy::reject;
  return text == "quarantine" ? Policy::quarantine : Policy::assign;
}

}  // namespace

std::unique_ptr<Filter> make_remap_series_number(config::Table& options,
                                                 const FilterContext& context) {
  Options made;
  made.scope = context.name;
  made.offset_mode = options.choice("mode", "collision", {"collision", "offset"}) == "offset";
  made.offset = static_cast<std::int32_t>(options.integer("offset", 0, 0, kGreatest));
  if (made.offset_mode && made.offset == 0) {
    options.mistake("offset", "mode \"offset\" needs an offset of at least 1");
  } else if (!made.offset_mode && options.has("offset")) {
    options.mistake("offset", "offset has an effect only with mode = \"offset\"");
  }
  made.base = static_cast<std::int32_t>(options.integer("base", 10000, 1, kGreatest));
  for (const auto& [key, defect] : {std::pair{"absent", Defect::absent},
                                    {"empty", Defect::empty},
                                    {"not_integer", Defect::not_integer},
                                    {"out_of_range", Defect::out_of_range},
                                    {"multi_valued", Defect::multi_valued}}) {
    made.policies[defect] =
        to_policy(options.choice(key, "assign", {"assign", "pass", "reject", "quarantine"}));
  }
  made.record_original = options.boolean("record_original", true);
  return std::make_unique<RemapSeriesNumber>(std::move(made));
}

}  // namespace sluice
