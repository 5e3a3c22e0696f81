// What a filter found outside, and what the ledger says of it later.
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "gateway/ledger/ledger.h"
#include "tests/support/failing_calls.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::microseconds;
using test::Call;
using test::FailingCall;
using testing::HasSubstr;

Time at(int time) {
  return Time(std::chrono::seconds(1'790'000'000) + microseconds(time));
}

class FoundValues : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    ledger_.reset();
    auto opened = open_ledger(path());
    if (!opened) throw std::runtime_error(opened.error().message);
    ledger_ = std::move(*opened);
  }
  [[nodiscard]] std::string path() const { return folder_.path("ledger.db"); }
  std::string ask(const std::string& found, int since, int as_of, const std::string& key = "k") {
    const auto value = ledger_->value_as_of("s", key, {found, at(since)}, at(as_of));
    if (!value) throw std::runtime_error(value.error().message);
    return *value;
  }
  void change_file(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::string rows() const {
    std::string text;
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    const auto add = [](void* to, int count, char** values, char**) {
      for (int i = 0; i < count; ++i) *static_cast<std::string*>(to) += values[i];
      *static_cast<std::string*>(to) += " ";
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db,
                           "SELECT scope, key, since - 1790000000000000, value FROM found_values "
                           "ORDER BY key, since",
                           add, &text, nullptr),
              SQLITE_OK);
    sqlite3_close(db);
    return text;
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(FoundValues, ARowIsWrittenOnlyWhenTheValueOfAKeyChanges) {
  for (int as_of = 11; as_of < 15; ++as_of) EXPECT_EQ(ask("a", 10, as_of), "a");
  EXPECT_EQ(ask("a", 20, 21), "a");
  EXPECT_EQ(ask("b", 30, 31), "b");
  EXPECT_EQ(ask("", 40, 41), "") << "missing is a value too";
  EXPECT_EQ(ask("a", 50, 51), "a");
  EXPECT_EQ(ask("x", 10, 11, "other"), "x");
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(rows(), "sk10a sk30b sk40 sk50a sother10x ");
}

TEST_F(FoundValues, AnEarlierInstanceHasWhatWasRememberedThen) {
  EXPECT_EQ(ask("a", 10, 11), "a");
  EXPECT_EQ(ask("b", 30, 31), "b");
  EXPECT_EQ(ask("c", 50, 51), "c");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(ask("d", 70, 11), "a");
    EXPECT_EQ(ask("d", 70, 30), "a") << "counts from behind its time on";
    EXPECT_EQ(ask("d", 70, 31), "b");
    EXPECT_EQ(ask("d", 70, 51), "c");
    EXPECT_EQ(ask("d", 70, 70), "c");
    EXPECT_EQ(ask("d", 70, 5), "a") << "before all that is known: the first";
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
  EXPECT_EQ(rows(), "sk10a sk30b sk50c ") << "looking back writes nothing";
  EXPECT_EQ(ask("d", 70, 71), "d");
}

TEST_F(FoundValues, AnEarlierInstanceWithoutARowMakesTheFirst) {
  EXPECT_EQ(ask("a", 10, 5), "a");
  EXPECT_EQ(ask("b", 20, 5), "a");
  EXPECT_EQ(ask("b", 20, 21), "b");
  EXPECT_EQ(ask("b", 20, 5), "a");
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(ask("c", 30, 5), "a");
  EXPECT_EQ(ask("c", 30, 15), "a");
}

TEST_F(FoundValues, ScopesAndKeysOfAnyBytesStayApart) {
  const std::string with_nul("k\0k", 3);
  EXPECT_EQ(ask("a", 10, 11, with_nul), "a");
  EXPECT_EQ(ask("b", 10, 11, "k"), "b");
  EXPECT_EQ(*ledger_->value_as_of("other", "k", {"c", at(10)}, at(11)), "c");
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(ask("z", 20, 15, with_nul), "a");
  EXPECT_EQ(ask("z", 20, 15, "k"), "b");
  EXPECT_EQ(*ledger_->value_as_of("other", "k", {"z", at(20)}, at(15)), "c");
}

TEST_F(FoundValues, TheLatestTimeIsKnownAfterARestart) {
  EXPECT_EQ(ledger_->latest_value_at_opening(), Time());
  EXPECT_EQ(ask("a", 10, 11), "a");
  EXPECT_EQ(ask("a", 30, 31, "other"), "a");
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(ledger_->latest_value_at_opening(), Time());
  reopen();
  EXPECT_EQ(ledger_->latest_value_at_opening(), at(30));
}

// No caller does that; it must not fault the ledger either.
TEST_F(FoundValues, AnotherValueOfTheSameTimeStandsBehindTheFirst) {
  EXPECT_EQ(ask("a", 10, 11), "a");
  EXPECT_EQ(ask("b", 10, 12), "b");
  EXPECT_EQ(ask("c", 5, 12), "c");
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(rows(), "sk10a sk11b sk12c ");
}

TEST_F(FoundValues, ThreadsThatAskForOneKeyAgree) {
  std::vector<std::string> found(8);
  std::vector<std::thread> threads;
  threads.reserve(found.size());
  for (auto& mine : found) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) mine = ask("a", 10, 11 + i, std::to_string(i));
      EXPECT_TRUE(ledger_->commit());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(found, testing::Each("a"));
}

TEST_F(FoundValues, WhatAFullDiskTookBackIsToldAndAskedForAnew) {
  EXPECT_EQ(ask("a", 10, 11), "a");
  ASSERT_TRUE(ledger_->commit());
  std::atomic<bool> seen = false;
  std::atomic<bool> failed = false;
  Result<void> committed_by_witness;
  {
    const FailingCall failing(Call::write, ENOSPC, 1, true);
    EXPECT_EQ(ask("b", 20, 21), "b");
    std::thread witness([&] {
      EXPECT_EQ(ask("c", 30, 25), "b") << "though it is not durable";
      seen = true;
      while (!failed) std::this_thread::yield();
      committed_by_witness = ledger_->commit();
    });
    while (!seen) std::this_thread::yield();
    EXPECT_FALSE(ledger_->commit());
    failed = true;
    witness.join();
  }
  EXPECT_FALSE(committed_by_witness);
  EXPECT_EQ(ask("c", 30, 25), "a");
  EXPECT_EQ(ask("c", 30, 31), "c");
  EXPECT_TRUE(ledger_->commit());
  EXPECT_EQ(rows(), "sk10a sk30c ");
}

TEST_F(FoundValues, WhatIsDurableIsAnsweredWhenTheLedgerHasFailed) {
  EXPECT_EQ(ask("a", 10, 11), "a");
  ASSERT_TRUE(ledger_->commit());
  {
    const FailingCall failing(Call::fdatasync, EIO, 1, true);
    EXPECT_EQ(ask("b", 20, 21), "b");
    EXPECT_FALSE(ledger_->commit());
  }
  EXPECT_EQ(ask("b", 20, 15), "a") << "deliveries go on";
  EXPECT_EQ(ask("a", 20, 21), "a");
  EXPECT_FALSE(ledger_->value_as_of("s", "k", {"b", at(20)}, at(21))) << "receiving does not";
  EXPECT_TRUE(ledger_->commit());
}

TEST_F(FoundValues, ARowThatChangedDecidesNothing) {
  for (const char* change :
       {"UPDATE found_values SET value = 'x'", "UPDATE found_values SET since = since + 1"}) {
    EXPECT_EQ(ask("a", 10, 11), "a");
    ASSERT_TRUE(ledger_->commit());
    ledger_.reset();
    const std::atomic<bool> stop = false;
    ASSERT_TRUE(check_ledger(path(), stop));
    change_file(change);
    const auto checked = check_ledger(path(), stop);
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, HasSubstr("found_values: a row changed on disk"));
    reopen();
    for (const int as_of : {15, 25}) {
      const auto value = ledger_->value_as_of("s", "k", {"b", at(20)}, at(as_of));
      ASSERT_FALSE(value);
      EXPECT_EQ(value.error().code, ErrorCode::transient) << "the sender is to try again";
    }
    ledger_.reset();
    change_file("DELETE FROM found_values");
    reopen();
  }
}

TEST_F(FoundValues, APreviewForgetsThem) {
  EXPECT_EQ(ask("a", 10, 11), "a");
  ASSERT_TRUE(ledger_->commit());
  {
    const auto preview = preview_ledger(path());
    ASSERT_TRUE(preview) << preview.error().message;
    EXPECT_EQ((*preview)->latest_value_at_opening(), at(10));
    EXPECT_EQ(*(*preview)->value_as_of("s", "k", {"b", at(20)}, at(15)), "a");
    EXPECT_EQ(*(*preview)->value_as_of("s", "k", {"b", at(20)}, at(21)), "b");
    EXPECT_TRUE((*preview)->commit());
  }
  EXPECT_EQ(rows(), "sk10a ");
}

}  // namespace
}  // namespace sluice
