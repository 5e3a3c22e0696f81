#include "gateway/net/command_set.h"

#include <utility>

#include "gateway/dicom/tag.h"

namespace sluice::net {
namespace {

constexpr std::size_t kElementHeader = 8;  // group, element, 32-bit length
constexpr std::size_t kMaxCommentLength = 64;

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
    const auto [place, added] = set.values_.try_emplace(static_cast<std::uint16_t>(element));
    if (!added) return bad(tag_text(group, element) + " comes twice");
    for (const std::byte byte : value) place->second.push_back(std::to_integer<char>(byte));
    bytes = bytes.subspan(kElementHeader + length);
  }
  return set;
}

std::optional<std::uint16_t> CommandSet::number(std::uint16_t element) const {
  const auto place = values_.find(element);
  if (place == values_.end() || place->second.size() != 2) return std::nullopt;
  const auto low = static_cast<unsigned char>(place->second[0]);
  const auto high = static_cast<unsigned char>(place->second[1]);
  return static_cast<std::uint16_t>(low | high << 8U);
}

std::string CommandSet::text(std::uint16_t element) const {
  const auto place = values_.find(element);
  if (place == values_.end()) return {};
  std::string text = place->second;
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.pop_back();
  return text;
}

bool CommandSet::has_data_set() const {
  const auto type = number(command::kCommandDataSetType);
  return type && *type != command::kNoDataSet;
}

void CommandSet::set_number(std::uint16_t element, std::uint16_t value) {
  values_[element] = {static_cast<char>(value & 0xFFU), static_cast<char>(value >> 8U)};
}

void CommandSet::set_uid(std::uint16_t element, std::string_view uid) {
  std::string value(uid);
  pad(value, '\0');
  values_[element] = std::move(value);
}

void CommandSet::set_text(std::uint16_t element, std::string_view text) {
  std::string value(text);
  pad(value, ' ');
  values_[element] = std::move(value);
}

std::vector<std::byte> CommandSet::encode() const {
  std::uint32_t length = 0;
  for (const auto& [element, value] : values_) {
    if (element != command::kGroupLength) {
      length += static_cast<std::uint32_t>(kElementHeader + value.size());
    }
  }
  std::vector<std::byte> bytes;
  bytes.reserve(length + kElementHeader + 4);
  append_number(bytes, 0, 2);
  append_number(bytes, command::kGroupLength, 2);
  append_number(bytes, 4, 4);
  append_number(bytes, length, 4);
  for (const auto& [element, value] : values_) {
    if (element == command::kGroupLength) continue;
    append_number(bytes, 0, 2);
    append_number(bytes, element, 2);
    append_number(bytes, static_cast<std::uint32_t>(value.size()), 4);
    for (const char character : value) bytes.push_back(static_cast<std::byte>(character));
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
