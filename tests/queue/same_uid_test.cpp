// Two instances with one SOP Instance UID: the same bytes go once, other bytes are kept
// side by side and treated as the rules say.
#include "gateway/queue/same_uid.h"

#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::hours;
using test::claimed_ids;
using test::delivery;
using test::open_queue;
using test::outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kOther = "0123456789abcdef0123456789abcdef";  // a digest

InstanceRow one_of(const std::string& id, const std::string& digest = "") {
  InstanceRow row = test::instance(id);
  row.sop_instance_uid = "1.2.3.same";
  if (!digest.empty()) row.digest = digest;
  return row;
}

SameUidRules rules(OtherBytes other_bytes = OtherBytes::quarantine) {
  SameUidRules made;
  made.window = hours(24);
  made.other_bytes = other_bytes;
  made.new_uid = "2.25.7";
  return made;
}

class SameUid : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(check_sums(*queue_)); }
  // What the queue asks to be looked at is sound, unless it is named.
  Added add(const InstanceRow& row, const std::vector<DeliveryRow>& deliveries,
            SameUidRules with = rules(), const std::string& unsound = "") {
    for (;;) {
      const auto added = queue_->add_unless_known(row, deliveries, with);
      if (!added) throw std::runtime_error(added.error().message);
      if (added->to_check.empty()) return *added;
      for (const std::string& id : added->to_check) {
        (id == unsound ? with.unsound : with.sound).push_back(id);
      }
    }
  }
  void end(const std::string& id, const std::string& destination, DeliveryState state) {
    const auto claimed = claimed_ids(*queue_, destination);
    ASSERT_THAT(claimed, ::testing::Contains(id));
    for (const std::string& each : claimed) {
      if (each == id) {
        queue_->finish(outcome(each, destination, state));
      } else {
        queue_->release(each, destination);
      }
    }
    ASSERT_TRUE(queue_->flush());
  }
  InstanceRow row_of(const std::string& id) {
    const auto entries = queue_->list({.instance_id = id});
    if (!entries || entries->empty()) throw std::runtime_error("no " + id);
    return entries->front().instance;
  }
  bool is_kept(const std::string& id) { return !queue_->list({.instance_id = id})->empty(); }

  test::TemporaryFolder folder_;
  test::DoneFiles done_;
  std::unique_ptr<Queue> queue_ = open_queue(folder_.path("queue.db"), done_.hooks());
};

TEST_F(SameUid, SameBytesThatWaitAreADuplicate) {
  EXPECT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  const Added again = add(one_of("b"), {delivery("pacs")});
  EXPECT_TRUE(again.is_duplicate);
  EXPECT_EQ(again.same_as, "a");
  EXPECT_FALSE(is_kept("b"));
  EXPECT_EQ(row_of("a").sent_again, 1U);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
  EXPECT_TRUE(add(one_of("c"), {delivery("pacs")}).is_duplicate) << "while it is being sent";
}

TEST_F(SameUid, TheFileOfTheFirstIsLookedAtBeforeItIsReliedOn) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  SameUidRules with = rules();
  const auto asked = queue_->add_unless_known(one_of("b"), {delivery("pacs")}, with);
  ASSERT_TRUE(asked);
  EXPECT_THAT(asked->to_check, ElementsAre("a"));
  EXPECT_FALSE(asked->is_duplicate);
  EXPECT_EQ(row_of("a").sent_again, 0U) << "nothing was done";

  EXPECT_FALSE(add(one_of("b"), {delivery("pacs")}, rules(), "a").is_duplicate);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a", "b"));
}

TEST_F(SameUid, SameBytesThatWereDeliveredAreADuplicateWithinTheWindow) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  end("a", "pacs", DeliveryState::delivered);
  EXPECT_TRUE(add(one_of("b"), {delivery("pacs")}).is_duplicate);
  SameUidRules past = rules();
  past.window = std::chrono::milliseconds(1);
  ASSERT_TRUE(test::comes_true([&] {
    return std::chrono::system_clock::now() >
           queue_->list({.instance_id = "a"})->front().delivery.updated_at + past.window;
  }));
  EXPECT_FALSE(add(one_of("c"), {delivery("pacs")}, past).is_duplicate);
  SameUidRules off = rules();
  off.window = std::chrono::milliseconds(0);
  EXPECT_FALSE(add(one_of("d"), {delivery("pacs")}, off).is_duplicate) << "though c waits";
}

TEST_F(SameUid, OnlyDestinationsThatLackItGetItAgain) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  end("a", "pacs", DeliveryState::delivered);
  const Added again = add(one_of("b"), {delivery("pacs"), delivery("archive")});
  EXPECT_FALSE(again.is_duplicate);
  EXPECT_EQ(again.same_as, "a");
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), IsEmpty());
  EXPECT_THAT(claimed_ids(*queue_, "archive"), ElementsAre("b"));
}

TEST_F(SameUid, ADestinationThatHoldsItIsTriedWithTheNewOneInItsPlace) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  end("a", "pacs", DeliveryState::held);
  const Added again = add(one_of("b"), {delivery("pacs")});
  EXPECT_FALSE(again.is_duplicate);
  EXPECT_EQ(again.replaced, 1U);
  const DeliveryRow ended = test::only_delivery(*queue_, "a");
  EXPECT_EQ(ended.state, DeliveryState::discarded);
  EXPECT_THAT(ended.reason, HasSubstr("sent again as b"));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("b"));
  EXPECT_TRUE(test::comes_true([&] { return done_.ids() == std::vector<std::string>{"a"}; }));
}

TEST_F(SameUid, ADamagedFileIsKeptAndNotReliedOn) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs"), delivery("archive")}).is_duplicate);
  ASSERT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
  Outcome damaged = outcome("a", "pacs", DeliveryState::held);
  damaged.is_damaged = true;
  queue_->finish(damaged);
  ASSERT_TRUE(queue_->flush());
  EXPECT_TRUE(row_of("a").is_damaged);
  EXPECT_FALSE(add(one_of("b"), {delivery("pacs"), delivery("archive")}).is_duplicate);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("b"));
  EXPECT_THAT(claimed_ids(*queue_, "archive"), ElementsAre("a", "b"));
  EXPECT_THAT(done_.ids(), IsEmpty()) << "a person decides about the damaged one";
  ASSERT_EQ(*queue_->retry({.instance_id = "a"}), 1U);
  EXPECT_FALSE(row_of("a").is_damaged) << "it will be looked at again";
}

TEST_F(SameUid, WhatAPersonDiscardedIsDeliveredWhenItIsSentAgain) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  ASSERT_EQ(*queue_->discard({.instance_id = "a"}, "anna", "wrong patient"), 1U);
  EXPECT_FALSE(add(one_of("b"), {delivery("pacs")}).is_duplicate);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("b"));
}

TEST_F(SameUid, WhatRestsInQuarantineIsNotKeptTwiceAndMakesWayForARoute) {
  const DeliveryRow rests = delivery("", DeliveryState::quarantined);
  ASSERT_FALSE(add(one_of("a"), {rests}).is_duplicate);
  EXPECT_TRUE(add(one_of("b"), {rests}).is_duplicate);
  EXPECT_FALSE(add(one_of("c"), {delivery("pacs")}).is_duplicate);
  EXPECT_EQ(test::only_delivery(*queue_, "a").state, DeliveryState::discarded);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("c"));
}

TEST_F(SameUid, AnotherSyntaxOrClassIsOtherBytes) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  InstanceRow syntax = one_of("b");
  syntax.transfer_syntax_uid = "1.2.840.10008.1.2";
  InstanceRow length = one_of("c");
  ++length.data_set_length;
  InstanceRow sop_class = one_of("d");
  sop_class.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
  for (const InstanceRow& row : {syntax, length, sop_class}) {
    EXPECT_EQ(add(row, {delivery("pacs")}).other_bytes_of, "a");
  }
}

TEST_F(SameUid, OtherBytesRestAndNameTheFirst) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  const auto two = {delivery("pacs"), delivery("archive"),
                    delivery("", DeliveryState::dropped, "research")};
  const Added other = add(one_of("b", kOther), two);
  EXPECT_EQ(other.other_bytes_of, "a");
  const auto entries = queue_->list({.instance_id = "b"});
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 2U) << "one for the route, however many destinations";
  EXPECT_EQ(entries->front().delivery.state, DeliveryState::quarantined);
  EXPECT_EQ(entries->front().delivery.route, "all");
  EXPECT_THAT(entries->front().delivery.reason, HasSubstr("than a"));
  EXPECT_EQ(entries->front().instance.other_bytes_of, "a");
  EXPECT_EQ(entries->back().delivery.state, DeliveryState::dropped);
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a"));
  EXPECT_TRUE(add(one_of("c", kOther), two).is_duplicate) << "the same once more rests already";
  EXPECT_TRUE(add(one_of("d"), {delivery("pacs")}).is_duplicate) << "the first is no other";
}

TEST_F(SameUid, OtherBytesGoWhereTheRuleSaysSo) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  const Added other = add(one_of("b", kOther), {delivery("pacs")}, rules(OtherBytes::deliver));
  EXPECT_EQ(other.other_bytes_of, "a");
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a", "b"));
  EXPECT_EQ(row_of("b").new_sop_instance_uid, "");
}

TEST_F(SameUid, OtherBytesGetAUidOfTheirOwn) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  const SameUidRules new_uid = rules(OtherBytes::new_uid);
  add(one_of("b", kOther), {delivery("pacs")}, new_uid);
  EXPECT_EQ(row_of("b").new_sop_instance_uid, "2.25.7");
  EXPECT_EQ(row_of("a").new_sop_instance_uid, "");
  EXPECT_TRUE(add(one_of("c", kOther), {delivery("pacs")}, new_uid).is_duplicate);
}

TEST_F(SameUid, AUidOnceGivenStaysWhenTheHistoryIsForgotten) {
  SameUidRules new_uid = rules(OtherBytes::new_uid);
  new_uid.had_new_uid = true;
  add(one_of("b", kOther), {delivery("pacs")}, new_uid);
  EXPECT_EQ(row_of("b").new_sop_instance_uid, "2.25.7");
}

TEST_F(SameUid, WhatWentNowhereHoldsNoUid) {
  ASSERT_FALSE(add(one_of("a"), {delivery("", DeliveryState::quarantined)}).is_duplicate);
  EXPECT_EQ(add(one_of("b", kOther), {delivery("pacs")}).other_bytes_of, "a");
  ASSERT_EQ(*queue_->discard({.instance_id = "a"}, "anna", "mended at the modality"), 1U);
  EXPECT_EQ(add(one_of("c", "another digest"), {delivery("pacs")}).other_bytes_of, "");
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("c"));
}

TEST_F(SameUid, RetryAsksAnewWhoHoldsTheUid) {
  ASSERT_FALSE(add(one_of("a"), {delivery("", DeliveryState::quarantined)}).is_duplicate);
  add(one_of("b", kOther), {delivery("pacs")});
  const auto retry = [&](const SameUidRules& with) {
    ASSERT_EQ(*queue_->retry({.instance_id = "b"}), 1U);
    ASSERT_EQ(queue_->claim_for_reroute(5)->size(), 1U);
    ASSERT_TRUE(queue_->reroute("b", {delivery("pacs")}, with));
  };
  retry(rules());
  EXPECT_EQ(test::only_delivery(*queue_, "b").state, DeliveryState::quarantined) << "a rests";
  ASSERT_EQ(*queue_->discard({.instance_id = "a"}, "anna", "b is right"), 1U);
  retry(rules());
  EXPECT_EQ(test::only_delivery(*queue_, "b").state, DeliveryState::ready);
  EXPECT_EQ(row_of("b").other_bytes_of, "");
}

TEST_F(SameUid, RetryGivesAUidOfItsOwnWhenTheRuleSaysSoToday) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  add(one_of("b", kOther), {delivery("pacs")});
  ASSERT_EQ(*queue_->retry({.instance_id = "b"}), 1U);
  ASSERT_EQ(queue_->claim_for_reroute(5)->size(), 1U);
  ASSERT_TRUE(queue_->reroute("b", {delivery("pacs")}, rules(OtherBytes::new_uid)));
  EXPECT_EQ(row_of("b").new_sop_instance_uid, "2.25.7");
  EXPECT_EQ(test::only_delivery(*queue_, "b").state, DeliveryState::ready);
}

TEST_F(SameUid, OfManyAtOnceOneIsDelivered) {
  std::vector<std::future<Added>> senders;
  senders.reserve(8);
  for (int i = 0; i < 8; ++i) {
    senders.push_back(std::async(std::launch::async, [this, i] {
      return add(one_of("s" + std::to_string(i)), {delivery("pacs")});
    }));
  }
  int kept = 0;
  for (auto& sender : senders) kept += sender.get().is_duplicate ? 0 : 1;
  EXPECT_EQ(kept, 1);
  EXPECT_EQ(claimed_ids(*queue_, "pacs").size(), 1U);
}

TEST_F(SameUid, IsRememberedOverARestart) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  add(one_of("b", kOther), {delivery("pacs")}, rules(OtherBytes::new_uid));
  queue_.reset();
  queue_ = open_queue(folder_.path("queue.db"), done_.hooks());
  EXPECT_TRUE(add(one_of("c"), {delivery("pacs")}).is_duplicate);
  EXPECT_EQ(row_of("b").new_sop_instance_uid, "2.25.7");
  EXPECT_EQ(row_of("b").other_bytes_of, "a");
}

TEST_F(SameUid, AReleasedOneServesWhereItWent) {
  ASSERT_FALSE(add(one_of("a"), {delivery("pacs")}).is_duplicate);
  add(one_of("b", kOther), {delivery("pacs")});
  Queue::Release release;
  release.destinations = [](const std::string& route) {
    return route == "all" ? std::vector<std::string>{"pacs"} : std::vector<std::string>{};
  };
  release.who = "anna";
  release.why = "both are right";
  ASSERT_EQ(*queue_->release_quarantined({.instance_id = "b"}, release), 1U);
  const DeliveryRow released = test::only_delivery(*queue_, "b");
  EXPECT_EQ(released.state, DeliveryState::ready);
  EXPECT_EQ(released.destination, "pacs");
  EXPECT_THAT(released.released, HasSubstr("released by anna: both are right (despite: other"));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("a", "b"));
  EXPECT_TRUE(add(one_of("c", kOther), {delivery("pacs")}).is_duplicate);
  queue_->finish(outcome("b", "pacs"));
  ASSERT_TRUE(queue_->flush());
  EXPECT_THAT(test::only_delivery(*queue_, "b").released, HasSubstr("anna")) << "stays on record";
}

TEST_F(SameUid, WhatWasReleasedDoesNotRestAgainWhenItIsSentAgain) {
  const DeliveryRow rests = delivery("", DeliveryState::quarantined);
  ASSERT_FALSE(add(one_of("a"), {rests}).is_duplicate);
  Queue::Release release;
  release.destinations = [](const std::string&) { return std::vector<std::string>{"pacs"}; };
  ASSERT_EQ(*queue_->release_quarantined({.instance_id = "a"}, release), 1U);
  EXPECT_TRUE(add(one_of("b"), {rests}).is_duplicate) << "on its way";
  end("a", "pacs", DeliveryState::delivered);
  EXPECT_TRUE(add(one_of("c"), {rests}).is_duplicate) << "delivered";
}

TEST_F(SameUid, ReleaseLeavesWhatHasNoDestinationAndWhatIsNotQuarantined) {
  ASSERT_FALSE(add(one_of("a"), {delivery("", DeliveryState::quarantined, "")}).is_duplicate);
  InstanceRow elsewhere = one_of("b");
  elsewhere.sop_instance_uid = "1.2.3.b";
  ASSERT_FALSE(add(elsewhere, {delivery("pacs")}).is_duplicate);
  Queue::Release release;
  release.destinations = [](const std::string&) { return std::vector<std::string>{}; };
  EXPECT_EQ(*queue_->release_quarantined({}, release), 0U);
  release.destinations = [](const std::string&) { return std::vector<std::string>{"archive"}; };
  EXPECT_EQ(*queue_->release_quarantined({}, release), 1U);
  EXPECT_THAT(claimed_ids(*queue_, "archive"), ElementsAre("a"));
  EXPECT_THAT(claimed_ids(*queue_, "pacs"), ElementsAre("b"));
}

}  // namespace
}  // namespace sluice
