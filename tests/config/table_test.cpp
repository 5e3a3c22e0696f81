#include "gateway/config/table.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Table, ReadsEveryKindOfValue) {
  Mistakes mistakes("f");
  Table table = Table::parse(R"(
    text = "a"
    number = 7
    truth = true
    wait = "10 min"
    most = "2 GiB"
    one = "x"
    many = ["x", "y"]
    mode = "offset"
    [inner]
    key = "inside"
    [[row]]
    n = 1
    [[row]]
    n = 2
  )",
                             mistakes);
  EXPECT_EQ(table.string("text", "b"), "a");
  EXPECT_EQ(table.required_string("text"), "a");
  EXPECT_EQ(table.integer("number", 0, 0, 10), 7);
  EXPECT_TRUE(table.boolean("truth", false));
  EXPECT_EQ(table.duration("wait", seconds(1)), seconds(600));
  EXPECT_EQ(table.size("most", 1), 2ULL << 30U);
  EXPECT_THAT(table.strings("one", {}), ElementsAre("x"));
  EXPECT_THAT(table.strings("many", {}), ElementsAre("x", "y"));
  EXPECT_EQ(table.choice("mode", "collision", {"collision", "offset"}), "offset");
  auto inner = table.table("inner");
  ASSERT_TRUE(inner);
  EXPECT_EQ(inner->string("key", ""), "inside");
  EXPECT_EQ(inner->line(), 10);
  inner->finish();
  auto rows = table.tables("row");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].integer("n", 0, 0, 10), 2);
  EXPECT_EQ(rows[1].line(), 14);
  table.finish();
  EXPECT_EQ(mistakes.text(), "");
}

TEST(Table, GivesDefaultsForAbsentKeys) {
  Mistakes mistakes("f");
  Table table = Table::parse("", mistakes);
  EXPECT_EQ(table.string("a", "b"), "b");
  EXPECT_EQ(table.integer("a", -3, 0, 10), -3);
  EXPECT_TRUE(table.boolean("a", true));
  EXPECT_EQ(table.duration("a", seconds(5)), seconds(5));
  EXPECT_EQ(table.size("a", 9), 9U);
  EXPECT_THAT(table.strings("a", {"x"}), ElementsAre("x"));
  EXPECT_EQ(table.choice("a", "one", {"one", "two"}), "one");
  EXPECT_FALSE(table.table("a"));
  EXPECT_THAT(table.tables("a"), IsEmpty());
  EXPECT_FALSE(table.has("a"));
  table.finish();
  EXPECT_TRUE(mistakes.empty());
}

TEST(Table, TellsAnUnknownKeyWithTheNearestKnownOne) {
  Mistakes mistakes("sluice.toml");
  Table table = Table::parse("\n\nprot = 1\ncolour = \"red\"\n", mistakes);
  (void)table.integer("port", 0, 0, 65535);
  (void)table.string("address", "");
  table.finish();
  EXPECT_EQ(mistakes.text(),
            "sluice.toml:3: unknown key 'prot'; did you mean 'port'?\n"
            "sluice.toml:4: unknown key 'colour'; known here: port, address\n");
}

TEST(Table, TellsUnknownKeysOnceAlthoughFinishedTwice) {
  Mistakes mistakes("f");
  Table table = Table::parse("a = 1", mistakes);
  Table copy = table;
  table.finish();
  copy.finish();
  EXPECT_EQ(mistakes.list().size(), 1U);
}

TEST(Table, CopiesShareWhatWasRead) {
  Mistakes mistakes("f");
  Table table = Table::parse("a = 1\nb = 2", mistakes);
  Table copy = table;
  (void)table.integer("a", 0, 0, 9);
  (void)copy.integer("b", 0, 0, 9);
  copy.finish();
  EXPECT_EQ(mistakes.text(), "");
}

TEST(Table, OutlivesTheOneItCameFrom) {
  Mistakes mistakes("f");
  std::optional<Table> inner;
  {
    Table outer = Table::parse("[a]\nb = \"c\"", mistakes);
    inner = outer.table("a");
  }
  ASSERT_TRUE(inner);
  EXPECT_EQ(inner->string("b", ""), "c");
}

TEST(Table, TellsWrongTypesByTheirNames) {
  Mistakes mistakes("f");
  Table table = Table::parse(R"(integer = "7"
string = 7
boolean = "yes"
duration = 30
size = 4096
strings = true
table = 1.5
tables = 2024-01-01
fraction = 1.0
elements = ["a",
  3]
rows = [1]
)",
                             mistakes);
  EXPECT_EQ(table.integer("integer", 1, 0, 10), 1);
  EXPECT_EQ(table.string("string", "x"), "x");
  EXPECT_FALSE(table.boolean("boolean", false));
  EXPECT_EQ(table.duration("duration", seconds(5)), seconds(5));
  EXPECT_EQ(table.size("size", 5), 5U);
  EXPECT_THAT(table.strings("strings", {"x"}), ElementsAre("x"));
  EXPECT_FALSE(table.table("table"));
  EXPECT_THAT(table.tables("tables"), IsEmpty());
  EXPECT_EQ(table.integer("fraction", 1, 0, 10), 1);
  EXPECT_THAT(table.strings("elements", {"x"}), ElementsAre("x"));
  EXPECT_THAT(table.tables("rows"), IsEmpty());
  table.finish();
  EXPECT_EQ(
      mistakes.text(),
      "f:1: integer must be an integer, not a string\n"
      "f:2: string must be a string, not an integer; write \"7\"\n"
      "f:3: boolean must be true or false, not a string\n"
      "f:4: duration must be a duration such as \"30s\", not an integer; units are ms, s, min, h, "
      "d\n"
      "f:5: size must be a size such as \"64 KiB\", not an integer; units are B, KB, MB, GB, TB, "
      "KiB, MiB, GiB, TiB\n"
      "f:6: strings must be a string or an array of strings, not a boolean; write \"true\"\n"
      "f:7: table must be a table, not a number with a fraction\n"
      "f:8: tables must be an array of tables, not a date or time\n"
      "f:9: fraction must be an integer, not a number with a fraction\n"
      "f:11: elements must hold strings, not an integer; write \"3\"\n"
      "f:12: rows must hold tables, not an integer\n");
}

TEST(Table, TellsWrongValues) {
  Mistakes mistakes("f");
  Table table = Table::parse(R"(port = 65536
base = -1
wait = "30"
most = "64 kb"
mode = "ofset"
other = "line\nfeed"
name = ""
)",
                             mistakes);
  EXPECT_EQ(table.integer("port", 1, 0, 65535), 1);
  EXPECT_EQ(table.integer("base", 5, 0, INT64_MAX), 5);
  EXPECT_EQ(table.duration("wait", seconds(5)), seconds(5));
  EXPECT_EQ(table.size("most", 5), 5U);
  EXPECT_EQ(table.choice("mode", "collision", {"collision", "offset"}), "collision");
  EXPECT_EQ(table.choice("other", "collision", {"collision", "offset"}), "collision");
  EXPECT_EQ(table.required_string("name"), "");
  EXPECT_EQ(table.required_string("type"), "");
  EXPECT_EQ(
      mistakes.text(),
      "f: type is missing\n"
      "f:1: port must be from 0 to 65535, not 65536\n"
      "f:2: base must be at least 0, not -1\n"
      "f:3: wait must be a whole number and a unit such as \"30s\", at most 36500d, not '30'; "
      "units are ms, s, min, h, d\n"
      "f:4: most must be a whole number and a unit such as \"64 KiB\", at most 1 EiB, not '64 "
      "kb'; units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB\n"
      "f:5: mode must be one of collision, offset, not 'ofset'; did you mean 'offset'?\n"
      "f:6: other must be one of collision, offset, not 'line\\nfeed'\n"
      "f:7: name must not be empty\n");
}

TEST(Table, TellsARequiredStringOfTheWrongTypeOnce) {
  Mistakes mistakes("f");
  Table table = Table::parse("name = 3", mistakes);
  EXPECT_EQ(table.required_string("name"), "");
  EXPECT_EQ(mistakes.text(), "f:1: name must be a string, not an integer; write \"3\"\n");
}

TEST(Table, SaysHowManyBracketsToWrite) {
  Mistakes mistakes("f");
  Table table = Table::parse("[listener]\nport = 1\n[[gateway]]\n", mistakes);
  EXPECT_THAT(table.tables("listener"), IsEmpty());
  EXPECT_FALSE(table.table("gateway"));
  table.finish();
  EXPECT_EQ(mistakes.text(),
            "f:1: listener must be an array of tables, not a table; write [[listener]]\n"
            "f:3: gateway must be a table, not an array of tables; write [gateway]\n");
}

TEST(Table, NamesKeysInTheOrderOfTheFileAndReadsNone) {
  Mistakes mistakes("f");
  Table table = Table::parse("zebra = 1\nant = 2\n\"(0008,0060)\" = 3\n", mistakes);
  EXPECT_THAT(table.keys(), ElementsAre("zebra", "ant", "(0008,0060)"));
  EXPECT_TRUE(table.has("ant"));
  table.finish();
  EXPECT_EQ(mistakes.list().size(), 3U);
}

TEST(Table, KeepsTheOrderOfKeysOnOneLine) {
  Mistakes mistakes("f");
  Table table = Table::parse("when = { z = \"1\", a = \"2\", m = \"3\" }", mistakes);
  EXPECT_THAT(table.table("when")->keys(), ElementsAre("z", "a", "m"));
}

TEST(Table, TellsASyntaxErrorWithItsLine) {
  Mistakes mistakes("f");
  Table table = Table::parse("a = 1\nb = \nc = 3\n", mistakes);
  ASSERT_EQ(mistakes.list().size(), 1U);
  EXPECT_EQ(mistakes.list().front().line, 2);
  EXPECT_FALSE(mistakes.list().front().message.empty());
  EXPECT_THAT(table.keys(), IsEmpty());
}

TEST(Table, EscapesControlCharactersOfKeys) {
  Mistakes mistakes("f");
  Table table = Table::parse("\"a\\nb\" = 1", mistakes);
  table.finish();
  EXPECT_EQ(mistakes.text(), "f:1: unknown key 'a\\nb'\n");
}

TEST(Mistakes, TellsWarningsBesideMistakesAndStaysValidWithThem) {
  Mistakes mistakes("f");
  mistakes.warn(7, "ends soon");
  EXPECT_TRUE(mistakes.empty());
  EXPECT_EQ(mistakes.text(), "f:7: warning: ends soon\n");
  mistakes.add(9, "is wrong");
  mistakes.warn(0, "of the file");
  EXPECT_FALSE(mistakes.empty());
  EXPECT_EQ(mistakes.text(), "f: warning: of the file\nf:7: warning: ends soon\nf:9: is wrong\n");
}

TEST(Table, PutsTheCallersMistakesAtTheKeyOrTheTable) {
  Mistakes mistakes("f");
  Table outer = Table::parse("\n[filter]\nbase = 3\n", mistakes);
  auto table = outer.table("filter");
  ASSERT_TRUE(table);
  table->mistake("base", "at the key");
  table->mistake("absent", "at the table");
  table->mistake("at the table, too");
  EXPECT_EQ(mistakes.text(), "f:2: at the table\nf:2: at the table, too\nf:3: at the key\n");
}

}  // namespace
}  // namespace sluice::config
