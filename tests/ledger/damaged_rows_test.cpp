// A bit that changes in the ledger's file: no other number, study or UID comes of it.
#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "gateway/ledger/ledger.h"
#include "gateway/ledger/ledger_rows.h"
#include "tests/support/bit_flips.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Time kLater = std::chrono::system_clock::now() + std::chrono::hours(1);

class DamagedLedger : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.path("ledger.db"); }
  void change_file(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::unique_ptr<Ledger> open() {
    auto ledger =
        open_ledger(path(), [this](const std::string& reason) { faults_.push_back(reason); });
    if (!ledger) throw std::runtime_error(ledger.error().message);
    return std::move(*ledger);
  }

  test::TemporaryFolder folder_;
  const std::atomic<bool> stop_ = false;
  std::vector<std::string> faults_;
};

SeriesNumberRequest numbered(int series) {
  return {"renumber", "1.2", "1.2." + std::to_string(series), 3, 10'000};
}
InstanceNumberRequest numbered_in_series(int instance) {
  return {"number", "1.3", "1.3." + std::to_string(instance), 3, 10'000};
}
MergedStudy study_of(int number) {
  return {"1.5." + std::to_string(number), {{"StudyID", "S" + std::to_string(number)}}};
}

void fill(Ledger& ledger, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string text = std::to_string(i);
    ASSERT_TRUE(ledger.series_number(numbered(i)));
    ASSERT_TRUE(ledger.instance_number(numbered_in_series(i)));
    ASSERT_TRUE(ledger.merged_study("merge", "key" + text, "1.4." + text, study_of(i)));
    ASSERT_TRUE(ledger.record_uid("uids", "1.02." + text, "1.2." + text, "leading zero"));
  }
  ASSERT_TRUE(ledger.commit());
}

TEST_F(DamagedLedger, DecidesNothingByARowThatChanged) {
  for (const char* change :
       {"UPDATE series_numbers SET number = 7", "UPDATE instance_numbers SET number = 7",
        "UPDATE merged_studies SET study = '1.5.9'", "UPDATE merged_attributes SET value = 'T0'",
        "UPDATE uid_replacements SET recorded_at = 1",
        "UPDATE uid_replacements SET after = '9' WHERE scope = 'uids'"}) {
    SCOPED_TRACE(change);
    std::filesystem::remove(path());
    faults_.clear();
    fill(*open(), 1);
    ASSERT_TRUE(check_ledger(path(), stop_));
    change_file(change);
    const auto found = check_ledger(path(), stop_);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::corrupt);
    EXPECT_THAT(found.error().message, HasSubstr("changed on disk"));
    const auto ledger = open();
    const auto number = ledger->series_number(numbered(0));
    const auto instance = ledger->instance_number(numbered_in_series(0));
    const auto study = ledger->merged_study("merge", "key0", "1.5.0", study_of(0));
    const auto uid = ledger->replacement("uids", "1.02.0", kLater);
    EXPECT_EQ(1, (number ? 0 : 1) + (instance ? 0 : 1) + (study ? 0 : 1) + (uid ? 0 : 1));
    for (const Error& error : {number ? Error{ErrorCode::transient, ""} : number.error(),
                               instance ? Error{ErrorCode::transient, ""} : instance.error(),
                               study ? Error{ErrorCode::transient, ""} : study.error(),
                               uid ? Error{ErrorCode::transient, ""} : uid.error()}) {
      EXPECT_EQ(error.code, ErrorCode::transient) << "the sender is to try again";
    }
    EXPECT_THAT(faults_, Not(IsEmpty()));
  }
}

TEST_F(DamagedLedger, RestoresNoUidByARowThatChanged) {
  fill(*open(), 1);
  change_file("UPDATE uid_replacements SET before = '1.02.7' WHERE scope = 'uids'");
  for (const bool restores : {true, false}) {
    faults_.clear();
    const auto ledger = open();
    if (restores) {
      const auto found = ledger->originals("uids", "1.2.0", kLater);
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().code, ErrorCode::transient) << "the sender is to try again";
    } else {
      const auto found = ledger->replaces_uid("uids", "1.2.0", "2.25.1", "remapped");
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().code, ErrorCode::transient);
    }
    EXPECT_THAT(faults_, Not(IsEmpty()));
  }
}

// What it says, by question; an error where it tells one.
using Answers = std::map<std::string, std::optional<std::string>>;

std::string told_of(const std::optional<MergedStudy>& study) {
  if (!study) return "none";
  std::string told = study->study_instance_uid;
  for (const auto& [name, value] : study->attributes) {
    told.append(" ").append(name).append("=").append(value);
  }
  return told;
}

Answers answers_of(const std::string& path, int count) {
  Answers answers;
  auto db = sqlite::Connection::open(path, rows::kLedgerFormat);
  for (int i = 0; i < count; ++i) {
    const std::string text = std::to_string(i);
    for (const char* of : {"number", "instance", "study", "uid"}) answers[of + text] = std::nullopt;
    if (!db) continue;
    if (const auto number = rows::find_number(**db, numbered(i))) {
      answers["number" + text] = *number ? std::to_string(**number) : "none";
    }
    if (const auto instance = rows::find_number(**db, numbered_in_series(i))) {
      answers["instance" + text] = *instance ? std::to_string(**instance) : "none";
    }
    if (const auto study = rows::find_study(**db, "merge", "key" + text)) {
      answers["study" + text] = told_of(*study);
    }
    if (const auto uid = rows::find_first_replacement(**db, "uids", "1.02." + text)) {
      answers["uid" + text] =
          *uid ? (*uid)->after + " " + std::to_string((*uid)->recorded_at) : "none";
    }
  }
  return answers;
}

TEST_F(DamagedLedger, OfAnySingleBitGivesNoOtherAnswer) {
  constexpr std::size_t kStep = 463;  // bits
  constexpr int kRows = 30;
  fill(*open(), kRows);
  const std::string whole = test::read_file(path());
  const Answers sound = answers_of(path(), kRows);
  ASSERT_EQ(sound.at("study1"), "1.5.1 StudyID=S1");
  ASSERT_EQ(sound.at("number1"), "10000");
  ASSERT_EQ(sound.at("instance1"), "10000");
  const std::string flipped = folder_.path("flipped.db");
  int found_by_check = 0;
  int harmless = 0;
  test::for_each_flip(flipped, whole, kStep, [&](std::size_t bit) {
    const bool is_found = !check_ledger(flipped, stop_);
    bool is_told = is_found;
    bool is_same = true;
    for (const auto& [question, answer] : answers_of(flipped, kRows)) {
      if (!answer) is_told = true;
      if (!answer || answer == sound.at(question)) continue;
      is_same = false;
      // What cannot be found looks like what never was: that is for the check to tell.
      EXPECT_TRUE(is_found && (*answer == "none" || question.starts_with("study")))
          << "bit " << bit << ": " << question << " is " << *answer;
    }
    EXPECT_TRUE(is_told || is_same) << "bit " << bit << ": lost in silence";
    found_by_check += is_found ? 1 : 0;
    harmless += !is_told ? 1 : 0;
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(flipped + end);
  });
  EXPECT_GT(found_by_check, 50);
  EXPECT_GT(harmless, 0);
}

TEST_F(DamagedLedger, TakesOverAFileOfVersion1) {
  change_file(R"(
CREATE TABLE series_numbers(scope TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL,
  number INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
  PRIMARY KEY (scope, study, series)) WITHOUT ROWID;
CREATE UNIQUE INDEX series_numbers_by_number ON series_numbers(scope, study, number);
CREATE TABLE merged_studies(scope TEXT NOT NULL, key TEXT NOT NULL, study TEXT NOT NULL,
  recorded_at INTEGER NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE merged_attributes(scope TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (scope, key, name),
  FOREIGN KEY (scope, key) REFERENCES merged_studies(scope, key)) WITHOUT ROWID;
CREATE TABLE uid_replacements(before TEXT NOT NULL, scope TEXT NOT NULL, after TEXT NOT NULL,
  reason TEXT NOT NULL, recorded_at INTEGER NOT NULL,
  PRIMARY KEY (before, scope, after)) WITHOUT ROWID;
CREATE INDEX uid_replacements_by_after ON uid_replacements(after);
INSERT INTO series_numbers VALUES ('renumber', '1.2', '1.2.0', 77, 1700000000000000);
INSERT INTO merged_studies VALUES ('merge', 'key0', '1.5.0', 1700000000000000);
INSERT INTO merged_attributes VALUES ('merge', 'key0', 'StudyID', 'S0');
INSERT INTO uid_replacements VALUES ('1.02.0', 'uids', '1.2.0', 'leading zero', 1700000000000000);
PRAGMA application_id = 0x534C4C45;
PRAGMA user_version = 1)");
  const auto ledger = open();
  EXPECT_EQ(*ledger->series_number(numbered(0)), 77);
  EXPECT_EQ(ledger->merged_study("merge", "key0", "1.5.0", study_of(9))->study_instance_uid,
            "1.5.0");
  EXPECT_EQ(*ledger->replacement("uids", "1.02.0", kLater), "1.2.0");
  EXPECT_TRUE(check_ledger(path(), stop_));
  EXPECT_THAT(faults_, IsEmpty());
}

TEST_F(DamagedLedger, TakesOverAFileOfVersion2) {
  fill(*open(), 2);
  change_file(
      "DROP TABLE found_values; DROP TABLE instance_numbers; DROP TABLE series_identities; "
      "DROP TABLE series_suspects; DROP TABLE series_counts; PRAGMA user_version = 2");
  const auto ledger = open();
  EXPECT_EQ(*ledger->series_number(numbered(1)), 10'000);
  EXPECT_EQ(ledger->merged_study("merge", "key1", "1.5.1", study_of(9))->study_instance_uid,
            "1.5.1");
  EXPECT_EQ(*ledger->replacement("uids", "1.02.1", kLater), "1.2.1");
  EXPECT_EQ(*ledger->value_as_of("lookup", "key", {"value", kLater}, kLater), "value");
  EXPECT_TRUE(ledger->commit());
  EXPECT_TRUE(check_ledger(path(), stop_));
  EXPECT_THAT(faults_, IsEmpty());
}

}  // namespace
}  // namespace sluice
