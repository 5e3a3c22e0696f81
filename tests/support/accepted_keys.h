// Which keys the code accepts in a table of the configuration file, and of what kind each is:
// found out by keys and values that are wrong, since the code tells then what would be right.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/table.h"

namespace sluice::test {

// Reads TOML as the program would, and notes the mistakes.
using TomlReader = std::function<void(const std::string& text, config::Mistakes& mistakes)>;

inline void read_configuration(const std::string& text, config::Mistakes& mistakes) {
  static_cast<void>(config::parse(text, mistakes));
}

// In the table that the text ends in, "" being the file itself; none when it is no table, or
// one that takes any key.
inline std::vector<std::string> accepted_keys(const std::string& table,
                                              const TomlReader& read = read_configuration) {
  constexpr const char* kUnlike = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
  config::Mistakes mistakes("f");
  read(table + "\n" + kUnlike + " = 1\n", mistakes);
  const std::string start = "unknown key '" + std::string(kUnlike) + "'; known here: ";
  for (const config::Mistake& mistake : mistakes.list()) {
    if (!mistake.message.starts_with(start)) continue;
    std::vector<std::string> keys;
    std::istringstream list(mistake.message.substr(start.size()));
    for (std::string key; std::getline(list >> std::ws, key, ',');) keys.push_back(key);
    return keys;
  }
  return {};
}

// "string", "duration" and so on; "" where the code does not say, since the key is read only
// beside others.
inline std::string accepted_kind(const std::string& table, const std::string& key,
                                 const TomlReader& read = read_configuration) {
  static const std::vector<std::pair<std::string_view, std::string_view>> known_kinds{
      {"a string or an array of strings", "list of strings"},
      {"a string", "string"},
      {"an integer", "integer"},
      {"true or false", "boolean"},
      {"a duration", "duration"},
      {"a size", "size"},
      {"a table", "table"},
      {"an array of tables", "list of tables"},
      {"a number", "number"}};
  config::Mistakes mistakes("f");
  read(table + "\n" + key + " = 1979-05-27\n", mistakes);
  const std::string start = key + " must be ";
  for (const config::Mistake& mistake : mistakes.list()) {
    if (!mistake.message.starts_with(start)) continue;
    const std::string wanted = mistake.message.substr(start.size());
    const auto kind = std::ranges::find_if(
        known_kinds, [&](const auto& each) { return wanted.starts_with(each.first); });
    if (kind != known_kinds.end()) return std::string(kind->second);
  }
  return "";
}

// Keys and their kinds, by "[gateway]", "[[listener]]", "[listener.tls]".
using AcceptedTables = std::map<std::string, std::map<std::string, std::string>>;

// All tables inside the one that `above` ends in, and inside these. `path` is what stands before
// their names in the text, `shown` in what they are called.
inline void add_accepted_tables(AcceptedTables& all, const std::string& above,
                                const std::string& path, const std::string& shown,
                                const TomlReader& read) {
  for (const std::string& name : accepted_keys(above, read)) {
    for (const bool is_list : {false, true}) {
      const std::string open = is_list ? "[[" : "[";
      const std::string close = is_list ? "]]" : "]";
      std::string table = above;
      table.append("\n").append(open).append(path).append(name).append(close);
      const auto keys = accepted_keys(table, read);
      if (keys.empty()) continue;
      std::map<std::string, std::string>& kinds =
          all[std::string(open).append(shown).append(name).append(close)];
      for (const std::string& key : keys) kinds[key] = accepted_kind(table, key, read);
      std::string inside = name;
      inside += '.';
      add_accepted_tables(all, table, path + inside, shown + inside, read);
    }
  }
}

}  // namespace sluice::test
