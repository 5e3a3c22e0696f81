// Values as text, and text as values: PS3.5 6.2 and 7.3.
#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <optional>

#include "gateway/dicom/vr.h"

namespace sluice::dicom {

namespace {

// How the values of a VR stand in the bytes.
enum class Form { text, long_text, number_list, tag_list, raw, sequence, opaque };

Form form_of(Vr vr) {
  switch (vr) {
    case Vr::US:
    case Vr::SS:
    case Vr::UL:
    case Vr::SL:
    case Vr::UV:
    case Vr::SV:
    case Vr::FL:
    case Vr::FD:
      return Form::number_list;
    case Vr::AT:
      return Form::tag_list;
    case Vr::LT:
    case Vr::ST:
    case Vr::UT:
    case Vr::UR:
      return Form::long_text;
    case Vr::SQ:
      return Form::sequence;
    case Vr::OB:
      return Form::raw;
    case Vr::OW:
    case Vr::OD:
    case Vr::OF:
    case Vr::OL:
    case Vr::OV:
      return Form::opaque;
    default:
      return Form::text;  // UN and VRs to come: nobody knows better
  }
}

bool has_significant_leading_spaces(Vr vr) {
  return vr == Vr::LT || vr == Vr::ST || vr == Vr::UT || vr == Vr::UC;
}

bool is_padding(char c) {
  return c == ' ' || c == '\0';
}

std::string_view trim(std::string_view value, bool keep_leading) {
  while (!value.empty() && is_padding(value.back())) value.remove_suffix(1);
  while (!keep_leading && !value.empty() && is_padding(value.front())) value.remove_prefix(1);
  return value;
}

// Calls `take` with each part between backslashes, until it returns false.
template <typename Take>
bool for_each_part(std::string_view text, Take take) {
  for (;;) {
    const std::size_t end = text.find('\\');
    if (!take(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

std::string text_of_strings(Vr vr, std::string_view value) {
  const bool keep_leading = has_significant_leading_spaces(vr);
  if (form_of(vr) == Form::long_text) return std::string(trim(value, keep_leading));
  std::string text;
  text.reserve(value.size());
  bool first = true;
  for_each_part(value, [&](std::string_view part) {
    if (!first) text += '\\';
    first = false;
    text += trim(part, keep_leading);
    return true;
  });
  return text;
}

template <typename Number>
Number load(const char* bytes, bool big_endian) {
  std::array<char, sizeof(Number)> ordered{};
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    ordered[i] = bytes[big_endian ? sizeof(Number) - 1 - i : i];
  }
  return std::bit_cast<Number>(ordered);
}

template <typename Number>
void store(std::string& out, Number number, bool big_endian) {
  const auto ordered = std::bit_cast<std::array<char, sizeof(Number)>>(number);
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    out += ordered[big_endian ? sizeof(Number) - 1 - i : i];
  }
}

static_assert(std::endian::native == std::endian::little);

// Calls `visit` with a zero of the C++ type that holds a value of the VR.
template <typename Visit>
auto with_number_type(Vr vr, Visit visit) {
  switch (vr) {
    case Vr::SS:
      return visit(std::int16_t{});
    case Vr::UL:
      return visit(std::uint32_t{});
    case Vr::SL:
      return visit(std::int32_t{});
    case Vr::UV:
      return visit(std::uint64_t{});
    case Vr::SV:
      return visit(std::int64_t{});
    case Vr::FL:
      return visit(float{});
    case Vr::FD:
      return visit(double{});
    default:
      return visit(std::uint16_t{});
  }
}

// A rest that is no whole number is left out.
std::string text_of_numbers(Vr vr, std::string_view value, bool big_endian) {
  return with_number_type(vr, [&](auto zero) {
    using Number = decltype(zero);
    std::string text;
    for (; value.size() >= sizeof(Number); value.remove_prefix(sizeof(Number))) {
      std::array<char, 32> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(),
                                     load<Number>(value.data(), big_endian));
      if (!text.empty()) text += '\\';
      text.append(digits.data(), end.ptr);
    }
    return text;
  });
}

std::string text_of_tags(std::string_view value, bool big_endian) {
  std::string text;
  for (; value.size() >= 4; value.remove_prefix(4)) {
    const Tag tag{load<std::uint16_t>(value.data(), big_endian),
                  load<std::uint16_t>(value.data() + 2, big_endian)};
    if (!text.empty()) text += '\\';
    text += to_string(tag).substr(1, 9);
  }
  return text;
}

std::optional<std::string> numbers_from(Vr vr, std::string_view text, bool big_endian) {
  return with_number_type(vr, [&](auto zero) -> std::optional<std::string> {
    using Number = decltype(zero);
    std::string value;
    const bool all = for_each_part(text, [&](std::string_view part) {
      part = trim(part, false);
      Number number{};
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
      if (error != std::errc{} || end != part.data() + part.size()) return false;
      store(value, number, big_endian);
      return true;
    });
    if (!all) return std::nullopt;
    return value;
  });
}

std::optional<std::string> tags_from(std::string_view text, bool big_endian) {
  std::string value;
  const bool all = for_each_part(text, [&](std::string_view part) {
    const auto tag = find_tag(trim(part, false));
    if (!tag) return false;
    store(value, tag->group, big_endian);
    store(value, tag->element, big_endian);
    return true;
  });
  if (!all) return std::nullopt;
  return value;
}

// Without the text itself: it may be a patient's, and the message ends in a log.
tl::unexpected<Error> no_value(Vr vr, std::string_view text) {
  return failure(ErrorCode::permanent, "a text of " + std::to_string(text.size()) +
                                           " bytes is no value of VR " + to_string(vr));
}

}  // namespace

std::string value_to_text(Vr vr, std::string_view value, bool big_endian) {
  switch (form_of(vr)) {
    case Form::text:
    case Form::long_text:
      return text_of_strings(vr, value);
    case Form::number_list:
      return text_of_numbers(vr, value, big_endian);
    case Form::tag_list:
      return text_of_tags(value, big_endian);
    case Form::raw:
    case Form::opaque:
    case Form::sequence:
      break;
  }
  return {};
}

Result<std::string> text_to_value(Vr vr, std::string_view text, bool big_endian) {
  if (vr == Vr::SQ) return failure(ErrorCode::permanent, "a sequence has items, no text");
  if (text.empty()) return std::string();
  std::optional<std::string> value;
  switch (form_of(vr)) {
    case Form::number_list:
      value = numbers_from(vr, text, big_endian);
      break;
    case Form::tag_list:
      value = tags_from(text, big_endian);
      break;
    case Form::opaque:
    case Form::sequence:
      break;
    case Form::text:
    case Form::long_text:
    case Form::raw:
      value = std::string(text);
      if (value->size() % 2 != 0) *value += padding_of(vr);
      break;
  }
  if (!value) return no_value(vr, text);
  return *std::move(value);
}

}  // namespace sluice::dicom
