// What a queue does in one process: states, order, waiting, restarts.
#include "gateway/queue/queue.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::claimed_ids;
using test::delivery;
using test::in;
using test::instance;
using test::open_queue;
using test::outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class QueueTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void TearDown() override { EXPECT_TRUE(queue_ == nullptr || check_sums(*queue_)); }
  void reopen() {
    queue_.reset();
    queue_ = open_queue(path(), done_.hooks());
  }
  [[nodiscard]] std::string path() const { return folder_.path("queue.db"); }
  void add(const std::string& id, const std::vector<DeliveryRow>& deliveries) {
    const auto added = queue_->add(instance(id), deliveries);
    ASSERT_TRUE(added) << added.error().message;
  }
  void finish(const Outcome& one) {
    queue_->finish(one);
    ASSERT_TRUE(queue_->flush());
  }
  // Changes the file behind the queue's back, as a clock or another program would.
  void change_file(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  test::TemporaryFolder folder_;
  test::DoneFiles done_;
  std::unique_ptr<Queue> queue_;
};

TEST_F(QueueTest, KeepsEveryFieldOverRestart) {
  InstanceRow row = instance("a");
  row.calling_ae_title = std::string("A\0B\xff'", 5);
  ASSERT_TRUE(queue_->add(row, {delivery("pacs")}));
  reopen();
  const auto entries = queue_->list({});
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1U);
  const InstanceRow& found = entries->front().instance;
  EXPECT_EQ(found.id, row.id);
  EXPECT_EQ(found.received_at, row.received_at);
  EXPECT_EQ(found.calling_ae_title, row.calling_ae_title);
  EXPECT_EQ(found.called_ae_title, row.called_ae_title);
  EXPECT_EQ(found.peer_address, row.peer_address);
  EXPECT_EQ(found.listener, row.listener);
  EXPECT_EQ(found.sop_class_uid, row.sop_class_uid);
  EXPECT_EQ(found.sop_instance_uid, row.sop_instance_uid);
  EXPECT_EQ(found.study_instance_uid, row.study_instance_uid);
  EXPECT_EQ(found.series_instance_uid, row.series_instance_uid);
  EXPECT_EQ(found.transfer_syntax_uid, row.transfer_syntax_uid);
  EXPECT_EQ(found.data_set_offset, row.data_set_offset);
  EXPECT_EQ(found.data_set_length, row.data_set_length);
  EXPECT_EQ(found.digest, row.digest);
  EXPECT_EQ(entries->front().delivery.instance_id, "a");
  EXPECT_EQ(entries->front().delivery.route, "all");
  EXPECT_EQ(entries->front().delivery.state, DeliveryState::ready);
}

TEST_F(QueueTest, StateNamesReadBack) {
  for (int i = 0; i < 8; ++i) {
    const auto state = static_cast<DeliveryState>(i);
    EXPECT_EQ(parse_delivery_state(to_string(state)), state);
  }
  EXPECT_EQ(parse_delivery_state("lost"), std::nullopt);
}

TEST_F(QueueTest, ClaimsInOrderOfReceiptUpToTheLimit) {
  for (const char* id : {"b", "a", "c"}) add(id, {delivery("pacs"), delivery("archive")});
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 2), ElementsAre("b", "a"));
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 2), ElementsAre("c"));
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 2), IsEmpty());
  EXPECT_THAT(claimed_ids(*queue_, "archive"), ElementsAre("b", "a", "c"));
  EXPECT_THAT(claimed_ids(*queue_, "unknown"), IsEmpty());
}

TEST_F(QueueTest, RefusesAKnownIdAndAnInstanceWithoutDelivery) {
  add("a", {delivery("pacs")});
  const auto again = queue_->add(instance("a"), {delivery("pacs")});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::permanent);
  const auto nowhere = queue_->add(instance("b"), {});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, ErrorCode::permanent);
  EXPECT_FALSE(queue_->is_faulted());
  EXPECT_THAT(test::ids_of(*queue_->list({})), ElementsAre("a"));
}

TEST_F(QueueTest, FileIsDoneWithTheLastDelivery) {
  add("a", {delivery("pacs"), delivery("archive"), delivery("", DeliveryState::dropped, "r2")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  ASSERT_EQ(claimed_ids(*queue_, "archive").size(), 1U);
  finish(outcome("a", "pacs"));
  EXPECT_THAT(done_.ids(), IsEmpty());
  EXPECT_THAT(*queue_->unfinished_instances(), ElementsAre("a"));
  finish(outcome("a", "archive"));
  EXPECT_THAT(done_.ids(), ElementsAre("a"));
  EXPECT_THAT(*queue_->unfinished_instances(), IsEmpty());
  reopen();
  ASSERT_TRUE(queue_->flush());
  EXPECT_THAT(done_.ids(), ElementsAre("a")) << "noted before the queue closed";
}

TEST_F(QueueTest, DroppedInstanceIsDoneAtOnce) {
  add("a", {delivery("", DeliveryState::dropped)});
  ASSERT_TRUE(queue_->flush());
  EXPECT_THAT(done_.ids(), ElementsAre("a"));
}

TEST_F(QueueTest, FileThatWasNotRemovedBeforeACrashIsDoneAtTheNextStart) {
  add("a", {delivery("", DeliveryState::dropped)});
  queue_.reset();
  change_file("UPDATE instances SET file = 1");
  reopen();
  EXPECT_TRUE(test::comes_true([&] { return done_.ids().size() == 2; }));
}

TEST_F(QueueTest, FileThatCouldNotBeRemovedIsTriedAgainAtTheNextStart) {
  done_.fail(true);
  add("a", {delivery("", DeliveryState::dropped)});
  ASSERT_TRUE(queue_->flush());
  EXPECT_THAT(done_.ids(), ElementsAre("a"));
  reopen();
  EXPECT_TRUE(test::comes_true([&] { return done_.ids().size() == 2; }));
  done_.fail(false);
  reopen();
  EXPECT_TRUE(test::comes_true([&] { return done_.ids().size() == 3; }));
  reopen();
  ASSERT_TRUE(queue_->flush());
  queue_.reset();
  EXPECT_THAT(done_.ids(), ElementsAre("a", "a", "a")) << "removed, and noted";
}

TEST_F(QueueTest, HeldKeepsItsFileReasonAndStatus) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  Outcome refused = outcome("a", "pacs", DeliveryState::held);
  refused.reason = "refused by PACS";
  refused.status = "C000";
  refused.counts_as_failure = true;
  finish(refused);
  reopen();
  const DeliveryRow row = test::only_delivery(*queue_, "a");
  EXPECT_EQ(row.state, DeliveryState::held);
  EXPECT_EQ(row.reason, "refused by PACS");
  EXPECT_EQ(row.status, "C000");
  EXPECT_EQ(row.attempts, 1);
  EXPECT_EQ(row.failures, 1);
  EXPECT_THAT(done_.ids(), IsEmpty());
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), IsEmpty());
}

TEST_F(QueueTest, ReturnsSendingToReadyAfterRestart) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  reopen();
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
}

TEST_F(QueueTest, ReleasedIsReadyWithoutAnAttempt) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  queue_->release("a", "pacs");
  ASSERT_TRUE(queue_->flush());
  EXPECT_EQ(test::only_delivery(*queue_, "a").attempts, 0);
  EXPECT_TRUE(queue_->wait_for_work("pacs", in(milliseconds(0))));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
}

TEST_F(QueueTest, DeferredIsClaimedWhenDueAndNotBefore) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  Outcome away = outcome("a", "pacs", DeliveryState::deferred);
  away.retry_after = milliseconds(300);
  const auto deferred_at = std::chrono::steady_clock::now();
  finish(away);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), IsEmpty());
  ASSERT_TRUE(queue_->wait_for_work("pacs", in(seconds(20))));
  EXPECT_GE(std::chrono::steady_clock::now() - deferred_at, milliseconds(300));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
}

TEST_F(QueueTest, FullClaimLeavesTheRestToOtherThreads) {
  for (const char* id : {"a", "b", "c"}) add(id, {delivery("pacs")});
  Outcome later = outcome("", "pacs", DeliveryState::deferred);
  later.retry_after = milliseconds(1);
  for (const std::string& id : claimed_ids(*queue_, "pacs")) {
    later.instance_id = id;
    finish(later);
  }
  std::this_thread::sleep_for(milliseconds(20));  // all are due then, and made ready at once
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 1), ElementsAre("a"));
  EXPECT_TRUE(queue_->wait_for_work("pacs", std::chrono::steady_clock::now()));
  EXPECT_THAT(claimed_ids(*queue_, "pacs", 1), ElementsAre("b"));
}

TEST_F(QueueTest, OldWaitDoesNotShortenANewOne) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  Outcome away = outcome("a", "pacs", DeliveryState::deferred);
  away.retry_after = milliseconds(500);
  finish(away);
  ASSERT_EQ(*queue_->retry({}), 1U);
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  away.retry_after = hours(1);
  finish(away);
  EXPECT_TRUE(test::comes_true([&] {  // the first wait has ended
    return queue_->wait_for_work("pacs", in(milliseconds(0)));
  }));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), IsEmpty());
}

TEST_F(QueueTest, RestartKeepsTheRestOfABackOffAndItsCount) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  Outcome away = outcome("a", "pacs", DeliveryState::deferred);
  away.retry_after = hours(1);
  finish(away);
  reopen();
  EXPECT_EQ(test::only_delivery(*queue_, "a").attempts, 1);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), IsEmpty());
  EXPECT_FALSE(queue_->wait_for_work("pacs", in(milliseconds(20))));
}

// The wall clock was an hour ahead when the wait began: only the wait itself counts.
TEST_F(QueueTest, ClockSetBackCannotLengthenABackOff) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  Outcome away = outcome("a", "pacs", DeliveryState::deferred);
  away.retry_after = milliseconds(200);
  finish(away);
  queue_.reset();
  change_file("UPDATE deliveries SET next_attempt = next_attempt + 3600000000");
  reopen();
  claimed_ids(*queue_, "pacs");
  ASSERT_TRUE(queue_->wait_for_work("pacs", in(seconds(20))));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
}

TEST_F(QueueTest, WaitEndsWithWorkForThisDestinationOnly) {
  EXPECT_TRUE(queue_->wait_for_work("pacs", in(seconds(0)))) << "nobody has looked yet";
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), IsEmpty());
  add("a", {delivery("archive")});
  EXPECT_FALSE(queue_->wait_for_work("pacs", in(milliseconds(20))));
  std::thread sender([&] { add("b", {delivery("pacs")}); });
  EXPECT_TRUE(queue_->wait_for_work("pacs", in(seconds(20))));
  sender.join();
}

TEST_F(QueueTest, WakeEndsWaitingAlsoOfAThreadThatDoesNotWaitYet) {
  claimed_ids(*queue_, "pacs");
  queue_->wake();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(queue_->wait_for_work("pacs", in(seconds(60))));
  std::atomic<bool> waits = false;
  std::thread waker([&] {
    while (!waits) std::this_thread::yield();
    queue_->wake();
  });
  waits = true;
  EXPECT_FALSE(queue_->wait_for_work("pacs", in(seconds(60))));
  waker.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(50));
}

TEST_F(QueueTest, DiscardsWhatRestsAndLeavesWhatIsBeingSent) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  EXPECT_EQ(*queue_->discard({}, "anna", "wrong patient"), 0U);
  Outcome held = outcome("a", "pacs");
  held.state = DeliveryState::held;
  finish(held);
  EXPECT_EQ(*queue_->discard({}, "anna", "wrong patient"), 1U);
  const DeliveryRow row = test::only_delivery(*queue_, "a");
  EXPECT_EQ(row.state, DeliveryState::discarded);
  EXPECT_EQ(row.reason, "discarded by anna: wrong patient");
  ASSERT_TRUE(queue_->flush());
  EXPECT_THAT(done_.ids(), ElementsAre("a"));
  EXPECT_EQ(*queue_->discard({}, "anna", "again"), 0U);
}

TEST_F(QueueTest, OneRouteOfTwoToADestinationIsFinished) {
  add("a",
      {delivery("pacs", DeliveryState::ready, "r1"), delivery("pacs", DeliveryState::ready, "r2")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 2U);
  Outcome one = outcome("a", "pacs");
  one.route = "r2";
  finish(one);
  const auto entries = queue_->list({});
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ(entries->at(0).delivery.state, DeliveryState::sending);
  EXPECT_EQ(entries->at(1).delivery.state, DeliveryState::delivered);
}

TEST_F(QueueTest, ListFiltersAndCounts) {
  add("a", {delivery("pacs"), delivery("archive")});
  add("b", {delivery("pacs")});
  add("c", {delivery("", DeliveryState::quarantined)});
  ASSERT_EQ(claimed_ids(*queue_, "pacs", 1).size(), 1U);
  const auto list = [&](const QueueFilter& filter) { return test::ids_of(*queue_->list(filter)); };
  EXPECT_THAT(list({}), ElementsAre("a", "a", "b", "c"));
  EXPECT_THAT(list({.limit = 2}), ElementsAre("a", "a"));
  EXPECT_THAT(list({.destination = "pacs"}), ElementsAre("a", "b"));
  EXPECT_THAT(list({.sop_instance_uid = "1.2.3.b"}), ElementsAre("b"));
  EXPECT_THAT(list({.states = {DeliveryState::sending, DeliveryState::quarantined}}),
              ElementsAre("a", "c"));
  EXPECT_THAT(list({.instance_id = "a", .states = {DeliveryState::ready}}), ElementsAre("a"));

  std::set<std::tuple<std::string, DeliveryState, std::uint64_t>> counts;
  const auto counted = queue_->counts();
  for (const Queue::Count& one : *counted) counts.insert({one.destination, one.state, one.count});
  EXPECT_THAT(counts,
              ::testing::UnorderedElementsAre(std::tuple("pacs", DeliveryState::sending, 1U),
                                              std::tuple("pacs", DeliveryState::ready, 1U),
                                              std::tuple("archive", DeliveryState::ready, 1U),
                                              std::tuple("", DeliveryState::quarantined, 1U)));
}

TEST_F(QueueTest, RetryMakesHeldReadyAndForgetsItsFailures) {
  add("a", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
  Outcome refused = outcome("a", "pacs", DeliveryState::held);
  refused.counts_as_failure = true;
  finish(refused);
  claimed_ids(*queue_, "pacs");
  EXPECT_EQ(*queue_->retry({.destination = "elsewhere"}), 0U);
  EXPECT_EQ(*queue_->retry({.destination = "pacs"}), 1U);
  EXPECT_EQ(test::only_delivery(*queue_, "a").failures, 0);
  EXPECT_EQ(test::only_delivery(*queue_, "a").attempts, 1);
  EXPECT_TRUE(queue_->wait_for_work("pacs", in(seconds(0))));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
}

TEST_F(QueueTest, QuarantinedIsReroutedAfterRetry) {
  add("a", {delivery("archive"), delivery("", DeliveryState::quarantined, "r1"),
            delivery("", DeliveryState::quarantined, "r2")});
  EXPECT_THAT(*queue_->claim_for_reroute(10), IsEmpty());
  EXPECT_EQ(*queue_->retry({.states = {DeliveryState::quarantined}}), 2U);
  const auto claimed = queue_->claim_for_reroute(10);
  ASSERT_EQ(claimed->size(), 1U) << "one entry for an instance";
  EXPECT_EQ(claimed->front().instance.id, "a");
  EXPECT_THAT(*queue_->claim_for_reroute(10), IsEmpty());
  reopen();
  ASSERT_EQ(queue_->claim_for_reroute(10)->size(), 1U) << "the one who claimed it has stopped";

  ASSERT_EQ(claimed_ids(*queue_, "archive").size(), 1U);
  finish(outcome("a", "archive"));
  ASSERT_TRUE(queue_->reroute("a", {delivery("pacs"), delivery("archive")}, {}));
  const auto entries = queue_->list({});
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ(entries->at(0).delivery.destination, "archive");
  EXPECT_EQ(entries->at(0).delivery.state, DeliveryState::delivered);
  EXPECT_EQ(entries->at(1).delivery.destination, "pacs");
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));

  EXPECT_EQ(queue_->reroute("a", {delivery("pacs")}, {}).error().code, ErrorCode::permanent);
  EXPECT_EQ(queue_->reroute("z", {delivery("pacs")}, {}).error().code, ErrorCode::permanent);
}

TEST_F(QueueTest, ReroutedToWhatIsDeliveredAlreadyIsDone) {
  add("a", {delivery("archive"), delivery("", DeliveryState::quarantined, "r1")});
  ASSERT_EQ(claimed_ids(*queue_, "archive").size(), 1U);
  finish(outcome("a", "archive"));
  EXPECT_THAT(done_.ids(), IsEmpty());
  ASSERT_EQ(*queue_->retry({.instance_id = "a"}), 1U);
  ASSERT_TRUE(queue_->reroute("a", {delivery("archive", DeliveryState::ready, "other")}, {}));
  ASSERT_TRUE(queue_->flush());
  EXPECT_THAT(done_.ids(), ElementsAre("a"));
}

TEST_F(QueueTest, FailedRerouteLeavesTheQuarantine) {
  add("a", {delivery("", DeliveryState::quarantined)});
  EXPECT_FALSE(queue_->reroute("a", {}, {}));
  EXPECT_EQ(test::only_delivery(*queue_, "a").state, DeliveryState::quarantined);
}

TEST_F(QueueTest, ForgetsOnlyOldFinishedHistory) {
  for (int i = 0; i < 1100; ++i) {
    add("old" + std::to_string(i), {delivery("", DeliveryState::dropped)});
  }
  add("waits", {delivery("pacs")});
  InstanceRow recent = instance("recent");
  recent.received_at = std::chrono::system_clock::now();
  ASSERT_TRUE(queue_->add(recent, {delivery("", DeliveryState::dropped)}));
  reopen();  // every removed file is noted
  ASSERT_TRUE(queue_->flush());
  EXPECT_EQ(*queue_->forget_before(std::chrono::system_clock::now() - hours(1)), 1100U);
  EXPECT_THAT(test::ids_of(*queue_->list({})), ElementsAre("waits", "recent"));
}

TEST_F(QueueTest, DatabaseIsForTheOwnerOnly) {
  add("a", {delivery("pacs")});
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const auto mode = std::filesystem::status(path() + suffix).permissions();
    EXPECT_EQ(mode & std::filesystem::perms::mask, std::filesystem::perms(0600)) << suffix;
  }
}

TEST_F(QueueTest, GarbageIsReportedAsCorrupt) {
  queue_.reset();
  std::ofstream(path(), std::ios::binary) << std::string(8192, 'g');
  const auto opened = Queue::open(path(), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
  EXPECT_THAT(opened.error().message, HasSubstr(path()));
  EXPECT_THAT(opened.error().message, HasSubstr("restore"));
}

TEST_F(QueueTest, NewerFormatAndForeignFileAreRefused) {
  queue_.reset();
  change_file("PRAGMA user_version = 1000");
  auto opened = Queue::open(path(), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::configuration);
  EXPECT_THAT(opened.error().message, HasSubstr("format 1000"));
  change_file("PRAGMA user_version = 1; PRAGMA application_id = 1");
  opened = Queue::open(path(), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::configuration);
}

TEST_F(QueueTest, UnusablePathIsAConfigurationError) {
  const auto opened = Queue::open(folder_.path("absent/queue.db"), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::configuration);
  const auto beside = Queue::open_beside(folder_.path("absent.db"));
  ASSERT_FALSE(beside);
  EXPECT_EQ(beside.error().code, ErrorCode::configuration);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("absent.db")));
}

TEST_F(QueueTest, CommandLineBesideIsNoticed) {
  add("a", {delivery("pacs")});
  add("b", {delivery("pacs")});
  ASSERT_EQ(claimed_ids(*queue_, "pacs").size(), 2U);
  finish(outcome("a", "pacs", DeliveryState::held));
  claimed_ids(*queue_, "pacs");
  {
    auto beside = Queue::open_beside(path());
    ASSERT_TRUE(beside);
    EXPECT_EQ(test::only_delivery(**beside, "b").state, DeliveryState::sending)
        << "opening beside changes nothing";
    ASSERT_EQ(*(*beside)->retry({.instance_id = "a"}), 1U);
  }
  ASSERT_TRUE(queue_->wait_for_work("pacs", in(seconds(20))));
  EXPECT_TRUE(test::comes_true([&] { return claimed_ids(*queue_, "pacs").size() == 1U; }));

  queue_->release("b", "pacs");
  ASSERT_TRUE(queue_->flush());
  auto beside = Queue::open_beside(path());
  ASSERT_EQ(*(*beside)->discard({.instance_id = "b"}, "anna", "test"), 1U);
  EXPECT_TRUE(test::comes_true([&] { return done_.ids() == std::vector<std::string>{"b"}; }));
}

TEST_F(QueueTest, RerouteAskedForBesideIsOffered) {
  add("a", {delivery("", DeliveryState::quarantined)});
  auto beside = Queue::open_beside(path());
  ASSERT_EQ(*(*beside)->retry({}), 1U);
  EXPECT_EQ(queue_->claim_for_reroute(5)->size(), 1U);
}

}  // namespace
}  // namespace sluice
