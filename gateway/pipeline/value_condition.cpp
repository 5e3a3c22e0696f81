#include "gateway/pipeline/value_condition.h"

#include <algorithm>
#include <charconv>

#include <date/date.h>
#include <re2/re2.h>

#include "gateway/base/glob.h"
#include "gateway/base/log.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    if (!all.empty()) all += ", ";
    all += text.empty() ? "\"\"" : log::escape(text);
  }
  return all;
}

std::optional<double> number_in(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// YYYYMMDD of DA, DT and "YYYY-MM-DD", also of "YYYY.MM.DD" (PS3.5 6.2, older forms).
std::optional<date::sys_days> date_in(std::string_view text) {
  std::string digits;
  for (const char character : text) {
    if (digits.size() == 8) break;
    const bool parts =
        (character == '-' || character == '.') && (digits.size() == 4 || digits.size() == 6);
    if (parts) continue;
    if (character < '0' || character > '9') return std::nullopt;
    digits += character;
  }
  if (digits.size() != 8) return std::nullopt;
  const int number = std::stoi(digits);
  const date::year_month_day day{date::year(number / 10000),
                                 date::month(static_cast<unsigned>(number / 100 % 100)),
                                 date::day(static_cast<unsigned>(number % 100))};
  if (!day.ok()) return std::nullopt;
  return date::sys_days(day);
}

std::string read_date(config::Table& table, std::string_view key) {
  table.know(key);
  if (!table.has(key)) return "";
  std::string text = table.string(key, "1900-01-01");
  if (!date_in(text)) {
    table.mistake(key, std::string(key) + " must be a date such as \"2024-01-31\", not '" +
                           log::escape(text) + "'");
    return "";
  }
  return text;
}

}  // namespace

void ValueCondition::say(const std::string& what) {
  if (!text_.empty()) text_ += ", ";
  text_ += what;
}

ValueCondition ValueCondition::read(config::Table& when, const std::string& key, Of of) {
  ValueCondition test;
  if (when.is_table(key)) {
    config::Table table = *when.table(key);
    test.read_table(table, of);
    table.finish();
    if (test.text_.empty() && table.keys().empty()) {
      when.mistake(key, log::escape(key) + " = {} asks for nothing; leave it out");
    }
    return test;
  }
  // "" stands for what could not be read, and was noted.
  std::vector<std::string> globs = when.strings(key, {""});
  if (globs.empty()) {
    when.mistake(key, log::escape(key) +
                          " names no value, so nothing ever fits; leave the key out to take "
                          "every value");
  }
  test.text_ = joined(globs);
  if (of == Of::addresses) {
    std::erase_if(globs, [&](const std::string& glob) {
      if (glob.find('/') == std::string::npos) return false;
      if (auto network = config::parse_network(glob)) {
        test.networks_.push_back(*network);
      } else {
        when.mistake(key, network.error().message);
      }
      return true;
    });
  }
  test.globs_ = std::move(globs);
  return test;
}

void ValueCondition::read_table(config::Table& table, Of of) {
  if (table.has("not")) {
    not_ = std::make_shared<const ValueCondition>(read(table, "not", of));
    say("not " + not_->text());
  }
  table.know("not");
  const bool has_texts = table.has("equals");
  auto texts = table.strings("equals", {});
  if (has_texts) {
    say("equals " + joined(texts));
    texts_ = std::move(texts);
  }
  for (const std::string& pattern : table.strings("regex", {})) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    auto expression = std::make_shared<const re2::RE2>(pattern, options);
    if (!expression->ok()) {
      table.mistake("regex", "regex '" + log::escape(pattern) + "': " + expression->error() +
                                 "; the syntax is that of RE2");
    }
    say("regex " + log::escape(pattern));
    expressions_.push_back(std::move(expression));
  }
  read_numbers(table);
  read_dates(table);
  const auto read_boolean = [&](const char* key, std::optional<bool>& value) {
    const bool read = table.boolean(key, false);
    if (!table.has(key)) return;
    value = read;
    say(std::string(read ? "" : "not ") + (key == std::string("exists") ? "there" : "empty"));
  };
  read_boolean("exists", exists_);
  read_boolean("empty", empty_);
  if (const std::string why = contradiction(); !why.empty()) table.mistake(why);
}

void ValueCondition::read_numbers(config::Table& table) {
  const auto read_one = [&](const char* key, const char* words, std::optional<double>& value) {
    value = table.number(key);
    if (!value) return;
    std::string shown = std::to_string(*value);
    shown.erase(shown.find_last_not_of('0') + 1);
    if (shown.ends_with('.')) shown.pop_back();
    say(std::string(words) + " " + shown);
  };
  read_one("at_least", "at least", at_least_);
  read_one("greater", "greater than", greater_);
  read_one("less", "less than", less_);
  read_one("at_most", "at most", at_most_);
}

void ValueCondition::read_dates(config::Table& table) {
  since_ = read_date(table, "since");
  if (!since_.empty()) say("since " + since_);
  before_ = read_date(table, "before");
  if (!before_.empty()) say("before " + before_);
  const auto read_age = [&](const char* key, const char* words,
                            std::optional<milliseconds>& value) {
    const milliseconds age = table.duration(key, milliseconds(0));
    if (!table.has(key)) return;
    value = age;
    say(std::string(words) + " " + std::to_string(age / std::chrono::hours(24)) + " d");
  };
  read_age("older_than", "older than", older_than_);
  read_age("newer_than", "newer than", newer_than_);
}

std::string ValueCondition::contradiction() const {
  const auto least = at_least_ ? at_least_ : greater_;
  const auto most = at_most_ ? at_most_ : less_;
  const bool is_open = greater_.has_value() || less_.has_value();
  if (least && most && (*least > *most || (is_open && *least == *most))) {
    return "no number is " + text_;
  }
  if (!since_.empty() && !before_.empty() && *date_in(since_) >= *date_in(before_)) {
    return "no date is " + text_;
  }
  if (older_than_ && newer_than_ && *older_than_ >= *newer_than_) return "no date is " + text_;
  if (exists_ == false && (empty_ == false || asks_of_values())) {
    return "what is not there has no value to be asked for: " + text_;
  }
  return "";
}

bool ValueCondition::may_be(const std::vector<std::string>& known) const {
  const auto fits_one = [&](const std::string& value) {
    if (texts_ && std::ranges::find(*texts_, value) == texts_->end()) return false;
    return !globs_ || std::ranges::any_of(*globs_, [&](const std::string& glob) {
      return matches_glob(glob, value);
    });
  };
  return (!texts_ && !globs_) || std::ranges::any_of(known, fits_one);
}

bool ValueCondition::asks_of_values() const {
  return globs_ || texts_ || !expressions_.empty() || less_ || at_most_ || greater_ || at_least_ ||
         !since_.empty() || !before_.empty() || older_than_ || newer_than_;
}

bool ValueCondition::is_in_range(std::string_view value) const {
  if (!less_ && !at_most_ && !greater_ && !at_least_) return true;
  const auto number = number_in(value);
  return number && (!less_ || *number < *less_) && (!at_most_ || *number <= *at_most_) &&
         (!greater_ || *number > *greater_) && (!at_least_ || *number >= *at_least_);
}

bool ValueCondition::is_in_time(std::string_view value,
                                system_clock::time_point received_at) const {
  if (since_.empty() && before_.empty() && !older_than_ && !newer_than_) return true;
  const auto day = date_in(value);
  if (!day) return false;
  const auto age = received_at - system_clock::time_point(*day);
  return (since_.empty() || *day >= *date_in(since_)) &&
         (before_.empty() || *day < *date_in(before_)) && (!older_than_ || age > *older_than_) &&
         (!newer_than_ || age < *newer_than_);
}

bool ValueCondition::holds_of_one(std::string_view value,
                                  system_clock::time_point received_at) const {
  if (globs_) {
    const bool fits = std::ranges::any_of(
        *globs_, [&](const std::string& glob) { return matches_glob(glob, value); });
    if (!fits && !config::is_in_any(networks_, value)) return false;
  }
  if (texts_ && std::ranges::find(*texts_, value) == texts_->end()) return false;
  const bool fits_expressions =
      expressions_.empty() || std::ranges::any_of(expressions_, [&](const auto& expression) {
        return re2::RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *expression);
      });
  return fits_expressions && is_in_range(value) && is_in_time(value, received_at);
}

bool ValueCondition::holds(const std::vector<std::optional<std::string>>& values,
                           system_clock::time_point received_at) const {
  if (not_ && not_->holds(values, received_at)) return false;
  if (exists_ && *exists_ == values.empty()) return false;
  const bool is_empty =
      std::ranges::all_of(values, [](const auto& value) { return value && value->empty(); });
  if (empty_ && *empty_ != is_empty) return false;
  if (!asks_of_values()) return true;
  if (values.empty()) return holds_of_one("", received_at);
  return std::ranges::any_of(
      values, [&](const auto& value) { return value && holds_of_one(*value, received_at); });
}

}  // namespace sluice
