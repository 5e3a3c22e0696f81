// The one logger. A line is a fixed message and fields:
//
//   log::info("stored", {{"id", id}, {"calling_ae_title", ae_title}});
//
// Lines go to stderr, as text or one JSON object each. Control characters and
// quotes in values are escaped, so text from the network cannot forge a line.
// Patient data never goes above debug. Safe from any thread.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::log {

enum class Level { debug, info, warning, error };
enum class Format { human, json };

struct Field {
  Field(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  Field(std::string_view field_name, std::string text) : name(field_name), value(std::move(text)) {}
  Field(std::string_view field_name, const char* text) : name(field_name), value(text) {}
  Field(std::string_view field_name, std::integral auto number)
      : name(field_name), value(std::to_string(number)), is_number(true) {}

  std::string_view name;
  std::string value;
  bool is_number = false;
};

using Fields = std::initializer_list<Field>;

// Called once before other threads start; until then: info, human.
void configure(Level level, Format format);

[[nodiscard]] bool enabled(Level level);

void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warning(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

// The text with control characters as \n, \xNN and so on; for values that come
// from the network and are shown to a person.
[[nodiscard]] std::string escape(std::string_view text);

}  // namespace sluice::log
