#include "gateway/queue/age_watch.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const Time kNow = Time(hours(500'000));
const AgeWatch::Clock::time_point kStart{hours(1)};

Queue::Oldest oldest(const std::string& destination, DeliveryState state,
                     std::chrono::minutes age) {
  return {destination, state, 3, "id", kNow - age};
}

std::uint64_t alarms(const std::string& destination, const std::string& state) {
  return counted("sluice_age_alarms_total", {{"destination", destination}, {"state", state}});
}

TEST(AgeWatch, TellsOnceWhenALimitIsCrossedAndOnceADayAfterwards) {
  AgeWatch watch{config::Gateway{}};
  const auto before = alarms("pacs", "waiting");
  const auto look = [&](minutes age, hours later) {
    watch.judge({oldest("pacs", DeliveryState::ready, age)}, kNow, kStart + later);
    return alarms("pacs", "waiting") - before;
  };
  EXPECT_EQ(look(minutes(59), hours(0)), 0U);
  EXPECT_EQ(look(minutes(60), hours(0)), 1U);
  EXPECT_EQ(look(minutes(61), hours(0)), 1U);
  EXPECT_EQ(look(hours(24), hours(23)), 1U);
  EXPECT_EQ(look(hours(25), hours(24)), 2U);
  EXPECT_EQ(watch.alarms(), 1U);
  watch.judge({}, kNow, kStart + hours(25));
  EXPECT_EQ(watch.alarms(), 0U);
  EXPECT_EQ(look(hours(2), hours(26)), 3U) << "a new one is told at once";
}

TEST(AgeWatch, KeepsDestinationsAndStatesApart) {
  AgeWatch watch{config::Gateway{}};
  watch.judge({oldest("pacs", DeliveryState::ready, hours(2)),
               oldest("pacs", DeliveryState::deferred, minutes(3)),
               oldest("pacs", DeliveryState::held, hours(23)),
               oldest("archive", DeliveryState::held, hours(25)),
               oldest("", DeliveryState::quarantined, hours(25))},
              kNow, kStart);
  EXPECT_EQ(watch.alarms(), 3U);
}

TEST(AgeWatch, ZeroIsNoLimit) {
  config::Gateway gateway;
  gateway.alarm_waiting = std::chrono::milliseconds(0);
  AgeWatch watch(gateway);
  watch.judge({oldest("pacs", DeliveryState::ready, hours(9000))}, kNow, kStart);
  EXPECT_EQ(watch.alarms(), 0U);
  QueueEntry entry;
  entry.instance.received_at = kNow - hours(9000);
  EXPECT_FALSE(is_overdue(entry, gateway, kNow));
  entry.delivery.state = DeliveryState::held;
  EXPECT_TRUE(is_overdue(entry, gateway, kNow));
  entry.delivery.state = DeliveryState::delivered;
  EXPECT_FALSE(is_overdue(entry, gateway, kNow));
}

TEST(AgeWatch, FindsTheOldestOfEachStateInTheQueue) {
  const test::TemporaryFolder folder;
  const auto queue = test::open_queue(folder.path("queue.db"));
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(queue->add(test::instance(id), {test::delivery("pacs")}));
  }
  ASSERT_TRUE(queue->add(test::instance("d"), {test::delivery("", DeliveryState::quarantined)}));
  ASSERT_TRUE(queue->add(test::instance("e"), {test::delivery("", DeliveryState::dropped)}));
  const auto found = queue->oldest();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  for (const Queue::Oldest& one : *found) {
    EXPECT_EQ(one.instance_id, one.state == DeliveryState::ready ? "a" : "d");
    EXPECT_EQ(one.count, one.state == DeliveryState::ready ? 3U : 1U);
    EXPECT_EQ(one.received_at, test::instance("a").received_at);
  }
}

TEST(AgeWatch, DiscardsOnlyWhatIsQuarantinedOnlyWhenToldToAndWithARecord) {
  const test::TemporaryFolder folder;
  const auto queue = test::open_queue(folder.path("queue.db"));
  ASSERT_TRUE(queue->add(test::instance("a"), {test::delivery("", DeliveryState::quarantined)}));
  ASSERT_TRUE(queue->add(test::instance("b"), {test::delivery("pacs", DeliveryState::held)}));
  const Time later = std::chrono::system_clock::now() + hours(24 * 31);
  config::Gateway gateway;
  EXPECT_EQ(*AgeWatch(gateway).discard_old(*queue, later), 0U);
  gateway.discard_quarantined_after = hours(24 * 32);
  EXPECT_EQ(*AgeWatch(gateway).discard_old(*queue, later), 0U);
  gateway.discard_quarantined_after = hours(24 * 30);
  EXPECT_EQ(*AgeWatch(gateway).discard_old(*queue, later), 1U);
  EXPECT_EQ(test::only_delivery(*queue, "b").state, DeliveryState::held);
  const DeliveryRow gone = test::only_delivery(*queue, "a");
  EXPECT_EQ(gone.state, DeliveryState::discarded);
  EXPECT_EQ(gone.reason,
            "discarded by the gateway: in quarantine for longer than discard_quarantined_after");
}

}  // namespace
}  // namespace sluice
