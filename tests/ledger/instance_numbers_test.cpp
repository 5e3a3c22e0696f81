// Numbers of instances in their series: one row each, in one ledger for several gateways.
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/ledger/ledger.h"
#include "gateway/ledger/ledger_rows.h"
#include "tests/support/failing_calls.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

InstanceNumberRequest instance_of(const std::string& uid, std::optional<std::int32_t> wanted,
                                  const std::string& series_uid = "1.2") {
  return {"number", series_uid, uid, wanted, 10'000};
}

// What is to be refused when its number is another's.
InstanceNumberRequest instance_without_base(const std::string& uid, std::int32_t wanted) {
  InstanceNumberRequest request = instance_of(uid, wanted);
  request.base.reset();
  return request;
}

class InstanceNumbers : public testing::Test {
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
  std::optional<std::int32_t> number(const InstanceNumberRequest& request) {
    const auto given = ledger_->instance_number(request);
    if (!given) throw std::runtime_error(given.error().message);
    return *given;
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(InstanceNumbers, FirstInstanceKeepsItsNumberTheNextGetsTheFirstFree) {
  EXPECT_EQ(number(instance_of("a", 3)), 3);
  EXPECT_EQ(number(instance_of("b", 3)), 10'000);
  EXPECT_EQ(number(instance_of("c", 10'001)), 10'001);
  EXPECT_EQ(number(instance_of("d", 3)), 10'002);
  EXPECT_EQ(number(instance_of("e", std::nullopt)), 10'003);
  EXPECT_EQ(number(instance_of("b", 3)), 10'000) << "sent again";
  EXPECT_EQ(number(instance_of("b", 77)), 10'000) << "whatever it wants later";
  EXPECT_EQ(number(instance_of("b", 3, "1.9")), 3) << "another series";
}

TEST_F(InstanceNumbers, ScopesNumberApartAndSeriesNumbersAreOthers) {
  EXPECT_EQ(number(instance_of("a", 3)), 3);
  InstanceNumberRequest other = instance_of("b", 3);
  other.scope = "other";
  EXPECT_EQ(number(other), 3);
  EXPECT_EQ(*ledger_->series_number({"number", "1.2", "b", 3, 10'000}), 3);
  EXPECT_EQ(*ledger_->series_number({"number", "1.2", "c", 3, 10'000}), 10'000);
  EXPECT_EQ(number(instance_of("c", 3)), 10'000);
}

TEST_F(InstanceNumbers, WithoutABaseNothingIsGivenOrRecordedForATakenNumber) {
  EXPECT_EQ(number(instance_without_base("a", 3)), 3);
  EXPECT_EQ(number(instance_without_base("b", 3)), std::nullopt);
  EXPECT_EQ(number(instance_without_base("b", 3)), std::nullopt);
  EXPECT_EQ(number(instance_without_base("b", 4)), 4) << "it comes with a free one";
  EXPECT_EQ(number(instance_without_base("b", 3)), 4) << "and keeps it";
  EXPECT_EQ(number(instance_without_base("a", 3)), 3);
  EXPECT_EQ(number(instance_of("c", 3)), 10'000);
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(number(instance_without_base("b", 3)), 4);
  EXPECT_EQ(number(instance_without_base("d", 3)), std::nullopt);
}

TEST_F(InstanceNumbers, StayOverRestart) {
  EXPECT_EQ(number(instance_of("a", 3)), 3);
  EXPECT_EQ(number(instance_of("b", 3)), 10'000);
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(number(instance_of("b", 3)), 10'000);
  EXPECT_EQ(number(instance_of("c", 3)), 10'001);
  EXPECT_EQ(number(instance_of("a", 3)), 3);
}

TEST_F(InstanceNumbers, EndAtTheLargestThatIsAllows) {
  InstanceNumberRequest last = instance_of("a", std::nullopt);
  last.base = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(number(last), last.base);
  last.sop_instance_uid = "b";
  const auto none = ledger_->instance_number(last);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::permanent);
  EXPECT_THAT(none.error().message, testing::HasSubstr("no instance number from 2147483647"));
  EXPECT_EQ(number(instance_of("b", 1)), 1) << "the ledger goes on";
}

TEST_F(InstanceNumbers, AreUniqueAmongThreads) {
  constexpr int kThreads = 2;
  constexpr int kInstances = 100;
  std::vector<std::vector<std::int32_t>> given(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kInstances; ++i) {
        const std::string uid = std::to_string(t) + "." + std::to_string(i);
        const auto one = ledger_->instance_number(instance_of(uid, 1));
        ASSERT_TRUE(one && *one && ledger_->commit());
        given[static_cast<std::size_t>(t)].push_back(**one);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::int32_t> all;
  for (const auto& mine : given) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), given.size() * kInstances);
  EXPECT_EQ(*all.begin(), 1);
  EXPECT_EQ(*all.rbegin(), 10'000 + kThreads * kInstances - 2) << "no number is left out";
  reopen();
  EXPECT_EQ(number(instance_of("1.7", 1)), given[1][7]);
}

TEST_F(InstanceNumbers, AreOneForThreadsThatSeeOneInstance) {
  ASSERT_EQ(number(instance_of("taken", 1)), 1);
  std::vector<std::int32_t> given(8);
  std::vector<std::thread> threads;
  threads.reserve(given.size());
  for (auto& mine : given) {
    threads.emplace_back(
        [&] { mine = ledger_->instance_number(instance_of("same", 1))->value_or(0); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(given, testing::Each(10'000));
}

// Each of two processes numbers instances of its own, and half of the other's.
TEST_F(InstanceNumbers, AreUniqueAndTheSameInAnotherProcess) {
  constexpr int kInstances = 60;
  const auto numbers_from = [&](int first) {
    const auto ledger = open();
    for (int i = first; i < first + kInstances; ++i) {
      const auto given = ledger->instance_number(instance_of(std::to_string(i), 1));
      if (!given || !*given || !ledger->commit()) return false;
    }
    return true;
  };
  ledger_.reset();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(numbers_from(0) ? 0 : 1);
  EXPECT_TRUE(numbers_from(kInstances / 2));
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  reopen();
  std::set<std::optional<std::int32_t>> all;
  for (int i = 0; i < kInstances + kInstances / 2; ++i) {
    all.insert(number(instance_of(std::to_string(i), 1)));
  }
  EXPECT_EQ(all.size(), 90U);
  EXPECT_EQ(*all.begin(), 1);
  EXPECT_EQ(*all.rbegin(), 10'088);
}

TEST_F(InstanceNumbers, AreSeenByAnotherGatewayAtOnce) {
  const auto other = open();
  for (int i = 0; i < 20; ++i) {
    const std::string uid = std::to_string(i);
    Ledger& one = i % 2 == 0 ? *ledger_ : *other;
    Ledger& two = i % 2 == 0 ? *other : *ledger_;
    const auto given = one.instance_number(instance_of(uid, 1));
    ASSERT_TRUE(given && one.commit());
    EXPECT_EQ(*two.instance_number(instance_of(uid, 1)), *given);
    EXPECT_EQ(**given, i == 0 ? 1 : 9'999 + i);
  }
}

TEST_F(InstanceNumbers, AreTakenBackForEveryThreadThatSawThemOnAFullDisk) {
  ASSERT_EQ(number(instance_of("old", 5)), 5);
  ASSERT_TRUE(ledger_->commit());
  std::atomic<bool> seen = false;
  std::atomic<bool> failed = false;
  Result<void> committed_by_witness;
  {
    const test::FailingCall failing(test::Call::write, ENOSPC, 1, true);
    EXPECT_EQ(number(instance_of("new", 6)), 6);
    std::thread witness([&] {
      // It relies on that the other has the number, though it gets none. The thread in the
      // background may have tried to commit before, and the number be free.
      EXPECT_THAT(*ledger_->instance_number(instance_without_base("late", 6)),
                  testing::AnyOf(std::nullopt, std::optional(6)));
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
  EXPECT_EQ(number(instance_without_base("late", 6)), 6) << "the number is free again";
  EXPECT_EQ(number(instance_of("new", 6)), 10'000);
  EXPECT_TRUE(ledger_->commit());
}

TEST_F(InstanceNumbers, OfAFaultedLedgerAreStillAnsweredWhenTheyWereDurable) {
  ASSERT_EQ(number(instance_of("old", 5)), 5);
  ASSERT_TRUE(ledger_->commit());
  {
    const test::FailingCall failing(test::Call::fdatasync, EIO, 1, true);
    EXPECT_EQ(number(instance_of("new", 5)), 10'000);
    ASSERT_FALSE(ledger_->commit());
  }
  EXPECT_EQ(number(instance_of("old", 5)), 5) << "deliveries go on";
  EXPECT_EQ(number(instance_without_base("passes", 5)), std::nullopt) << "these too";
  EXPECT_FALSE(ledger_->instance_number(instance_of("newer", 6)));
  EXPECT_FALSE(ledger_->instance_number(instance_without_base("newer", 6)));
}

TEST_F(InstanceNumbers, OfAPreviewAreForgotten) {
  ASSERT_EQ(number(instance_of("a", 3)), 3);
  ASSERT_TRUE(ledger_->commit());
  const auto preview = preview_ledger(path());
  ASSERT_TRUE(preview);
  EXPECT_EQ(*(*preview)->instance_number(instance_of("a", 9)), 3);
  EXPECT_EQ(*(*preview)->instance_number(instance_of("b", 3)), 10'000);
  EXPECT_TRUE((*preview)->commit());
  EXPECT_EQ(number(instance_of("c", 3)), 10'000);
}

TEST_F(InstanceNumbers, AreAddedToAFileOfVersion2WhichKeepsItsRows) {
  ledger_.reset();
  const SeriesNumberRequest known{"renumber", "1.2", "1.2.0", 3, 10'000};
  std::filesystem::remove(path());
  {
    sqlite::Format second = rows::kLedgerFormat;
    second.steps = second.steps.first(1);
    ASSERT_EQ(second.version(), 2);
    auto db = sqlite::Connection::open(path(), second);
    ASSERT_TRUE(db) << db.error().message;
    ASSERT_TRUE(rows::insert_number(**db, known, 77, 1'700'000'000'000'000));
    EXPECT_FALSE((*db)->prepare("SELECT * FROM instance_numbers")) << "not yet";
  }
  reopen();
  const std::atomic<bool> stop = false;
  EXPECT_EQ(*ledger_->series_number(known), 77);
  EXPECT_EQ(number(instance_of("a", 3)), 3);
  ASSERT_TRUE(ledger_->commit());
  EXPECT_TRUE(check_ledger(path(), stop));
  reopen();
  EXPECT_EQ(number(instance_of("b", 3)), 10'000);
}

}  // namespace
}  // namespace sluice
