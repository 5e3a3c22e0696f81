// The one logger. A line is a fixed message and fields:
//
//   log::info("stored", {{"id", id}, {"calling_ae_title", ae_title}});
//
// Lines go to stderr, as text or one JSON object each. Control characters and
// quotes in values are escaped, so text from the network cannot forge a line.
// Patient data never goes above debug. Safe from any thread.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace sluice::log {

enum class Level { debug, info, warning, error };
enum class Format { human, json };

// For the call that it is written in: it refers to its text, so that a line that is not
// wanted costs nothing.
class Field {
 public:
  Field(std::string_view field_name, std::string_view text) : name(field_name), text_(text) {}
  Field(std::string_view field_name, const std::string& text) : name(field_name), text_(text) {}
  Field(std::string_view field_name, const char* text) : name(field_name), text_(text) {}
  Field(std::string_view field_name, std::integral auto number)
      : name(field_name),
        is_number(true),
        digits_(static_cast<std::size_t>(
            std::to_chars(number_.data(), number_.data() + number_.size(), number).ptr -
            number_.data())) {}

  [[nodiscard]] std::string_view value() const {
    return is_number ? std::string_view(number_.data(), digits_) : text_;
  }

  std::string_view name;
  bool is_number = false;

 private:
  std::string_view text_;
  std::array<char, 24> number_{};
  std::size_t digits_ = 0;
};

using Fields = std::initializer_list<Field>;

// Called once before other threads start; until then: info, human.
void configure(Level level, Format format);

// At any time, from any thread.
void set_level(Level level);

[[nodiscard]] bool enabled(Level level);

void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warning(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

// The text with control characters as \n, \xNN and so on; for values that come
// from the network and are shown to a person.
[[nodiscard]] std::string escape(std::string_view text);

}  // namespace sluice::log
