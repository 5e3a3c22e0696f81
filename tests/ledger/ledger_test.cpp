#include "gateway/ledger/ledger.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/failing_calls.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::system_clock;
using test::Call;
using test::FailingCall;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<Ledger> open_file(const std::string& path) {
  auto ledger = open_ledger(path);
  if (!ledger) throw std::runtime_error(ledger.error().message);
  return std::move(*ledger);
}

SeriesNumberRequest series(const std::string& uid, std::optional<std::int32_t> wanted,
                           const std::string& study = "1.2") {
  return {"renumber", study, uid, wanted, 10'000};
}

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    ledger_.reset();
    ledger_ = open_file(path());
  }
  [[nodiscard]] std::string path() const { return folder_.path("ledger.db"); }
  std::int32_t number(const SeriesNumberRequest& request) {
    const auto given = ledger_->series_number(request);
    if (!given) throw std::runtime_error(given.error().message);
    return *given;
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, FirstSeriesKeepsItsNumberTheNextGetsTheFirstFree) {
  EXPECT_EQ(number(series("a", 3)), 3);
  EXPECT_EQ(number(series("b", 3)), 10'000);
  EXPECT_EQ(number(series("c", 10'001)), 10'001);
  EXPECT_EQ(number(series("d", 3)), 10'002);
  EXPECT_EQ(number(series("e", std::nullopt)), 10'003);
  EXPECT_EQ(number(series("f", -5)), -5);
  EXPECT_EQ(number(series("b", 3)), 10'000) << "frozen";
  EXPECT_EQ(number(series("b", 77)), 10'000) << "whatever it wants later";
  EXPECT_EQ(number(series("b", 3, "1.2.other")), 3) << "another study";
}

TEST_F(LedgerTest, ScopesNumberApart) {
  EXPECT_EQ(number(series("a", 3)), 3);
  SeriesNumberRequest other = series("b", 3);
  other.scope = "other";
  EXPECT_EQ(number(other), 3);
}

TEST_F(LedgerTest, NumbersStayOverRestart) {
  EXPECT_EQ(number(series("a", 3)), 3);
  EXPECT_EQ(number(series("b", 3)), 10'000);
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(number(series("b", 3)), 10'000);
  EXPECT_EQ(number(series("c", 3)), 10'001);
}

TEST_F(LedgerTest, NumbersEndAtTheLargestThatIsAllows) {
  SeriesNumberRequest last = series("a", std::nullopt);
  last.base = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(number(last), std::numeric_limits<std::int32_t>::max());
  last.series_instance_uid = "b";
  const auto none = ledger_->series_number(last);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::permanent);
  EXPECT_EQ(number(series("b", 1)), 1) << "the ledger goes on";
}

TEST_F(LedgerTest, KeysWithAnyBytesStayApart) {
  const std::string with_nul(
      "1\0"
      "2",
      3);
  EXPECT_EQ(number(series(with_nul, 1)), 1);
  EXPECT_EQ(number(series("1", 1)), 10'000);
  EXPECT_EQ(number(series(with_nul, 1)), 1);
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(number(series(with_nul, 1)), 1);
  EXPECT_EQ(number(series("1", 1)), 10'000);
}

TEST_F(LedgerTest, FirstStudyOfAKeyTakesAllWithItsAttributes) {
  const MergedStudy first{"1.1", {{"0010,0010", "Doe^J\xfcrgen"}, {"StudyID", ""}}};
  auto merged = ledger_->merged_study("merge", "P|A", "1.1", first);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->study_instance_uid, "1.1");
  EXPECT_THAT(*ledger_->lookup("1.1"), IsEmpty()) << "nothing was replaced";

  for (int round = 0; round < 2; ++round) {
    merged = ledger_->merged_study("merge", "P|A", "1.9", {"1.9", {{"0010,0010", "Other"}}});
    ASSERT_TRUE(merged);
    EXPECT_EQ(merged->study_instance_uid, "1.1");
    EXPECT_EQ(merged->attributes, first.attributes);
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
  const auto found = ledger_->lookup("1.9");
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().after, "1.1");
  EXPECT_EQ(found->front().reason, "merged");
  EXPECT_EQ(ledger_->merged_study("other", "P|A", "1.9", {"1.9", {}})->study_instance_uid, "1.9");
}

TEST_F(LedgerTest, NewStudyForAKeyIsRecordedAsReplacement) {
  const auto merged = ledger_->merged_study("merge", "K", "1.5", {"2.25.7", {}});
  EXPECT_EQ(merged->study_instance_uid, "2.25.7");
  EXPECT_EQ(ledger_->replacement("merge", "1.5", system_clock::now())->value(), "2.25.7");
}

TEST_F(LedgerTest, LookupFindsEitherSideOldestFirst) {
  ASSERT_TRUE(ledger_->record_uid("sanitize", "1.02", "2.25.1", "leading zero"));
  ASSERT_TRUE(ledger_->record_uid("sanitize", "1.02", "2.25.1", "leading zero"));
  ASSERT_TRUE(ledger_->record_uid("other", "2.25.1", "2.25.2", "hash"));
  reopen();
  const auto found = ledger_->lookup("2.25.1");
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(0).before, "1.02");
  EXPECT_EQ(found->at(0).scope, "sanitize");
  EXPECT_EQ(found->at(0).reason, "leading zero");
  EXPECT_EQ(found->at(1).after, "2.25.2");
  EXPECT_LT(found->at(0).recorded_at, found->at(1).recorded_at);
  EXPECT_EQ(ledger_->lookup("1.02")->size(), 1U);
  EXPECT_THAT(*ledger_->lookup("1.2"), IsEmpty());
}

TEST_F(LedgerTest, ReplacementStaysWhatItWasAtReceipt) {
  const Time early = system_clock::now();
  EXPECT_EQ(*ledger_->replacement("s", "1.1", early), std::nullopt);
  ASSERT_TRUE(ledger_->record_uid("s", "1.1", "2.1", "merged"));
  const Time later = system_clock::now() + hours(1);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(*ledger_->replacement("s", "1.1", early), std::nullopt);
    EXPECT_EQ(*ledger_->replacement("s", "1.1", later), "2.1");
    EXPECT_EQ(*ledger_->replacement("x", "1.1", later), std::nullopt);
    // A second replacement is found by lookup, but the first one holds.
    ASSERT_TRUE(ledger_->record_uid("s", "1.1", "2.2", "merged"));
    reopen();
  }
  EXPECT_EQ(ledger_->lookup("1.1")->size(), 2U);
}

// An instance was received while the clock was an hour ahead, and told "not replaced".
TEST_F(LedgerTest, ClockSetBackDoesNotChangeAnAnswer) {
  const Time ahead = system_clock::now() + hours(1);
  EXPECT_EQ(*ledger_->replacement("s", "1.1", ahead), std::nullopt);
  ASSERT_TRUE(ledger_->record_uid("s", "1.1", "2.1", "merged"));
  EXPECT_EQ(*ledger_->replacement("s", "1.1", ahead), std::nullopt);
  EXPECT_EQ(*ledger_->replacement("s", "1.1", ahead + microseconds(1)), "2.1");
}

TEST_F(LedgerTest, ClockSetBackOverARestartDoesNotChangeTheFirstReplacement) {
  const Time ahead = system_clock::now() + hours(1);
  EXPECT_EQ(*ledger_->replacement("s", "other", ahead), std::nullopt);
  ASSERT_TRUE(ledger_->record_uid("s", "1.1", "2.1", "merged"));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  ASSERT_TRUE(ledger_->record_uid("s", "1.1", "2.2", "merged"));
  EXPECT_EQ(*ledger_->replacement("s", "1.1", ahead + hours(1)), "2.1");
  const auto found = *ledger_->lookup("1.1");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.front().after, "2.1");
}

TEST_F(LedgerTest, NumbersAreUniqueUnderConcurrency) {
  constexpr int kThreads = 8;
  constexpr int kSeries = 40;
  std::vector<std::vector<std::int32_t>> given(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int s = 0; s < kSeries; ++s) {
        const std::string uid = std::to_string(t) + "." + std::to_string(s);
        const auto one = ledger_->series_number(series(uid, 1));
        ASSERT_TRUE(one && ledger_->commit());
        given[static_cast<std::size_t>(t)].push_back(*one);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::int32_t> all;
  for (const auto& mine : given) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), given.size() * kSeries);
  EXPECT_EQ(*all.begin(), 1);
  EXPECT_EQ(*all.rbegin(), 10'000 + kThreads * kSeries - 2) << "no number is left out";
  reopen();
  EXPECT_EQ(number(series("3.7", 1)), given[3][7]);
}

TEST_F(LedgerTest, ThreadsThatSeeOneSeriesAgree) {
  std::vector<std::int32_t> given(8);
  std::vector<std::thread> threads;
  threads.reserve(8);
  number(series("taken", 1));
  for (auto& mine : given) {
    threads.emplace_back([&] { mine = *ledger_->series_number(series("same", 1)); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(given, ::testing::Each(10'000));
}

TEST_F(LedgerTest, TwoGatewaysOnOneFileAgree) {
  const auto other = open_file(path());
  std::set<std::int32_t> all;
  for (int i = 0; i < 20; ++i) {
    Ledger& one = i % 2 == 0 ? *ledger_ : *other;
    const auto given = one.series_number(series(std::to_string(i), 1));
    ASSERT_TRUE(given) << given.error().message;
    ASSERT_TRUE(one.commit());
    all.insert(*given);
    Ledger& two = i % 2 == 0 ? *other : *ledger_;
    EXPECT_EQ(*two.series_number(series(std::to_string(i), 1)), *given);
  }
  EXPECT_EQ(all.size(), 20U);
}

TEST_F(LedgerTest, DecisionWithoutCommitDoesNotLockOutAnotherGateway) {
  const auto other = open_file(path());
  EXPECT_EQ(number(series("a", 1)), 1);  // and its association breaks
  const auto given = other->series_number(series("b", 1));
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(*given, 10'000);
}

// What commit() confirmed is in the file, whatever happens to the process.
TEST_F(LedgerTest, CommittedDecisionsSurviveAKill) {
  int said[2] = {-1, -1};
  ASSERT_EQ(::pipe(said), 0);
  ledger_.reset();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto ledger = open_ledger(path());
    if (!ledger) ::_exit(1);
    const auto decide = [&](int t) {
      for (int i = 0;; ++i) {
        const std::string uid = std::to_string(t) + "." + std::to_string(i);
        const auto given = (*ledger)->series_number(series(uid, 1));
        if (!given || !(*ledger)->commit()) ::_exit(1);
        const std::string line = uid + " " + std::to_string(*given) + "\n";
        if (::write(said[1], line.data(), line.size()) < 0) ::_exit(1);
      }
    };
    std::vector<std::thread> threads;
    threads.reserve(8);
    for (int t = 0; t < 4; ++t) threads.emplace_back(decide, t);
    for (auto& thread : threads) thread.join();
  }
  ::close(said[1]);
  std::string text;
  char buffer[4096];
  bool killed = false;
  for (ssize_t got = 1; got > 0;) {
    got = ::read(said[0], buffer, sizeof buffer);
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    if (!killed && text.size() > 1000) killed = ::kill(child, SIGKILL) == 0;
  }
  ::close(said[0]);
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(killed);
  reopen();
  std::istringstream lines(text);
  std::string uid;
  std::int32_t given = 0;
  while (lines >> uid >> given) EXPECT_EQ(number(series(uid, 1)), given);
}

TEST_F(LedgerTest, FailedSyncFaultsButWhatWasDurableIsStillAnswered) {
  EXPECT_EQ(number(series("old", 5)), 5);
  ASSERT_TRUE(ledger_->commit());
  {
    const FailingCall failing(Call::fdatasync, EIO, 1, true);
    EXPECT_EQ(number(series("new", 5)), 10'000);
    const auto committed = ledger_->commit();
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, ErrorCode::transient);
    EXPECT_TRUE(failing.fired());
  }
  EXPECT_EQ(number(series("old", 5)), 5) << "deliveries go on";
  EXPECT_FALSE(ledger_->series_number(series("newer", 6)));
  EXPECT_FALSE(ledger_->record_uid("s", "1", "2", "hash"));
  EXPECT_TRUE(ledger_->commit()) << "all that was answered since is durable";
}

// SQLite says of a read that fails what it says of a damaged file. No image is to blame.
TEST_F(LedgerTest, FailedReadFaultsAndIsNoFaultOfTheInstance) {
  EXPECT_EQ(number(series("old", 5)), 5);
  ASSERT_TRUE(ledger_->commit());
  ledger_.reset();
  int told = 0;
  ledger_ = std::move(*open_ledger(path(), [&](const std::string&) { ++told; }));
  {
    const FailingCall failing(Call::read, EIO, 1, true);
    const auto given = ledger_->series_number(series("old", 5));
    ASSERT_FALSE(given);
    EXPECT_EQ(given.error().code, ErrorCode::transient);
    EXPECT_TRUE(failing.fired());
  }
  EXPECT_EQ(told, 1);
  EXPECT_EQ(number(series("old", 5)), 5) << "deliveries go on where it can be read";
  EXPECT_FALSE(ledger_->series_number(series("newer", 6)));
}

TEST_F(LedgerTest, FaultIsToldToEveryThreadThatSawADecisionTakenBackAndToNoOther) {
  EXPECT_EQ(number(series("old", 5)), 5);
  ASSERT_TRUE(ledger_->commit());
  std::atomic<bool> seen = false;
  std::atomic<bool> failed = false;
  Result<void> committed_by_witness;
  Result<void> committed_by_sender;
  {
    const FailingCall failing(Call::fdatasync, EIO, 1, true);
    EXPECT_EQ(number(series("new", 5)), 10'000);
    std::thread witness([&] {
      EXPECT_EQ(*ledger_->series_number(series("new", 5)), 10'000);
      seen = true;
      while (!failed) std::this_thread::yield();
      committed_by_witness = ledger_->commit();
    });
    while (!seen) std::this_thread::yield();
    // The thread in the background may have tried before: it says the same.
    EXPECT_FALSE(ledger_->commit());
    failed = true;
    witness.join();
    std::thread sender([&] {
      EXPECT_EQ(*ledger_->series_number(series("old", 5)), 5);
      committed_by_sender = ledger_->commit();
    });
    sender.join();
  }
  EXPECT_FALSE(committed_by_witness) << "it depended on the same decision";
  EXPECT_TRUE(committed_by_sender) << "deliveries go on";
  EXPECT_FALSE(ledger_->series_number(series("new", 5))) << "receiving does not";
}

TEST_F(LedgerTest, FullDiskTakesBackWhatAnyThreadSawAndPasses) {
  EXPECT_EQ(number(series("old", 5)), 5);
  ASSERT_TRUE(ledger_->commit());
  std::atomic<bool> seen = false;
  std::atomic<bool> failed = false;
  Result<void> committed_by_witness;
  {
    const FailingCall failing(Call::write, ENOSPC, 1, true);
    EXPECT_EQ(number(series("new", 5)), 10'000);
    std::thread witness([&] {
      EXPECT_EQ(*ledger_->series_number(series("new", 5)), 10'000);
      seen = true;
      while (!failed) std::this_thread::yield();
      committed_by_witness = ledger_->commit();
    });
    while (!seen) std::this_thread::yield();
    const auto committed = ledger_->commit();
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, ErrorCode::transient);
    failed = true;
    witness.join();
  }
  EXPECT_FALSE(committed_by_witness) << "it depended on the same decision";
  EXPECT_EQ(number(series("other", 5)), 10'000) << "the number is free again";
  EXPECT_TRUE(ledger_->commit());
  EXPECT_EQ(number(series("new", 5)), 10'001);
  EXPECT_TRUE(ledger_->commit());
}

TEST_F(LedgerTest, GarbageIsReportedAsCorrupt) {
  ledger_.reset();
  std::ofstream(path(), std::ios::binary) << std::string(8192, 'g');
  for (const auto& opened :
       {open_ledger(path()).map([](auto&&) {}), preview_ledger(path()).map([](auto&&) {})}) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
    EXPECT_THAT(opened.error().message, HasSubstr(path()));
  }
}

TEST_F(LedgerTest, PreviewSeesWhatIsCommittedAndWritesNothing) {
  EXPECT_EQ(number(series("a", 3)), 3);
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(number(series("open", 4)), 4);  // the gateway is in a transaction
  {
    const auto preview = preview_ledger(path());
    ASSERT_TRUE(preview) << preview.error().message;
    EXPECT_EQ(*(*preview)->series_number(series("a", 9)), 3);
    EXPECT_EQ(*(*preview)->series_number(series("b", 3)), 10'000);
    EXPECT_TRUE((*preview)->record_uid("s", "1.1", "2.1", "hash"));
    EXPECT_TRUE((*preview)->commit());
    EXPECT_EQ((*preview)->lookup("1.1")->size(), 1U);
    EXPECT_EQ(number(series("c", 3)), 10'000) << "the gateway goes on meanwhile";
    EXPECT_TRUE(ledger_->commit());
  }
  EXPECT_THAT(*ledger_->lookup("1.1"), IsEmpty());
}

TEST_F(LedgerTest, PreviewOfAFileAtRestLeavesNoTrace) {
  EXPECT_EQ(number(series("a", 3)), 3);
  ledger_.reset();
  const std::string before = test::read_file(path());
  {
    const auto preview = preview_ledger(path());
    ASSERT_TRUE(preview) << preview.error().message;
    EXPECT_EQ(*(*preview)->series_number(series("a", 9)), 3);
    EXPECT_EQ(*(*preview)->series_number(series("b", 3)), 10'000);
    EXPECT_TRUE((*preview)->commit());
  }
  EXPECT_EQ(test::read_file(path()), before);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_EQ(entry.path(), path());
    ++files;
  }
  EXPECT_EQ(files, 1);
}

TEST_F(LedgerTest, PreviewOfAnAbsentFileIsEmpty) {
  const auto preview = preview_ledger(folder_.path("none.db"));
  ASSERT_TRUE(preview) << preview.error().message;
  EXPECT_EQ(*(*preview)->series_number(series("a", 3)), 3);
  EXPECT_TRUE((*preview)->commit());
  EXPECT_FALSE(std::filesystem::exists(folder_.path("none.db")));
}

}  // namespace
}  // namespace sluice
