#include "gateway/config/time_window.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include <date/tz.h>

#include "gateway/base/log.h"

namespace sluice::config {
namespace {

using std::chrono::minutes;

constexpr minutes kDay{24 * 60};
constexpr std::array<std::string_view, 7> kDays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

std::optional<int> two_digits(std::string_view text) {
  int number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || text[0] == '-') return {};
  return number;
}

minutes read_time(Table& table, std::string_view key, minutes fallback) {
  table.know(key);
  if (!table.has(key)) return fallback;
  const std::string text = table.string(key, "00:00");
  if (text.size() == 5 && text[2] == ':') {
    const auto hours = two_digits(std::string_view(text).substr(0, 2));
    const auto rest = two_digits(std::string_view(text).substr(3));
    if (hours && rest && *rest < 60 && *hours * 60 + *rest <= kDay.count()) {
      return minutes(*hours * 60 + *rest);
    }
  }
  table.mistake(key, std::string(key) + " must be a time such as \"07:30\", from 00:00 to 24:00, " +
                         "not '" + log::escape(text) + "'");
  return fallback;
}

std::vector<bool> read_days(Table& table) {
  std::vector<bool> days;
  for (const std::string& name : table.strings("days", {})) {
    const auto* const day = std::ranges::find(kDays, name);
    if (day == kDays.end()) {
      table.mistake("days", "days holds mon, tue, wed, thu, fri, sat and sun, not '" +
                                log::escape(name) + "'");
      continue;
    }
    days.resize(kDays.size(), false);
    days[static_cast<std::size_t>(day - kDays.begin())] = true;
  }
  return days;
}

const date::time_zone* read_zone(Table& table) {
  const std::string name = table.string("zone", "");
  // The library tells what it does not find by exceptions only.
  try {
    return name.empty() ? date::current_zone() : date::locate_zone(name);
  } catch (const std::exception&) {
    if (!name.empty()) {
      table.mistake("zone", "this machine knows no time zone '" + log::escape(name) +
                                "'; names are such as \"Europe/Berlin\" (package tzdata)");
    }
    return nullptr;
  }
}

std::string clock_text(minutes time) {
  const auto two = [](long number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return two(time.count() / 60) + ":" + two(time.count() % 60);
}

}  // namespace

TimeWindow TimeWindow::read(Table& table) {
  TimeWindow window;
  window.from_ = read_time(table, "from", minutes(0));
  window.to_ = read_time(table, "to", kDay);
  if (window.from_ == window.to_) {
    table.mistake(table.has("from") ? "from" : "to", "from and to are the same, so it is never");
  }
  window.days_ = read_days(table);
  window.zone_ = read_zone(table);
  return window;
}

bool TimeWindow::contains(std::chrono::system_clock::time_point time) const {
  const auto now = std::chrono::floor<std::chrono::seconds>(time);
  const auto local =
      zone_ != nullptr ? zone_->to_local(now) : date::local_seconds(now.time_since_epoch());
  const auto day = std::chrono::floor<date::days>(local);
  const auto clock = std::chrono::floor<minutes>(local - day);
  const bool is_over_midnight = to_ < from_;
  if (!is_over_midnight && (clock < from_ || clock >= to_)) return false;
  if (is_over_midnight && clock >= to_ && clock < from_) return false;
  if (days_.empty()) return true;
  const bool began_yesterday = is_over_midnight && clock < to_;
  return days_[date::weekday(began_yesterday ? day - date::days(1) : day).c_encoding()];
}

std::string TimeWindow::text() const {
  std::string text;
  for (std::size_t day = 0; day < days_.size(); ++day) {
    if (days_[day]) text.append(kDays.at(day)).append(" ");
  }
  text += clock_text(from_) + " to " + clock_text(to_);
  if (zone_ != nullptr) text += " " + zone_->name();
  return text;
}

}  // namespace sluice::config
