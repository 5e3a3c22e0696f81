// What a condition asks of the values of one attribute, or of one fact about the sender.
//
//   "CT*"  ["CT", "MR"]             one of the globs
//   { equals = "A*1" }              the very text
//   { regex = "CT\\d+" }            RE2, the whole text
//   { at_least = 2, less = 5 }      numbers: less, at_most, greater, at_least
//   { since = "2024-01-01" }        dates: since, before; older_than, newer_than = "30d"
//   { exists = true, empty = false }
//   { not = ... }                   any of these
//
// What stands in one table must hold together, of one and the same value.
// Immutable; safe from any thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/network.h"
#include "gateway/config/table.h"

namespace re2 {
class RE2;
}

namespace sluice {

class ValueCondition {
 public:
  // addresses: globs may also be networks ("10.0.0.0/8").
  enum class Of { attribute, text, addresses };

  // Notes every mistake.
  [[nodiscard]] static ValueCondition read(config::Table& when, const std::string& key, Of of);

  // `values`: none when it is absent, then globs look at ""; nullopt is there, not empty, and not
  // looked at. `received_at`: what dates are counted from, so that the answer stays the same.
  [[nodiscard]] bool holds(const std::vector<std::optional<std::string>>& values,
                           std::chrono::system_clock::time_point received_at) const;

  // Why no value can ever hold; "" when one may.
  [[nodiscard]] std::string contradiction() const;

  // The globs or equal texts, where nothing else is asked for; for what may be known beforehand.
  [[nodiscard]] bool may_be(const std::vector<std::string>& known) const;

  // "CT, MR", "at least 2, less than 5", "not CT"
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void read_table(config::Table& table, Of of);
  void read_numbers(config::Table& table);
  void read_dates(config::Table& table);
  [[nodiscard]] bool holds_of_one(std::string_view value,
                                  std::chrono::system_clock::time_point received_at) const;
  [[nodiscard]] bool is_in_range(std::string_view value) const;
  [[nodiscard]] bool is_in_time(std::string_view value,
                                std::chrono::system_clock::time_point received_at) const;
  [[nodiscard]] bool asks_of_values() const;
  void say(const std::string& what);

  std::optional<std::vector<std::string>> globs_;
  std::optional<std::vector<std::string>> texts_;
  std::vector<std::shared_ptr<const re2::RE2>> expressions_;
  std::vector<config::Network> networks_;
  std::optional<double> less_, at_most_, greater_, at_least_;
  std::string since_, before_;  // YYYYMMDD
  std::optional<std::chrono::milliseconds> older_than_, newer_than_;
  std::optional<bool> exists_, empty_;
  std::shared_ptr<const ValueCondition> not_;
  std::string text_;
};

}  // namespace sluice
