#include "gateway/net/command_set.h"

#include <algorithm>

#include "gateway/dicom/tag.h"

namespace sluice::net {
namespace {

constexpr std::size_t kElementHeader = 8;  // group, element, 32-bit length
constexpr std::size_t kMaxCommentLength = 64;
constexpr std::string_view kPadding("\0 ", 2);

std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t offset, std::size_t width) {
  std::uint32_t number = 0;
  for (std::size_t i = width; i-- > 0;) {
    number = (number << 8U) | std::to_integer<std::uint32_t>(bytes[offset + i]);
  }
  return number;
}

void append_number(std::vector<std::byte>& bytes, std::uint32_t number, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) bytes.push_back(std::byte(number >> (8 * i) & 0xFFU));
}

// Room for what a command of the composite services has.
constexpr std::size_t kUsualElements = 12;

std::string tag_text(std::uint32_t group, std::uint32_t element) {
  return dicom::to_string(
      dicom::Tag{static_cast<std::uint16_t>(group), static_cast<std::uint16_t>(element)});
}

void pad(std::string& value, char padding) {
  if (value.size() % 2 != 0) value.push_back(padding);
}

}  // namespace

Result<CommandSet> CommandSet::parse(std::span<const std::byte> bytes) {
  const auto bad = [](const std::string& what) {
    return failure(ErrorCode::permanent, "the command set is broken: " + what);
  };
  CommandSet set;
  set.elements_.reserve(kUsualElements);
  while (!bytes.empty()) {
    if (bytes.size() < kElementHeader) return bad("it ends inside an element");
    const std::uint32_t group = number_at(bytes, 0, 2);
    const std::uint32_t element = number_at(bytes, 2, 2);
    const std::uint32_t length = number_at(bytes, 4, 4);
    if (group != 0) return bad(tag_text(group, element) + " is no command element");
    if (length > bytes.size() - kElementHeader) {
      return bad(tag_text(group, element) + " is longer than the command set");
    }
    const auto value = bytes.subspan(kElementHeader, length);
    const auto number = static_cast<std::uint16_t>(element);
    if (set.has(number)) return bad(tag_text(group, element) + " comes twice");
    std::string& text = set.at(number);
    text.resize(value.size());
    std::ranges::transform(value, text.begin(), std::to_integer<char>);
    bytes = bytes.subspan(kElementHeader + length);
  }
  return set;
}

const std::string* CommandSet::find(std::uint16_t element) const {
  const auto place = std::ranges::lower_bound(elements_, element, {}, &Element::number);
  return place == elements_.end() || place->number != element ? nullptr : &place->value;
}

std::string& CommandSet::at(std::uint16_t element) {
  elements_.reserve(kUsualElements);
  auto place = std::ranges::lower_bound(elements_, element, {}, &Element::number);
  if (place == elements_.end() || place->number != element) {
    place = elements_.insert(place, {element, {}});
  }
  return place->value;
}

std::optional<std::uint16_t> CommandSet::number(std::uint16_t element) const {
  const std::string* value = find(element);
  if (value == nullptr || value->size() != 2) return std::nullopt;
  const auto low = static_cast<unsigned char>(value->front());
  const auto high = static_cast<unsigned char>(value->back());
  return static_cast<std::uint16_t>(low | high << 8U);
}

std::string CommandSet::text(std::uint16_t element) const {
  const std::string* value = find(element);
  if (value == nullptr) return {};
  return value->substr(0, value->find_last_not_of(kPadding) + 1);
}

bool CommandSet::has_data_set() const {
  const auto type = number(command::kCommandDataSetType);
  return type && *type != command::kNoDataSet;
}

void CommandSet::set_number(std::uint16_t element, std::uint16_t value) {
  at(element) = {static_cast<char>(value & 0xFFU), static_cast<char>(value >> 8U)};
}

void CommandSet::set_uid(std::uint16_t element, std::string_view uid) {
  std::string& value = at(element) = uid;
  pad(value, '\0');
}

void CommandSet::set_text(std::uint16_t element, std::string_view text) {
  std::string& value = at(element) = text;
  pad(value, ' ');
}

std::vector<std::byte> CommandSet::encode() const {
  std::uint32_t length = 0;
  for (const Element& element : elements_) {
    if (element.number != command::kGroupLength) {
      length += static_cast<std::uint32_t>(kElementHeader + element.value.size());
    }
  }
  std::vector<std::byte> bytes;
  bytes.reserve(length + kElementHeader + 4);
  append_number(bytes, 0, 2);
  append_number(bytes, command::kGroupLength, 2);
  append_number(bytes, 4, 4);
  append_number(bytes, length, 4);
  for (const Element& element : elements_) {
    if (element.number == command::kGroupLength) continue;
    append_number(bytes, 0, 2);
    append_number(bytes, element.number, 2);
    append_number(bytes, static_cast<std::uint32_t>(element.value.size()), 4);
    const auto value = std::as_bytes(std::span(element.value));
    bytes.insert(bytes.end(), value.begin(), value.end());
  }
  return bytes;
}

std::string comment_text(std::string_view text) {
  std::string comment;
  for (const char character : text.substr(0, kMaxCommentLength)) {
    const bool plain = character >= ' ' && character <= '~' && character != '\\';
    comment.push_back(plain ? character : '?');
  }
  return comment;
}

}  // namespace sluice::net
