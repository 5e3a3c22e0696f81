#include "gateway/base/sqlite.h"

#include <array>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/failing_calls.h"
#include "tests/support/temporary_folder.h"

namespace sluice::sqlite {
namespace {

using testing::HasSubstr;

constexpr std::int32_t kId = 0x54455354;
constexpr std::string_view kSchema = "CREATE TABLE notes(text TEXT NOT NULL)";
constexpr std::array<std::string_view, 2> kSteps = {
    "ALTER TABLE notes ADD COLUMN author TEXT NOT NULL DEFAULT 'nobody'",
    "CREATE TABLE marks(note INTEGER); INSERT INTO marks SELECT rowid FROM notes"};

Format version(std::size_t number) {
  return {kId, kSchema, std::span(kSteps).first(number - 1)};
}

class SqliteFormat : public testing::Test {
 protected:
  std::unique_ptr<Connection> open(const Format& format) const {
    auto opened = Connection::open(path_, format);
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(*opened);
  }
  static std::string read(Connection& db, std::string_view sql) {
    auto statement = db.prepare(sql);
    if (!statement) return statement.error().message;
    const auto row = statement->step();
    return row && *row ? statement->text(0) : "nothing";
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.path("test.db");
};

TEST_F(SqliteFormat, BringsAnOldFileToTheNewVersionWithItsRows) {
  ASSERT_TRUE(open(version(1))->run("INSERT INTO notes VALUES ('kept')"));
  const auto db = open(version(3));
  EXPECT_EQ(read(*db, "PRAGMA user_version"), "3");
  EXPECT_EQ(read(*db, "SELECT text || ' by ' || author FROM notes"), "kept by nobody");
  EXPECT_EQ(read(*db, "SELECT note FROM marks"), "1");
}

TEST_F(SqliteFormat, GoesOnFromTheVersionThatTheFileHas) {
  ASSERT_TRUE(open(version(2))->run("INSERT INTO notes VALUES ('kept', 'her')"));
  const auto db = open(version(3));
  EXPECT_EQ(read(*db, "SELECT author FROM notes"), "her");
  EXPECT_EQ(read(*db, "SELECT count(*) FROM marks"), "1");
}

TEST_F(SqliteFormat, GivesANewFileTheTablesThatAnOldOneGets) {
  const std::string all = "SELECT group_concat(name || ':' || sql, '; ') FROM sqlite_master";
  static_cast<void>(open(version(1)));
  const std::string brought = read(*open(version(3)), all);
  path_ = folder_.path("new.db");
  EXPECT_EQ(read(*open(version(3)), all), brought);
  EXPECT_THAT(brought, HasSubstr("author"));
}

TEST_F(SqliteFormat, LeavesTheFileAsItWasWhenAStepFails) {
  ASSERT_TRUE(open(version(1))->run("INSERT INTO notes VALUES ('kept')"));
  const std::array<std::string_view, 2> broken = {kSteps[0], "CREATE TABLE notes(again TEXT)"};
  EXPECT_FALSE(Connection::open(path_, {kId, kSchema, broken}));
  const auto db = open(version(1));
  EXPECT_EQ(read(*db, "PRAGMA user_version"), "1");
  EXPECT_EQ(read(*db, "SELECT text FROM notes"), "kept");
}

TEST_F(SqliteFormat, RefusesAFileOfANewerVersion) {
  static_cast<void>(open(version(3)));
  const auto refused = Connection::open(path_, version(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::configuration);
  EXPECT_THAT(refused.error().message, HasSubstr("has format 3, this program knows 2"));
}

TEST_F(SqliteFormat, BringsACopyInMemoryAndNotTheFile) {
  ASSERT_TRUE(open(version(1))->run("INSERT INTO notes VALUES ('kept')"));
  const auto copy = Connection::copy_to_memory(path_, version(3));
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(read(**copy, "SELECT author FROM notes"), "nobody");
  EXPECT_EQ(read(*open(version(1)), "PRAGMA user_version"), "1");
}

// Four megabytes at once, and nobody asks for a sync.
constexpr std::string_view kLargeChange =
    "PRAGMA synchronous = OFF; BEGIN;"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
    "INSERT INTO notes SELECT hex(zeroblob(2000)) FROM n; COMMIT";

TEST_F(SqliteFormat, SyncsLargeChangesInPieces) {
  constexpr int kNever = 1'000'000;
  const auto db = open(version(1));
  const test::FailingCall counting(test::Call::fdatasync, EIO, kNever, false, "test.db-wal");
  ASSERT_TRUE(db->run_script(kLargeChange));
  EXPECT_GE(kNever - test::failure_plan().countdown, 10) << "in pieces of 256 KiB";
}

TEST_F(SqliteFormat, TellsOfAPieceThatWasNotSynced) {
  const auto db = open(version(1));
  {
    const test::FailingCall failing(test::Call::fdatasync, EIO, 1, false, "test.db-wal");
    EXPECT_FALSE(db->run_script(kLargeChange));
    EXPECT_TRUE(failing.fired());
    EXPECT_EQ(db->last_failure(), Failure::other);
  }
  db->roll_back();
  EXPECT_EQ(read(*db, "SELECT count(*) FROM notes"), "0");
}

}  // namespace
}  // namespace sluice::sqlite
