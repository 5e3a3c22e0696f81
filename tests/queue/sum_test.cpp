// All that was ever accepted is accounted for, whatever becomes of it.
#include "gateway/queue/sum.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "gateway/base/counter.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using test::delivery;
using test::instance;
using test::outcome;

class Sum : public ::testing::Test {
 protected:
  void add(const std::string& id, const std::vector<DeliveryRow>& deliveries) {
    const auto added = queue_->add(instance(id), deliveries);
    ASSERT_TRUE(added) << added.error().message;
    expect_right("add " + id);
  }
  // Of what "pacs" has to do, the next ends so.
  void end_next(DeliveryState state) {
    const auto claimed = queue_->claim("pacs", 1);
    ASSERT_TRUE(claimed && claimed->size() == 1);
    expect_right("claim");
    Outcome one = outcome(claimed->front().instance.id, "pacs", state);
    one.retry_after = std::chrono::hours(1);
    queue_->finish(one);
    ASSERT_TRUE(queue_->flush());
    expect_right("finish");
  }
  void expect_right(const std::string& after) {
    const auto sums = queue_->sums();
    ASSERT_TRUE(sums) << sums.error().message;
    EXPECT_TRUE(sums->add_up()) << after;
  }
  DeliverySum of(const std::string& destination) {
    const auto sums = queue_->sums();
    if (!sums) throw std::runtime_error(sums.error().message);
    for (const DeliverySum& sum : sums->deliveries) {
      if (sum.destination == destination) return sum;
    }
    return {};
  }
  void reopen() {
    queue_.reset();
    queue_ = test::open_queue(path_);
  }
  void change_file(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  static std::uint64_t told() { return counted("sluice_queue_errors_total", {{"reason", "sum"}}); }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.path("queue.db");
  std::unique_ptr<Queue> queue_ = test::open_queue(path_);
};

TEST_F(Sum, HasEachEndOfADeliveryInItsPlace) {
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) add(id, {delivery("pacs")});
  add("dropped", {delivery("", DeliveryState::dropped)});
  add("rests", {delivery("", DeliveryState::quarantined)});
  for (const DeliveryState state : {DeliveryState::delivered, DeliveryState::held,
                                    DeliveryState::deferred, DeliveryState::discarded}) {
    end_next(state);
  }
  ASSERT_EQ(queue_->claim("pacs", 1)->size(), 1U);
  const DeliverySum pacs = of("pacs");
  EXPECT_EQ(pacs.accepted, 6U);
  EXPECT_EQ(pacs.delivered, 1U);
  EXPECT_EQ(pacs.held, 1U);
  EXPECT_EQ(pacs.deferred, 1U);
  EXPECT_EQ(pacs.discarded, 1U);
  EXPECT_EQ(pacs.sending, 1U);
  EXPECT_EQ(pacs.ready, 1U);
  EXPECT_EQ(of("").dropped, 1U);
  EXPECT_EQ(of("").quarantined, 1U);
  const auto sums = queue_->sums();
  const InstanceSum& instances = sums->instances;
  EXPECT_EQ(instances.accepted, 8U);
  EXPECT_EQ(instances.finished, 3U);

  ASSERT_EQ(*queue_->discard({}, "anna", "test"), 4U) << "all but the one under way";
  expect_right("discard");
  EXPECT_EQ(of("pacs").discarded, 4U);
  EXPECT_EQ(of("").discarded, 1U);
}

TEST_F(Sum, FollowsWhatLeavesItsQuarantine) {
  add("a", {delivery("", DeliveryState::quarantined, "r1"),
            delivery("", DeliveryState::quarantined, "r2")});
  ASSERT_EQ(*queue_->retry({.states = {DeliveryState::quarantined}}), 2U);
  ASSERT_EQ(queue_->claim_for_reroute(10)->size(), 1U);
  ASSERT_TRUE(queue_->reroute("a", {delivery("pacs"), delivery("", DeliveryState::dropped)}, {}));
  expect_right("reroute");
  EXPECT_EQ(of("").rerouted, 2U);
  EXPECT_EQ(of("").accepted, 3U);

  add("b", {delivery("", DeliveryState::quarantined)});
  Queue::Release release;
  release.destinations = [](const std::string&) {
    return std::vector<std::string>{"pacs", "archive"};
  };
  ASSERT_EQ(*queue_->release_quarantined({.instance_id = "b"}, release), 1U);
  expect_right("release");
  EXPECT_EQ(of("").rerouted, 3U);
  EXPECT_EQ(of("pacs").accepted, 2U);
  EXPECT_EQ(of("archive").ready, 1U);
}

TEST_F(Sum, TellsWhatWasReplacedFromWhatWasDiscarded) {
  SameUidRules rules;
  rules.window = std::chrono::hours(24);
  InstanceRow again = instance("again");
  again.sop_instance_uid = instance("a").sop_instance_uid;
  add("a", {delivery("pacs"), delivery("archive")});
  end_next(DeliveryState::held);
  const auto archived = queue_->claim("archive", 1);
  queue_->finish(outcome("a", "archive"));
  ASSERT_TRUE(queue_->flush());
  const auto added =
      queue_->add_unless_known(again, {delivery("pacs"), delivery("archive")}, rules);
  ASSERT_TRUE(added && added->replaced == 1U);
  expect_right("replace");
  EXPECT_EQ(of("pacs").replaced, 1U);
  EXPECT_EQ(of("pacs").discarded, 0U);
  EXPECT_EQ(queue_->sums()->instances.finished, 1U) << "the first; both its deliveries ended";
  InstanceRow third = again;
  third.id = "third";
  rules.sound = {"again"};
  EXPECT_TRUE(queue_->add_unless_known(third, {delivery("pacs")}, rules)->is_duplicate);
  expect_right("duplicate");
  EXPECT_EQ(queue_->sums()->instances.accepted, 2U) << "a duplicate is not accepted";
}

TEST_F(Sum, OutlivesRestartsAndItsHistory) {
  add("a", {delivery("pacs")});
  add("b", {delivery("pacs")});
  end_next(DeliveryState::delivered);
  EXPECT_FALSE(queue_->add(instance("a"), {delivery("pacs")})) << "refused: the id is known";
  ASSERT_EQ(queue_->claim("pacs", 1)->size(), 1U);
  for (int n = 0; n < 2; ++n) {
    reopen();
    ASSERT_TRUE(queue_->flush());
  }
  expect_right("restart");
  ASSERT_EQ(*queue_->forget_before(std::chrono::system_clock::now()), 1U);
  expect_right("forget");
  EXPECT_EQ(of("pacs").accepted, 2U);
  EXPECT_EQ(of("pacs").delivered, 1U);
  EXPECT_EQ(of("pacs").ready, 1U);
  EXPECT_EQ(queue_->sums()->instances.finished, 1U);
}

TEST_F(Sum, TellsOfARowThatIsGone) {
  add("a", {delivery("pacs")});
  add("b", {delivery("pacs")});
  const std::uint64_t before = told();
  EXPECT_TRUE(check_sums(*queue_));
  EXPECT_EQ(told(), before);
  change_file("DELETE FROM deliveries WHERE delivery = 1");
  EXPECT_FALSE(check_sums(*queue_));
  EXPECT_EQ(told(), before + 2) << "of its destination, and of the instances";
}

TEST_F(Sum, TellsOfAnInstanceThatEndedAndIsNotEndedAnyMore) {
  add("a", {delivery("pacs")});
  end_next(DeliveryState::delivered);
  EXPECT_TRUE(check_sums(*queue_));
  change_file("UPDATE deliveries SET state = 'ready'");
  EXPECT_FALSE(check_sums(*queue_));
}

}  // namespace
}  // namespace sluice
