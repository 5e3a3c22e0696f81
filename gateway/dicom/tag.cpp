#include "gateway/dicom/tag.h"

#include <charconv>
#include <optional>

#include "gateway/base/log.h"
#include "gateway/dicom/dictionary.h"

namespace sluice::dicom {

namespace {

constexpr std::size_t kLongestKeyword = 128;

std::optional<std::uint16_t> parse_hexadecimal(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "(0020,000D)", "0020,000D" or "0020000D"
std::optional<Tag> parse_numbers(std::string_view text) {
  if (text.size() == 11 && text.front() == '(' && text.back() == ')') {
    text = text.substr(1, 9);
    if (text[4] != ',') return std::nullopt;
  }
  if (text.size() != 8 && !(text.size() == 9 && text[4] == ',')) return std::nullopt;
  const auto group = parse_hexadecimal(text.substr(0, 4));
  const auto element = parse_hexadecimal(text.substr(text.size() - 4));
  if (!group || !element) return std::nullopt;
  return Tag{*group, *element};
}

}  // namespace

std::string to_string(Tag tag) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text = "(0000,0000)";
  for (unsigned i = 0; i < 4; ++i) {
    text[4 - i] = kDigits[(tag.group >> (4U * i)) & 0xFU];
    text[9 - i] = kDigits[(tag.element >> (4U * i)) & 0xFU];
  }
  return text;
}

std::string keyword(Tag tag) {
  const std::string_view name = Dictionary::get().keyword(tag);
  return name.empty() ? to_string(tag) : std::string(name);
}

std::optional<Tag> find_tag(std::string_view text) {
  if (const auto tag = Dictionary::get().find(text)) return tag;
  return parse_numbers(text);
}

Result<Tag> parse_tag(std::string_view text) {
  if (const auto tag = find_tag(text)) return *tag;
  std::string message = "'" + log::escape(text.substr(0, kLongestKeyword)) +
                        "' is no attribute keyword and no tag like 0020,000D";
  if (text.size() <= kLongestKeyword) {
    const std::string_view near = Dictionary::get().nearest(text);
    if (!near.empty()) message += "; did you mean '" + std::string(near) + "'?";
  }
  return failure(ErrorCode::configuration, std::move(message));
}

}  // namespace sluice::dicom
