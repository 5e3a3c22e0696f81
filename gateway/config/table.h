// A TOML table that is read key by key, and the list of all that is wrong.
//
// Every getter returns the value, or the default after having noted the mistake
// with its line; a key that no getter asked for is a mistake too, told with the
// nearest known key. So a configuration is checked whole, never up to the first error.
//
//   Mistakes mistakes("sluice.toml");
//   const int base = table.integer("base", 10000, 0, 2147483647);
//   const auto mode = table.choice("mode", "collision", {"collision", "offset"});
//   table.finish();   // unknown keys
//
// What is not wrong yet, but will be, or is hardly meant, is a warning: it is told beside
// the mistakes and stops nothing.
//
// One thread. The Mistakes must outlive every table that was made with them.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::config {

struct Mistake {
  int line = 0;  // 0: of the file as a whole
  std::string message;
};

class Mistakes {
 public:
  explicit Mistakes(std::string file) : file_(std::move(file)) {}
  void add(int line, std::string message) { list_.push_back({line, std::move(message)}); }
  void warn(int line, std::string message) { warnings_.push_back({line, std::move(message)}); }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool empty() const { return list_.empty(); }  // whatever is warned of
  [[nodiscard]] const std::vector<Mistake>& list() const { return list_; }
  [[nodiscard]] const std::vector<Mistake>& warnings() const { return warnings_; }
  // "sluice.toml:12: unknown key 'prot'; did you mean 'port'?", a line each, by line,
  // each ended by a line feed. A warning says so: "sluice.toml:12: warning: ...".
  [[nodiscard]] std::string text() const;

 private:
  std::string file_;
  std::vector<Mistake> list_;
  std::vector<Mistake> warnings_;
};

// Copies share the underlying table and what was read of it.
class Table {
 public:
  // A string; "" is a value.
  std::string string(std::string_view key, std::string_view fallback);
  // Absent or "" is a mistake, and the result is then "".
  std::string required_string(std::string_view key);
  std::string choice(std::string_view key, std::string_view fallback,
                     std::initializer_list<std::string_view> allowed);
  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t least,
                       std::int64_t most);
  bool boolean(std::string_view key, bool fallback);
  // An integer or a number with a fraction; nullopt when absent.
  std::optional<double> number(std::string_view key);
  // "30s", "10 min", "12h", "30d", "50ms"; a whole number, at most 36500d.
  std::chrono::milliseconds duration(std::string_view key, std::chrono::milliseconds fallback);
  // "64 KiB", "2 GiB", "512 MB", "100 B"; a whole number, at most 1 EiB.
  std::uint64_t size(std::string_view key, std::uint64_t fallback);
  // A string or an array of strings.
  std::vector<std::string> strings(std::string_view key, std::vector<std::string> fallback);
  // A table inside this one; nullopt when absent.
  std::optional<Table> table(std::string_view key);
  // The tables of an array of tables; empty when absent.
  std::vector<Table> tables(std::string_view key);
  // The keys in the order of the file; asking for them reads none.
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] bool is_table(std::string_view key) const;
  [[nodiscard]] bool is_integer(std::string_view key) const;
  // A key that may stand here, and is read elsewhere or not at all.
  void know(std::string_view key);

  // A mistake of the caller's finding, at the line of this key (of the table, when
  // the key is absent) or of the table. The message names the key itself.
  void mistake(std::string_view key, std::string message);
  void mistake(std::string message);
  [[nodiscard]] int line() const;
  [[nodiscard]] int line_of(std::string_view key) const;  // of the table, when the key is absent

  // Reports the keys that nobody read. Last; a second call reports nothing new.
  void finish();

  // A table from text, for tests and for filters with their defaults. A text that
  // is no TOML is a mistake, and the table is then empty.
  static Table parse(std::string_view toml, Mistakes& mistakes);

 private:
  struct State;
  explicit Table(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace sluice::config
