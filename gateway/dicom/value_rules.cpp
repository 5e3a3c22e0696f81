#include "gateway/dicom/value_rules.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "gateway/dicom/character_set.h"

namespace sluice::dicom {
namespace {

OFCondition check_characters(Vr vr, const OFString& text) {
  static const OFString one("1");
  static const OFString utf8(kUtf8Set.data(), kUtf8Set.size());
  switch (vr) {
    case Vr::AE:
      return DcmApplicationEntity::checkStringValue(text, one);
    case Vr::AS:
      return DcmAgeString::checkStringValue(text, one);
    case Vr::CS:
      return DcmCodeString::checkStringValue(text, one);
    case Vr::DA:
      return DcmDate::checkStringValue(text, one);
    case Vr::DS:
      return DcmDecimalString::checkStringValue(text, one);
    case Vr::DT:
      return DcmDateTime::checkStringValue(text, one);
    case Vr::IS:
      return DcmIntegerString::checkStringValue(text, one);
    case Vr::LO:
      return DcmLongString::checkStringValue(text, one, utf8);
    case Vr::LT:
      return DcmLongText::checkStringValue(text, utf8);
    case Vr::PN:
      return DcmPersonName::checkStringValue(text, one, utf8);
    case Vr::SH:
      return DcmShortString::checkStringValue(text, one, utf8);
    case Vr::ST:
      return DcmShortText::checkStringValue(text, utf8);
    case Vr::TM:
      return DcmTime::checkStringValue(text, one);
    case Vr::UC:
      return DcmUnlimitedCharacters::checkStringValue(text, one, utf8);
    case Vr::UI:
      return DcmUniqueIdentifier::checkStringValue(text, one);
    case Vr::UR:
      return DcmUniversalResourceIdentifierOrLocator::checkStringValue(text);
    default:
      return EC_Normal;
  }
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

// DCMTK counts no characters where there may be several bytes to one.
bool is_too_long(Vr vr, std::string_view text) {
  const auto longest = longest_value(vr);
  if (!longest) return false;
  std::size_t characters = 0;
  for (const char character : text) {
    if (vr == Vr::PN && character == '=') {
      characters = 0;
    } else if (!is_continuation(character) && ++characters > *longest) {
      return true;
    }
  }
  return false;
}

// Three groups of five components each (PS3.5 6.2.1); DCMTK looks at the characters only.
bool has_too_many_parts(std::string_view name) {
  int components = 1;
  int groups = 1;
  for (const char character : name) {
    if (character == '=') components = 1;
    if (character == '=' && ++groups > 3) return true;
    if (character == '^' && ++components > 5) return true;
  }
  return false;
}

// Not all of DCMTK's checks look at them. Text of paragraphs may have line breaks, form
// feeds and tabs (PS3.5 6.1.3); an escape would switch the character set.
bool has_wrong_control(Vr vr, std::string_view text) {
  const bool has_paragraphs = vr == Vr::LT || vr == Vr::ST || vr == Vr::UT;
  return std::ranges::any_of(text, [&](char character) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte != 0x7F) return false;
    return !has_paragraphs || (byte != '\t' && byte != '\n' && byte != '\f' && byte != '\r');
  });
}

// A day that no month has, in a DA or at the start of a DT; DCMTK's check looks at digits only.
bool has_wrong_day(Vr vr, std::string_view text) {
  if ((vr != Vr::DA && vr != Vr::DT) || text.size() < 8) return false;
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = 0;
    std::from_chars(text.data() + at, text.data() + at + length, value);
    return value;
  };
  const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(4, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(6, 2)))};
  return !day.ok();
}

// DCMTK's check does not know the leap second (PS3.5 6.2: seconds are 00 to 60).
OFString without_leap_second(Vr vr, std::string_view text) {
  OFString checked(text.data(), text.size());
  const std::size_t at = vr == Vr::TM ? 4 : 12;
  if ((vr == Vr::TM || vr == Vr::DT) && text.substr(0, at + 2).ends_with("60") &&
      text.size() >= at + 2) {
    checked.replace(at, 2, "59");
  }
  return checked;
}

bool is_written_by_text(Vr vr) {
  switch (vr) {
    case Vr::SQ:
    case Vr::UN:
    case Vr::OB:
    case Vr::OD:
    case Vr::OF:
    case Vr::OL:
    case Vr::OV:
    case Vr::OW:
      return false;
    default:
      return true;
  }
}

}  // namespace

std::optional<std::size_t> longest_value(Vr vr) {
  switch (vr) {  // PS3.5 Table 6.2-1
    case Vr::AS:
      return 4;
    case Vr::DA:
      return 8;
    case Vr::IS:
      return 12;
    case Vr::TM:
      return 14;
    case Vr::AE:
    case Vr::CS:
    case Vr::DS:
    case Vr::SH:
      return 16;
    case Vr::DT:
      return 26;
    case Vr::LO:
    case Vr::PN:
    case Vr::UI:
      return 64;
    case Vr::ST:
      return 1024;
    case Vr::LT:
      return 10240;
    default:
      return std::nullopt;
  }
}

std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (at < text.size() && count > 0) {
    ++at;
    while (at < text.size() && is_continuation(text[at])) ++at;
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

std::optional<std::string> find_value_defect(Vr vr, std::string_view text) {
  const auto told = [&](std::string_view why) {
    return "is no value of VR " + to_string(vr) + ": " + std::string(why);
  };
  if (!is_written_by_text(vr)) return told("no text makes one");
  if (valid_utf8_length(text) != text.size()) return told("no UTF-8");
  if (has_wrong_control(vr, text)) return told("a control character");
  if (is_too_long(vr, text)) {
    return told("more than " + std::to_string(*longest_value(vr)) + " characters");
  }
  if (vr == Vr::PN && has_too_many_parts(text)) return told("too many components");
  if (!has_one_value(vr) && text.find('\\') != std::string_view::npos) {
    return told("a backslash makes two values");
  }
  const bool is_ascii = std::ranges::all_of(
      text, [](char character) { return static_cast<unsigned char>(character) < 0x80; });
  if (!is_ascii && !is_in_character_set(vr)) return told("a character other than ASCII");
  if (!text_to_value(vr, text, false)) return told("not what it is made of");
  const OFCondition checked = check_characters(vr, without_leap_second(vr, text));
  if (checked.bad()) return told(checked.text());
  if (has_wrong_day(vr, text)) return told("no such day");
  return std::nullopt;
}

}  // namespace sluice::dicom
