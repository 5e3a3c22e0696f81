#include "gateway/config/tables.h"

#include <algorithm>

#include "gateway/base/log.h"

namespace sluice::config {
namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::uint32_t kLeastPdu = 4096;  // what dcmnet can work with
constexpr std::uint32_t kMostPdu = 131'072;

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  return std::all_of(text.begin(), text.end(), [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '-' || character == '_' ||
           character == '.';
  });
}

}  // namespace

void Names::take(Table& table, const std::string& name) {
  if (!is_name(name)) {
    table.mistake("name", "name must be 1 to 64 letters, digits, '-', '_' or '.', not '" +
                              log::escape(name) + "'");
    return;
  }
  const auto [place, is_new] = lines_.emplace(name, table.line());
  if (!is_new) {
    table.mistake("name", "name '" + name + "' is used twice; the first is at line " +
                              std::to_string(place->second));
  }
}

std::string Names::free_name(const std::string& base) const {
  std::string name = base;
  for (int number = 2; lines_.contains(name); ++number) {
    name = base + "-" + std::to_string(number);
  }
  return name;
}

int read_int(Table& table, std::string_view key, int fallback, int least, int most) {
  return static_cast<int>(table.integer(key, fallback, least, most));
}

milliseconds read_timeout(Table& table, std::string_view key, milliseconds fallback) {
  const milliseconds value = table.duration(key, fallback);
  if (value > milliseconds(0)) return value;
  table.mistake(key, std::string(key) + " must be longer than 0");
  return fallback;
}

std::uint32_t read_max_pdu(Table& table, std::uint32_t fallback) {
  const std::uint64_t value = table.size("max_pdu", fallback);
  if (value >= kLeastPdu && value <= kMostPdu) return static_cast<std::uint32_t>(value);
  table.mistake("max_pdu", "max_pdu must be from 4 KiB to 128 KiB");
  return fallback;
}

std::vector<FilterEntry> read_filters(std::vector<Table> tables) {
  std::vector<FilterEntry> filters;
  Names names;
  for (Table& table : tables) {
    std::string type = table.required_string("type");
    std::string name = table.string("name", type);
    if (!name.empty() || table.has("name")) names.take(table, name);
    filters.push_back({.name = std::move(name), .type = std::move(type), .options = table});
  }
  return filters;
}

}  // namespace sluice::config
