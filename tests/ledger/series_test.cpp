// What the ledger knows of a series: what its first instance had, what differs, how many came.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/ledger/ledger.h"
#include "gateway/ledger/ledger_rows.h"
#include "gateway/ledger/series_count.h"
#include "tests/support/failing_calls.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::microseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const SeriesAttributes kCt = {{"Modality", "CT"}, {"PatientID", "4711"}};
const SeriesAttributes kMr = {{"Modality", "MR"}, {"PatientID", "4711"}};

// An hour ago, and so before any limit that is reached in a test.
Time an_hour_ago(int microsecond) {
  static const Time start = std::chrono::system_clock::now() - std::chrono::hours(1);
  return start + microseconds(microsecond);
}
// After all that is recorded so far.
Time now() {
  return std::chrono::system_clock::now() + microseconds(1);
}

SeriesSuspect suspect_of(const std::string& series, const SeriesAttributes& other,
                         std::int64_t limit = 0) {
  return {"check", series, "1.2.9", kCt, other, limit, "alarm", {}};
}

class SeriesLedger : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    ledger_.reset();
    ledger_ = open();
  }
  [[nodiscard]] std::string path() const { return folder_.path("ledger.db"); }
  [[nodiscard]] std::unique_ptr<Ledger> open() const {
    auto ledger = open_ledger(path());
    if (!ledger) throw std::runtime_error(ledger.error().message);
    return std::move(*ledger);
  }
  SeriesAttributes first(const std::string& series, const SeriesAttributes& attributes) {
    const auto known = ledger_->series_identity({"check", series, attributes, "1.2.9"});
    if (!known) throw std::runtime_error(known.error().message);
    return *known;
  }
  bool is_new(const SeriesSuspect& suspect) {
    const auto recorded = ledger_->record_suspect(suspect);
    if (!recorded) throw std::runtime_error(recorded.error().message);
    return *recorded;
  }
  bool is_beyond(Time received_at, std::int64_t limit, const std::string& modality = "CT") {
    const auto told = ledger_->is_beyond_limit({"check", "1.2", modality, limit, received_at});
    if (!told) throw std::runtime_error(told.error().message);
    return *told;
  }
  [[nodiscard]] std::vector<SeriesSuspect> report(Time since = {}) const {
    auto found = read_series_suspects(path(), since);
    if (!found) throw std::runtime_error(found.error().message);
    return std::move(*found);
  }
  // The first column of the first row.
  [[nodiscard]] std::string ask(const std::string& sql) const {
    std::string text;
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    const auto add = [](void* to, int, char** values, char**) {
      *static_cast<std::string*>(to) = values[0] == nullptr ? "" : values[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), add, &text, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
    return text;
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(SeriesLedger, TheFirstIdentityStaysOverARestart) {
  EXPECT_EQ(first("1.2", kCt), kCt);
  EXPECT_EQ(first("1.2", kMr), kCt);
  EXPECT_EQ(first("1.3", kMr), kMr);
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(first("1.2", kMr), kCt);
  EXPECT_EQ(first("1.3", kCt), kMr);
}

TEST_F(SeriesLedger, KeepsValuesOfAnyBytes) {
  const SeriesAttributes odd = {{"A", "a=b\\n\n\\"}, {"B", ""}, {"C", std::string("\0=\xFF", 3)}};
  EXPECT_EQ(first("1.2", odd), odd);
  SeriesSuspect suspect = suspect_of("1.2", odd);
  suspect.first = {{"A", "\n"}, {"B", "="}, {"C", "\\\\"}};
  EXPECT_TRUE(is_new(suspect));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(first("1.2", kCt), odd);
  EXPECT_FALSE(is_new(suspect));
  ASSERT_THAT(report(), SizeIs(1));
  EXPECT_EQ(report()[0].other, odd);
  EXPECT_EQ(report()[0].first, suspect.first);
}

TEST_F(SeriesLedger, ASuspectIsNewOnce) {
  EXPECT_TRUE(is_new(suspect_of("1.2", kMr)));
  EXPECT_FALSE(is_new(suspect_of("1.2", kMr)));
  EXPECT_TRUE(is_new(suspect_of("1.2", {{"Modality", "US"}})));
  EXPECT_TRUE(is_new(suspect_of("1.2", kMr, 7))) << "by their number, too";
  EXPECT_TRUE(is_new(suspect_of("1.3", kMr)));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_FALSE(is_new(suspect_of("1.2", kMr)));
}

TEST_F(SeriesLedger, SuspectsAreReportedSinceATimeWhileTheLedgerIsOpen) {
  EXPECT_THAT(report(), IsEmpty());
  ASSERT_TRUE(is_new(suspect_of("1.2", kMr)));
  ASSERT_TRUE(ledger_->commit());
  const Time between = now();
  while (now() <= between + std::chrono::milliseconds(1)) std::this_thread::yield();
  ASSERT_TRUE(is_new(suspect_of("1.3", kMr, 7)));
  EXPECT_THAT(report(), SizeIs(1)) << "what is durable";
  ASSERT_TRUE(ledger_->commit());
  ASSERT_THAT(report(), SizeIs(2));
  EXPECT_EQ(report()[0].series_instance_uid, "1.2");
  EXPECT_EQ(report()[0].outcome, "alarm");
  ASSERT_THAT(report(between), SizeIs(1));
  EXPECT_EQ(report(between)[0].limit, 7);
  ledger_.reset();
  EXPECT_THAT(report(), SizeIs(2));
  EXPECT_FALSE(std::filesystem::exists(path() + "-wal")) << "a reader leaves nothing behind";
}

TEST_F(SeriesLedger, AnOlderFileHasNoSuspects) {
  ledger_.reset();
  std::filesystem::remove(path());
  sqlite::Format second = rows::kLedgerFormat;
  second.steps = second.steps.first(1);
  ASSERT_TRUE(sqlite::Connection::open(path(), second));
  EXPECT_THAT(report(), IsEmpty());
  reopen();
  EXPECT_EQ(first("1.2", kCt), kCt);
  EXPECT_FALSE(is_beyond(an_hour_ago(0), 1));
  ASSERT_TRUE(ledger_->commit());
  const std::atomic<bool> stop = false;
  EXPECT_TRUE(check_ledger(path(), stop));
}

TEST_F(SeriesLedger, IsReadableByItsOwnerOnly) {
  struct stat found {};
  ASSERT_EQ(::stat(path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

TEST_F(SeriesLedger, BeyondTheLimitIsWhatIsReceivedAfterItWasReached) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(is_beyond(an_hour_ago(i), 3));
  const Time fourth = now();
  EXPECT_TRUE(is_beyond(fourth, 3));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(is_beyond(an_hour_ago(i), 3)) << "when it is sent";
    EXPECT_FALSE(is_beyond(an_hour_ago(7), 3)) << "received then, and asked for late";
    EXPECT_TRUE(is_beyond(fourth, 3));
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
  EXPECT_TRUE(is_beyond(fourth, 2)) << "a lower limit now";
  EXPECT_FALSE(is_beyond(fourth, 5)) << "a higher one is to be reached yet";
  EXPECT_FALSE(is_beyond(fourth, 5));
  EXPECT_FALSE(is_beyond(now(), 5));
  EXPECT_TRUE(is_beyond(now() + std::chrono::seconds(1), 5));
}

TEST_F(SeriesLedger, WhatPassedPassesAgainThoughTheClockWentBack) {
  const Time ahead = now() + std::chrono::hours(5);
  EXPECT_FALSE(is_beyond(ahead, 3));
  EXPECT_FALSE(is_beyond(an_hour_ago(1), 3));
  EXPECT_FALSE(is_beyond(an_hour_ago(2), 3));
  EXPECT_FALSE(is_beyond(ahead, 3));
  EXPECT_TRUE(is_beyond(ahead + std::chrono::seconds(1), 3));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_FALSE(is_beyond(ahead, 3));
}

TEST_F(SeriesLedger, AskingAgainCountsNothing) {
  for (int round = 0; round < 5; ++round) {
    EXPECT_FALSE(is_beyond(an_hour_ago(1), 3));
    EXPECT_FALSE(is_beyond(an_hour_ago(0), 3));
  }
  EXPECT_FALSE(is_beyond(now(), 3));
  EXPECT_TRUE(is_beyond(now() + std::chrono::seconds(1), 3));
}

TEST_F(SeriesLedger, EachModalityIsCountedByItself) {
  EXPECT_FALSE(is_beyond(an_hour_ago(0), 1, "CT"));
  EXPECT_FALSE(is_beyond(an_hour_ago(1), 1, "SR"));
  EXPECT_TRUE(is_beyond(now(), 1, "CT"));
  EXPECT_TRUE(is_beyond(now(), 1, "SR"));
}

TEST_F(SeriesLedger, NothingIsWrittenPerInstance) {
  for (int i = 0; i < SeriesCount::kStep - 1; ++i) (void)is_beyond(an_hour_ago(i), 1000);
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(ask("SELECT count(*) FROM series_counts"), "0");
  for (int i = 0; i < 151; ++i) (void)is_beyond(an_hour_ago(1000 + i), 1000);
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(ask("SELECT instances FROM series_counts"), "200");
}

// 250 came, the file knows of 200; the queue sends all of them once more.
TEST_F(SeriesLedger, AfterARestartTheCountIsTakenUpAndSendingAddsOnlyWhatWasLost) {
  for (int i = 0; i < 250; ++i) EXPECT_FALSE(is_beyond(an_hour_ago(i), 260));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 250; ++i) EXPECT_FALSE(is_beyond(an_hour_ago(i), 260));
  }
  for (int i = 250; i < 260; ++i) EXPECT_FALSE(is_beyond(an_hour_ago(i), 260));
  EXPECT_TRUE(is_beyond(now(), 260));
}

TEST_F(SeriesLedger, SeveralAssociationsAtOnceAreCounted) {
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  constexpr int kLimit = kThreads * kEach + 1;
  std::vector<std::thread> threads;
  std::atomic<int> next = 0;
  std::atomic<int> beyond = 0;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int i = next++; i < kThreads * kEach; i = next++) {
        if (is_beyond(an_hour_ago(i), kLimit)) ++beyond;
      }
      EXPECT_TRUE(ledger_->commit());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(beyond, 0);
  // A thread may have slept while the others went on: a lower bound, and never too many.
  EXPECT_FALSE(is_beyond(now(), kLimit));
  EXPECT_EQ(ask("SELECT instances >= 300 FROM series_counts"), "1");
}

TEST_F(SeriesLedger, ThreadsAgreeOnTheFirstIdentityAndOneSuspectIsNew) {
  constexpr int kThreads = 8;
  std::vector<SeriesAttributes> found(kThreads);
  std::atomic<int> news = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      found[static_cast<std::size_t>(thread)] =
          first("1.2", {{"StationName", std::to_string(thread)}});
      if (is_new(suspect_of("1.2", kMr))) ++news;
      EXPECT_TRUE(ledger_->commit());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(found, testing::Each(found.front()));
  EXPECT_EQ(news, 1);
}

TEST_F(SeriesLedger, TwoProcessesAgreeOnTheFirstIdentity) {
  constexpr int kSeries = 50;
  const auto see_all = [this](const SeriesAttributes& attributes) {
    const auto ledger = open();
    for (int i = 0; i < kSeries; ++i) {
      const auto known = ledger->series_identity({"check", std::to_string(i), attributes, "1.2.9"});
      if (!known || !ledger->commit()) return false;
      if (*known != attributes &&
          !ledger->record_suspect(suspect_of(std::to_string(i), attributes)))
        return false;
    }
    return ledger->commit().has_value();
  };
  ledger_.reset();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(see_all(kCt) ? 0 : 1);
  EXPECT_TRUE(see_all(kMr));
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(report(), SizeIs(kSeries)) << "each series is suspect for the one that came later";
  for (const SeriesSuspect& each : report()) {
    reopen();
    EXPECT_NE(first(each.series_instance_uid, each.other), each.other);
  }
}

TEST_F(SeriesLedger, WhatAFullDiskTookBackIsAskedForAnew) {
  {
    const test::FailingCall failing(test::Call::write, ENOSPC, 1, true);
    EXPECT_EQ(first("1.2", kCt), kCt);
    EXPECT_TRUE(is_new(suspect_of("1.2", kMr)));
    EXPECT_FALSE(ledger_->commit());
  }
  EXPECT_EQ(first("1.2", kMr), kMr);
  EXPECT_TRUE(is_new(suspect_of("1.2", kMr)));
  EXPECT_TRUE(ledger_->commit());
}

TEST_F(SeriesLedger, AFaultedLedgerStillTellsWhatWasDurableAndRefusesNothingForACount) {
  EXPECT_FALSE(is_beyond(an_hour_ago(0), 1));
  EXPECT_TRUE(is_beyond(now(), 1));
  EXPECT_EQ(first("1.2", kCt), kCt);
  EXPECT_TRUE(is_new(suspect_of("1.2", kMr)));
  ASSERT_TRUE(ledger_->commit());
  {
    const test::FailingCall failing(test::Call::fdatasync, EIO, 1, true);
    EXPECT_EQ(first("1.3", kCt), kCt);
    ASSERT_FALSE(ledger_->commit());
  }
  EXPECT_TRUE(is_beyond(now(), 1));
  EXPECT_FALSE(is_beyond(an_hour_ago(0), 1));
  EXPECT_EQ(first("1.2", kMr), kCt);
  EXPECT_FALSE(is_new(suspect_of("1.2", kMr)));
  EXPECT_TRUE(ledger_->commit()) << "deliveries go on";
  EXPECT_FALSE(is_beyond(an_hour_ago(0), 1, "MR")) << "reached, which cannot be written";
  EXPECT_FALSE(ledger_->series_identity({"check", "1.4", kCt, "1.2.9"}));
}

TEST_F(SeriesLedger, DecidesNothingByARowThatChanged) {
  for (const char* change : {"UPDATE series_identities SET attributes = 'Modality=MR'",
                             "UPDATE series_counts SET reached_at = 1",
                             "UPDATE series_suspects SET outcome = 'split'"}) {
    SCOPED_TRACE(change);
    ledger_.reset();
    std::filesystem::remove(path());
    reopen();
    EXPECT_EQ(first("1.2", kCt), kCt);
    EXPECT_FALSE(is_beyond(an_hour_ago(0), 1));
    EXPECT_TRUE(is_new(suspect_of("1.2", kMr)));
    ASSERT_TRUE(ledger_->commit());
    const std::atomic<bool> stop = false;
    ASSERT_TRUE(check_ledger(path(), stop));
    ledger_.reset();
    (void)ask(change);
    const auto checked = check_ledger(path(), stop);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::corrupt);
    const auto reported = read_series_suspects(path(), Time());
    reopen();
    const auto identity = ledger_->series_identity({"check", "1.2", kMr, "1.2.9"});
    const auto beyond = ledger_->is_beyond_limit({"check", "1.2", "CT", 1, an_hour_ago(0)});
    EXPECT_EQ(1, (reported ? 0 : 1) + (identity ? 0 : 1) + (beyond ? 0 : 1));
  }
}

TEST_F(SeriesLedger, APreviewForgets) {
  EXPECT_FALSE(is_beyond(an_hour_ago(0), 2));
  ASSERT_TRUE(ledger_->commit());
  const auto preview = preview_ledger(path());
  ASSERT_TRUE(preview);
  EXPECT_EQ(*(*preview)->series_identity({"check", "1.2", kMr, "1.2.9"}), kMr);
  EXPECT_TRUE(*(*preview)->record_suspect(suspect_of("1.2", kMr)));
  EXPECT_TRUE((*preview)->commit());
  EXPECT_EQ(first("1.2", kCt), kCt);
  EXPECT_TRUE(is_new(suspect_of("1.2", kMr)));
}

// In the order in which they came, but for at most so many that overtook.
TEST(SeriesCount, CountsWhatComesALittleLateAndNothingTwice) {
  SeriesCount count{StoredSeriesCount{}};
  const int behind = SeriesCount::kWindow / 2;
  for (int i = 1; i <= 1000; ++i) {
    if (i % behind != 0) count.add(i);
    if (i % behind == 1) count.add(i - 1);  // 0 is no time
  }
  EXPECT_EQ(count.instances(), 1000 - (1000 % behind == 0 ? 1 : 0));
  for (int i = 1; i <= 990; ++i) count.add(i);
  EXPECT_EQ(count.instances(), 1000 - (1000 % behind == 0 ? 1 : 0));
}

}  // namespace
}  // namespace sluice
