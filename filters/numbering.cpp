#include "filters/numbering.h"

#include <charconv>
#include <limits>
#include <utility>

#include "gateway/dicom/uid.h"

namespace sluice {
namespace {

// PS3.4 Table B.2-1, Cannot Understand.
constexpr std::uint16_t kCannotUnderstand = 0xC000;
// IS, PS3.5 Table 6.2-1.
constexpr std::size_t kLongestIntegerString = 12;

}  // namespace

std::string_view to_string(NumberDefect defect) {
  switch (defect) {
    case NumberDefect::none:
      break;
    case NumberDefect::absent:
      return "absent";
    case NumberDefect::empty:
      return "empty";
    case NumberDefect::not_integer:
      return "not an integer string";
    case NumberDefect::out_of_range:
      return "out of range";
    case NumberDefect::multi_valued:
      return "multi-valued";
  }
  return "none";
}

IntegerString read_integer_string(const std::string& text) {
  if (text.empty()) return {NumberDefect::empty};
  if (text.find('\\') != std::string::npos) return {NumberDefect::multi_valued};
  const char* begin = text.data();
  const char* const end = begin + text.size();
  if (*begin == '+' && text.size() > 1 && text[1] != '-') ++begin;  // from_chars takes no plus
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error == std::errc::result_out_of_range) return {NumberDefect::out_of_range};
  if (error != std::errc() || stop != end) return {NumberDefect::not_integer};
  if (number > std::numeric_limits<std::int32_t>::max() ||
      number < std::numeric_limits<std::int32_t>::min()) {
    return {NumberDefect::out_of_range};
  }
  if (text.size() > kLongestIntegerString) return {NumberDefect::not_integer};
  return {NumberDefect::none, static_cast<std::int32_t>(number)};
}

NumberPolicy read_number_policy(config::Table& options, std::string_view key) {
  const std::string text =
      options.choice(key, "assign", {"assign", "pass", "reject", "quarantine"});
  if (text == "pass") return NumberPolicy::pass;
  if (text == "reject") return NumberPolicy::reject;
  return text == "quarantine" ? NumberPolicy::quarantine : NumberPolicy::assign;
}

std::optional<Verdict> to_verdict(NumberPolicy policy, std::string reason) {
  switch (policy) {
    case NumberPolicy::pass:
      return Pass{};
    case NumberPolicy::reject:
      return Reject{kCannotUnderstand, std::move(reason)};
    case NumberPolicy::quarantine:
      return Quarantine{std::move(reason)};
    case NumberPolicy::assign:
      break;
  }
  return std::nullopt;
}

NumberPolicies::NumberPolicies(config::Table& options) {
  for (const auto& [key, defect] : {std::pair{"absent", NumberDefect::absent},
                                    {"empty", NumberDefect::empty},
                                    {"not_integer", NumberDefect::not_integer},
                                    {"out_of_range", NumberDefect::out_of_range},
                                    {"multi_valued", NumberDefect::multi_valued}}) {
    policies_[defect] = read_number_policy(options, key);
  }
}

NumberPolicy NumberPolicies::of(NumberDefect defect) const {
  const auto found = policies_.find(defect);
  return found == policies_.end() ? NumberPolicy::assign : found->second;
}

IntegerString NumberPolicies::read(const Instance& instance, dicom::Tag tag) const {
  std::optional<IntegerString> found;
  for (const std::string& text : instance.texts(tag)) {
    const IntegerString one = read_integer_string(text);
    if (!found || weight(one.defect) > weight(found->defect)) found = one;
  }
  return found.value_or(IntegerString{NumberDefect::absent});
}

int NumberPolicies::weight(NumberDefect defect) const {
  if (defect == NumberDefect::none) return 2;
  switch (of(defect)) {
    case NumberPolicy::reject:
      return 4;
    case NumberPolicy::quarantine:
      return 3;
    case NumberPolicy::assign:
      return 1;
    case NumberPolicy::pass:
      break;
  }
  return 0;
}

std::string uid_as_received(const Instance& instance, dicom::Tag tag) {
  const auto index = instance.header().find(tag);
  const auto value = index ? instance.header().value(*index) : std::nullopt;
  return std::string(dicom::trim_uid(value.value_or("")));
}

Record record_of(NumberDefect defect) {
  const bool broke_its_vr =
      defect == NumberDefect::not_integer || defect == NumberDefect::out_of_range;
  return broke_its_vr ? Record::nonconforming : Record::coerced;
}

}  // namespace sluice
