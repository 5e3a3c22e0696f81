#include "gateway/dicom/value_rules.h"

#include <algorithm>
#include <array>
#include <functional>

#include "gateway/dicom/uid.h"

namespace sluice::dicom {
namespace {

struct Rule {
  Vr vr;
  std::size_t longest;          // 0: no limit
  std::string_view repertoire;  // what it may hold; "": any but control characters
  bool takes_controls = false;  // TAB, LF, FF, CR
};

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kInteger = "0123456789+- ";
constexpr std::string_view kDecimal = "0123456789+-.eE ";
constexpr std::string_view kCode = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _";
constexpr std::string_view kTime = "0123456789. ";
constexpr std::string_view kDateTime = "0123456789+-. ";

constexpr std::array<Rule, 17> kRules{{{Vr::AE, 16, ""},
                                       {Vr::AS, 4, "0123456789DWMY"},
                                       {Vr::CS, 16, kCode},
                                       {Vr::DA, 8, kDigits},
                                       {Vr::DS, 16, kDecimal},
                                       {Vr::DT, 26, kDateTime},
                                       {Vr::IS, 12, kInteger},
                                       {Vr::LO, 64, ""},
                                       {Vr::LT, 10240, "", true},
                                       {Vr::PN, 64, ""},
                                       {Vr::SH, 16, ""},
                                       {Vr::ST, 1024, "", true},
                                       {Vr::TM, 14, kTime},
                                       {Vr::UC, 0, ""},
                                       {Vr::UI, 64, ""},
                                       {Vr::UR, 0, ""},
                                       {Vr::UT, 0, "", true}}};

const Rule* rule_of(Vr vr) {
  const auto* const found = std::ranges::find(kRules, vr, &Rule::vr);
  return found == kRules.end() ? nullptr : &*found;
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

bool is_control(char byte) {
  return static_cast<unsigned char>(byte) < 0x20 || byte == '\x7F';
}

// Of PN, of its longest component group: alphabetic, ideographic, phonetic.
std::size_t length_of(Vr vr, std::string_view value) {
  if (vr != Vr::PN) return count_characters(value);
  std::size_t longest = 0;
  for (;;) {
    const std::size_t end = value.find('=');
    longest = std::max(longest, count_characters(value.substr(0, end)));
    if (end == std::string_view::npos) return longest;
    value.remove_prefix(end + 1);
  }
}

}  // namespace

std::optional<std::size_t> longest_value(Vr vr) {
  const Rule* const rule = rule_of(vr);
  if (rule == nullptr || rule->longest == 0) return std::nullopt;
  return rule->longest;
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, std::not_fn(is_continuation)));
}

std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size() && count > 0) {
    do ++at;
    while (at < text.size() && is_continuation(text[at]));
    --count;
  }
  return text.substr(0, at);
}

bool is_in_character_set(Vr vr) {
  return vr == Vr::LO || vr == Vr::LT || vr == Vr::PN || vr == Vr::SH || vr == Vr::ST ||
         vr == Vr::UC || vr == Vr::UT;
}

bool has_one_value(Vr vr) {
  return vr == Vr::LT || vr == Vr::ST || vr == Vr::UR || vr == Vr::UT;
}

std::optional<std::string> find_value_defect(Vr vr, std::string_view value) {
  const Rule* const rule = rule_of(vr);
  if (rule == nullptr || value.empty()) return std::nullopt;
  const std::string name = to_string(vr);
  const std::size_t length = length_of(vr, value);
  if (rule->longest > 0 && length > rule->longest) {
    return "has " + std::to_string(length) + " characters, " + name + " takes " +
           std::to_string(rule->longest);
  }
  if (vr == Vr::UI && !is_valid_uid(value)) return "is no UID (PS3.5 9.1)";
  if (vr == Vr::DA && length != 8) return "is no date, YYYYMMDD";
  if (!rule->repertoire.empty() &&
      value.find_first_not_of(rule->repertoire) != std::string_view::npos) {
    return "has a character that " + name + " does not take";
  }
  if (!rule->takes_controls && std::ranges::any_of(value, is_control)) {
    return "has a control character";
  }
  return std::nullopt;
}

}  // namespace sluice::dicom
