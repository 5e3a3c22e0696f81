// docs/configuration.md tells of every key that the code accepts, of none that it does not,
// of what kind each is, and the default that stands in conf/sluice.toml.
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "filters/filters.h"
#include "gateway/pipeline/pipeline.h"
#include "tests/support/filter_options.h"
#include "tests/support/fixtures.h"

namespace sluice {
namespace {

const std::string kReference = SLUICE_CONF_FOLDER "/../docs/configuration.md";
const std::string kShown = SLUICE_CONF_FOLDER "/sluice.toml";

struct ReferenceRow {
  std::string kind;
  std::string range;
  std::string fallback;
  std::string effect;
  std::string since;
};
using ReferenceTable = std::map<std::string, ReferenceRow>;  // by key

std::string without_backticks(std::string text) {
  std::erase(text, '`');
  return text;
}

// The cells of a line "| a | b |".
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream rest(line.substr(1));
  for (std::string cell; std::getline(rest, cell, '|');) {
    const std::size_t begin = cell.find_first_not_of(' ');
    if (begin == std::string::npos) cell.clear();
    if (!cell.empty()) cell = cell.substr(begin, cell.find_last_not_of(' ') - begin + 1);
    cells.push_back(cell);
  }
  return cells;
}

// The tables of docs/configuration.md, by what stands in backticks in the heading above: a
// heading may name several.
std::map<std::string, ReferenceTable> read_reference() {
  std::map<std::string, ReferenceTable> tables;
  std::vector<std::string> headings;
  std::istringstream lines(test::read_file(kReference));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("##")) {
      headings.clear();
      static const std::regex code("`([^`]+)`");
      for (std::sregex_iterator one(line.begin(), line.end(), code), end; one != end; ++one) {
        headings.push_back((*one)[1]);
      }
    }
    if (!line.starts_with("| `") || headings.empty()) continue;
    const auto cells = cells_of(line);
    if (cells.size() != 6) {
      ADD_FAILURE() << "docs/configuration.md has a row without six cells: " << line;
      continue;
    }
    for (const std::string& heading : headings) {
      const bool is_new =
          tables[heading]
              .emplace(without_backticks(cells[0]),
                       ReferenceRow{cells[1], cells[2], cells[3], cells[4], cells[5]})
              .second;
      EXPECT_TRUE(is_new) << heading << " has two rows for " << cells[0];
    }
  }
  return tables;
}

// What conf/sluice.toml shows of a key.
struct ShownKey {
  std::string value;
  std::string comment;  // the lines above it
  bool is_active = false;
};

// The default as it stands there: what the comment above says, else the value.
std::string default_of(const ShownKey& key) {
  if (key.comment.find("Required.") != std::string::npos) return "required";
  static const std::regex behind_default("Default: (.*?)(\\. |\\.$|; )");
  std::smatch found;
  return std::regex_search(key.comment, found, behind_default) ? found[1].str() : key.value;
}

// The keys of conf/sluice.toml by table, such as [gateway]; those of a filter below its type,
// such as type = "drop". A table in comments ends with them.
class ShownKeys {
 public:
  ShownKeys() {
    std::istringstream lines(test::read_file(kShown));
    for (std::string line; std::getline(lines, line);) take(line);
  }
  const ShownKey* find(const std::string& table, const std::string& key) const {
    const auto place = keys_.find({table, key});
    return place == keys_.end() ? nullptr : &place->second;
  }

 private:
  void take(const std::string& line) {
    static const std::regex table_line("(?:# )?(\\[\\[?[a-z_.]+\\]\\]?)");
    static const std::regex entry_line("(?:# )?([a-z_]+) = (.*?)(?: +# (.*))?");
    const bool is_comment = line.starts_with("#");
    std::smatch found;
    if (std::regex_match(line, found, table_line)) {
      (is_comment ? table_in_comments_ : table_) = found[1];
      if (!is_comment) table_in_comments_.clear();
      comment_.clear();
      return;
    }
    if (!is_comment) table_in_comments_.clear();
    std::string& table = table_in_comments_.empty() ? table_ : table_in_comments_;
    if (std::regex_match(line, found, entry_line)) {
      ends_comment_ = true;
      if (found[1] == "type") {
        table = line.substr(is_comment ? 2 : 0);
        return;
      }
      const std::string beside = found[3].matched ? found[3].str() : "";
      const ShownKey key{found[2], comment_ + beside, !is_comment};
      const auto [place, is_new] = keys_.try_emplace({table, found[1]}, key);
      if (!is_new && key.is_active && !place->second.is_active) place->second = key;
      return;
    }
    if (!is_comment || ends_comment_) comment_.clear();
    ends_comment_ = false;
    if (is_comment && line.size() > 2) comment_ += line.substr(2) + " ";
  }

  std::map<std::pair<std::string, std::string>, ShownKey> keys_;
  std::string table_;
  std::string table_in_comments_;
  std::string comment_;
  bool ends_comment_ = false;
};

// All that the code accepts, by the heading in docs/configuration.md.
test::AcceptedTables accepted_by_code() {
  const test::TomlReader whole = [](const std::string& text, config::Mistakes& mistakes) {
    const config::Config config = config::parse(text, mistakes);
    static_cast<void>(Pipeline::build(config, filter_types(), "key", mistakes));
  };
  test::AcceptedTables all;
  test::add_accepted_tables(all, "", "", "", whole);
  for (const FilterType& type : filter_types()) {
    const std::string name(type.type);
    const test::TomlReader options = test::options_reader(type);
    std::map<std::string, std::string>& kinds = all["type = \"" + name + "\""];
    for (const std::string& key : test::accepted_keys("", options)) {
      kinds[key] = test::accepted_kind("", key, options);
    }
    test::add_accepted_tables(all, "", "", "filter.", options);
    // What every filter has is what remains.
    for (const auto& key : test::accepted_keys("[[filter]]\ntype = \"" + name + "\"", whole)) {
      if (kinds.contains(key)) continue;
      all["[[filter]]"][key] = test::accepted_kind("[[filter]]", key, whole);
    }
  }
  return all;
}

std::string advice(const std::string& heading, const std::string& key, const std::string& kind) {
  return "docs/configuration.md: the code accepts the key '" + key + "' in " + heading +
         ", and nothing is said of it. Below the heading with `" + heading +
         "` (a new one where there is none, in the order of conf/sluice.toml) add\n  | `" + key +
         "` | " + (kind.empty() ? "KIND" : kind) +
         " | RANGE OR UNIT | `DEFAULT` or required or words | EFFECT, A LINE | VERSION |\n"
         "where DEFAULT is what stands in conf/sluice.toml: the value, or what its comment says "
         "behind \"Default:\"";
}

class ConfigurationReference : public testing::Test {
 protected:
  const std::map<std::string, ReferenceTable> told_ = read_reference();
  const test::AcceptedTables accepted_ = accepted_by_code();
};

TEST_F(ConfigurationReference, LooksAtTheTablesThatThereAre) {
  for (const char* heading :
       {"[gateway]", "[[listener]]", "[[listener.peer]]", "[listener.tls]", "[[filter]]",
        "type = \"lookup\"", "[[filter.rule]]", "[[destination]]", "[destination.tls]", "[[route]]",
        "[audit]", "[[audit.destination]]", "[audit.destination.tls]", "[metrics]"}) {
    EXPECT_TRUE(accepted_.contains(heading)) << heading;
  }
  EXPECT_EQ(accepted_.at("[gateway]").at("history"), "duration");
  EXPECT_EQ(accepted_.at("[[listener]]").at("allow"), "list of strings");
  EXPECT_EQ(accepted_.at("type = \"reject\"").at("status"), "integer");
}

TEST_F(ConfigurationReference, TellsOfEveryKeyOfTheCode) {
  for (const auto& [heading, kinds] : accepted_) {
    const auto table = told_.find(heading);
    for (const auto& [key, kind] : kinds) {
      const bool is_told = table != told_.end() && table->second.contains(key);
      EXPECT_TRUE(is_told) << advice(heading, key, kind);
    }
  }
}

TEST_F(ConfigurationReference, TellsOfNoKeyThatTheCodeDoesNotAccept) {
  for (const auto& [heading, rows] : told_) {
    const auto table = accepted_.find(heading);
    ASSERT_NE(table, accepted_.end())
        << "docs/configuration.md has a table " << heading
        << " that the code does not know; correct its heading, or take it out";
    for (const auto& [key, row] : rows) {
      EXPECT_TRUE(table->second.contains(key))
          << "docs/configuration.md has a row for '" << key << "' in " << heading
          << ", which the code does not accept; correct the key, or take the row out";
    }
  }
}

TEST_F(ConfigurationReference, TellsTheKindOfEachKeyAndFillsEveryCell) {
  for (const auto& [heading, rows] : told_) {
    for (const auto& [key, row] : rows) {
      std::string where = "docs/configuration.md, ";
      where.append(heading).append(", '").append(key).append("': ");
      EXPECT_NE(row.kind, "") << where << "no type";
      EXPECT_NE(row.fallback, "") << where << "no default; where there is none say so";
      EXPECT_NE(row.effect, "") << where << "no effect";
      EXPECT_TRUE(std::regex_match(row.since, std::regex("[0-9]+\\.[0-9]+")))
          << where << "since which version?";
      const auto table = accepted_.find(heading);
      if (table == accepted_.end() || !table->second.contains(key)) continue;  // told above
      const std::string& kind = table->second.at(key);
      EXPECT_TRUE(row.kind.starts_with(kind))
          << where << "the type must begin with '" << kind << "', it is '" << row.kind << "'";
    }
  }
}

TEST_F(ConfigurationReference, TellsTheDefaultsThatStandInTheShippedFile) {
  const ShownKeys shown;
  int compared = 0;
  for (const auto& [heading, rows] : told_) {
    if (heading == "[[filter]]") continue;  // each shows its own
    for (const auto& [key, row] : rows) {
      const ShownKey* const found = shown.find(heading, key);
      if (found == nullptr) continue;
      ++compared;
      EXPECT_EQ(without_backticks(row.fallback), without_backticks(default_of(*found)))
          << "docs/configuration.md, " << heading << ", '" << key
          << "': the default there must be what conf/sluice.toml has as its value, or behind "
             "\"Default:\" in the comment above it, or 'required' where that says \"Required.\"";
    }
  }
  EXPECT_GE(compared, 120);
}

}  // namespace
}  // namespace sluice
