// What is more urgent is claimed first, and whoever has claimed something less urgent hears of it.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/queue/queue_entry.h"
#include "gateway/queue/queue_rows.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using config::Priority;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::claimed_ids;
using test::instance;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

DeliveryRow delivery_of(Priority priority, DeliveryState state = DeliveryState::ready,
                        const std::string& route = "all") {
  const bool rests = state == DeliveryState::quarantined;
  DeliveryRow row = test::delivery(rests ? "" : "pacs", state, route);
  row.priority = priority;
  return row;
}

class PriorityTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void TearDown() override { EXPECT_TRUE(check_sums(*queue_)); }
  void reopen() {
    queue_.reset();
    queue_ = test::open_queue(folder_.path("queue.db"));
  }
  void add(const std::string& id, const std::vector<DeliveryRow>& deliveries) {
    const auto added = queue_->add(instance(id), deliveries);
    ASSERT_TRUE(added) << added.error().message;
  }
  void add(const std::string& id, Priority priority) { add(id, {delivery_of(priority)}); }
  void defer(const std::string& id, milliseconds wait) {
    Outcome away = test::outcome(id, "pacs", DeliveryState::deferred);
    away.retry_after = wait;
    queue_->finish(away);
    ASSERT_TRUE(queue_->flush());
  }
  [[nodiscard]] bool is_overtaken(Priority priority) const {
    return queue_->has_more_urgent("pacs", priority);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Queue> queue_;
};

TEST_F(PriorityTest, TheMostUrgentIsClaimedFirstAndThenTheOldest) {
  add("low1", Priority::low);
  add("medium1", Priority::medium);
  add("high1", Priority::high);
  add("low2", Priority::low);
  add("high2", Priority::high);
  add("medium2", Priority::medium);
  reopen();
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 3), ElementsAre("high1", "high2", "medium1"));
  add("high3", Priority::high);
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 2), ElementsAre("high3", "medium2"));
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 3), ElementsAre("low1", "low2"));
}

TEST_F(PriorityTest, WhatWasGivenBackKeepsItsPriority) {
  add("medium", Priority::medium);
  add("high", Priority::high);
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high", "medium"));
  queue_->release("medium", "pacs");
  queue_->release("high", "pacs");
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high", "medium"));
  reopen();  // both were being sent
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high", "medium"));
}

TEST_F(PriorityTest, WhatIsDueIsClaimedInItsPlaceAmongWhatIsReady) {
  add("low1", Priority::low);
  add("high1", Priority::high);
  add("waits", Priority::high);
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high1", "waits", "low1"));
  defer("waits", std::chrono::hours(1));
  defer("low1", milliseconds(20));
  defer("high1", milliseconds(20));
  ASSERT_TRUE(test::comes_true([&] { return is_overtaken(Priority::medium); }));
  add("medium", Priority::medium);
  add("high2", Priority::high);
  add("low2", Priority::low);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"),
              ElementsAre("high1", "high2", "medium", "low1", "low2"));
}

// More are due at once than one claim makes ready.
TEST_F(PriorityTest, TheMostUrgentOfALongOutageIsClaimedFirst) {
  constexpr int kMany = 1100;
  for (int n = 0; n < kMany; ++n) {
    add(std::to_string(n), n == kMany - 1 ? Priority::high : Priority::medium);
  }
  ASSERT_EQ(claimed_ids(*queue_, "pacs", kMany).size(), kMany);
  Outcome away = test::outcome("", "pacs", DeliveryState::deferred);
  away.retry_after = milliseconds(1);
  for (int n = 0; n < kMany; ++n) {
    away.instance_id = std::to_string(n);
    queue_->finish(away);
  }
  ASSERT_TRUE(queue_->flush());
  ASSERT_TRUE(test::comes_true([&] { return is_overtaken(Priority::medium); }));
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 2), ElementsAre(std::to_string(kMany - 1), "0"));
}

TEST_F(PriorityTest, TellsWhoHasClaimedWhatIsLessUrgentUntilItIsClaimed) {
  add("medium1", Priority::medium);
  add("medium2", Priority::medium);
  ASSERT_THAT(claimed_ids(*queue_, "pacs", 1), ElementsAre("medium1"));
  EXPECT_FALSE(is_overtaken(Priority::medium)) << "as urgent is not more urgent";
  EXPECT_TRUE(is_overtaken(Priority::low));
  add("low", Priority::low);
  EXPECT_FALSE(is_overtaken(Priority::medium));
  add("high", Priority::high);
  EXPECT_TRUE(is_overtaken(Priority::medium));
  EXPECT_FALSE(is_overtaken(Priority::high));
  EXPECT_FALSE(queue_->has_more_urgent("archive", Priority::low));
  // Given back and claimed anew: he gets on.
  queue_->release("medium1", "pacs");
  ASSERT_THAT(claimed_ids(*queue_, "pacs", 2), ElementsAre("high", "medium1"));
  EXPECT_FALSE(is_overtaken(Priority::medium));
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("medium2", "low"));
  EXPECT_FALSE(is_overtaken(Priority::low));
}

TEST_F(PriorityTest, TellsOfWhatIsDueAndOfWhatAPersonLetGo) {
  add("high", Priority::high);
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high"));
  add("medium", Priority::medium);
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("medium"));
  defer("high", seconds(3600));
  EXPECT_FALSE(is_overtaken(Priority::medium));
  ASSERT_EQ(*queue_->retry({.instance_id = "high"}), 1U);
  EXPECT_TRUE(is_overtaken(Priority::medium));
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high"));
  defer("high", milliseconds(20));
  EXPECT_TRUE(test::comes_true([&] { return is_overtaken(Priority::medium); }));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("high"));
}

TEST_F(PriorityTest, StaysWithWhatIsReleasedFromQuarantine) {
  add("low", Priority::low);
  add("a", {delivery_of(Priority::high, DeliveryState::quarantined)});
  const auto to_pacs = [](const std::string&) { return std::vector<std::string>{"pacs"}; };
  ASSERT_EQ(*queue_->release_quarantined({}, {to_pacs, "anna", "test"}), 1U);
  EXPECT_EQ(test::only_delivery(*queue_, "a").priority, Priority::high);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a", "low"));
}

TEST_F(PriorityTest, OfWhatIsRoutedAnewIsThatOfTodaysRoute) {
  const auto rests = DeliveryState::quarantined;
  add("b", {delivery_of(Priority::medium, rests)});
  add("a", {delivery_of(Priority::low, rests, "r1"), delivery_of(Priority::high, rests, "r2")});
  ASSERT_EQ(*queue_->retry({}), 3U);
  const auto claimed = queue_->claim_for_reroute(10);
  ASSERT_TRUE(claimed);
  EXPECT_THAT(test::ids_of(*claimed), ElementsAre("a", "b")) << "each once, the urgent one first";
  ASSERT_TRUE(queue_->reroute("a", {delivery_of(Priority::low)}, {}));
  ASSERT_TRUE(queue_->reroute("b", {delivery_of(Priority::medium)}, {}));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("b", "a"));
}

// However many wait, no claim sorts or looks at them all.
TEST_F(PriorityTest, ClaimsReadTheIndexInItsOrder) {
  const auto db = sqlite::Connection::open(folder_.path("queue.db"), rows::kFormat);
  ASSERT_TRUE(db);
  const std::string sql = "EXPLAIN QUERY PLAN " + rows::claimable_entries();
  auto plan = (*db)->prepare(sql, {std::string_view("pacs"), std::int64_t{16}});
  ASSERT_TRUE(plan) << plan.error().message;
  std::vector<std::string> steps;
  for (;;) {
    const auto row = plan->step();
    ASSERT_TRUE(row);
    if (!*row) break;
    steps.push_back(plan->text(3));
    EXPECT_THAT(steps.back(), Not(HasSubstr("SCAN")));
    EXPECT_THAT(steps.back(), Not(HasSubstr("B-TREE")));
  }
  ASSERT_FALSE(steps.empty());
  EXPECT_THAT(steps.front(),
              HasSubstr("USING INDEX deliveries_by_state (state=? AND destination=?)"));
}

}  // namespace
}  // namespace sluice
