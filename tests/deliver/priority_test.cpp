// Behind a destination that was away, and one that is slow, the most urgent goes first.
#include <atomic>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/deliver/dispatching.h"

namespace sluice::test {
namespace {

using config::Priority;
using testing::ElementsAre;

// DICOM's numbers, PS3.7 9.3.1.1.
constexpr int kMedium = 0;
constexpr int kHigh = 1;
constexpr int kLow = 2;

using Sent = std::pair<std::string, int>;

std::vector<Sent> sent_to(const ScriptedPacs& pacs) {
  std::vector<Sent> sent;
  for (const StoredByPacs& each : pacs.stored()) {
    sent.emplace_back(each.sop_instance_uid, each.priority);
  }
  return sent;
}

std::string receive(OnePacs& one, const std::string& uid, Priority priority) {
  return one.parts.receive(small_instance(uid), {"pacs"}, "all", priority);
}

TEST(DeliveryPriority, SendsTheMostUrgentFirstOnceTheDestinationIsBack) {
  OnePacs one({}, "associations = 1\n");
  one.pacs.greet(Greeting::reject_transient);
  std::vector<std::string> ids;
  for (const auto& [uid, priority] :
       {std::pair("1.2.1", Priority::low), std::pair("1.2.2", Priority::medium),
        std::pair("1.2.3", Priority::high), std::pair("1.2.4", Priority::low),
        std::pair("1.2.5", Priority::medium), std::pair("1.2.6", Priority::high)}) {
    ids.push_back(receive(one, uid, priority));
  }
  const auto dispatcher = dispatch(one.parts);
  ASSERT_TRUE(wait_until([&] { return one.pacs.associations() >= 4; }));
  one.pacs.greet(Greeting::accept);
  for (const std::string& id : ids) {
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
  }
  // Of one priority, who was tried more often lets the other go first.
  std::vector<int> priorities;
  for (const auto& [uid, priority] : sent_to(one.pacs)) priorities.push_back(priority);
  EXPECT_THAT(priorities, ElementsAre(kHigh, kHigh, kMedium, kMedium, kLow, kLow));
}

// Takes one instance, and answers none before it is let go.
struct HeldUpPacs {
  std::atomic<bool> is_held_up = true;
  std::atomic<int> begun = 0;
  OnePacs one{[this](const StoredByPacs&, int) {
                ++begun;
                EXPECT_TRUE(wait_until([this] { return !is_held_up; }));
                return Reaction();
              },
              "associations = 1\n"};
};

// What a worker has claimed already does not keep it waiting.
TEST(DeliveryPriority, SendsWhatIsMoreUrgentBehindTheOneThatIsUnderWay) {
  HeldUpPacs held;
  OnePacs& one = held.one;
  std::vector<std::string> ids;
  for (const char* uid : {"1.2.1", "1.2.2", "1.2.3"}) {
    ids.push_back(receive(one, uid, Priority::low));
  }
  const auto dispatcher = dispatch(one.parts);
  ASSERT_TRUE(wait_until([&] { return held.begun == 1; })) << "all three are claimed by now";
  EXPECT_EQ(one.parts.count_of("pacs", DeliveryState::sending), 3U);
  ids.push_back(receive(one, "1.2.4", Priority::medium));
  ids.push_back(receive(one, "1.2.5", Priority::high));
  held.is_held_up = false;
  for (const std::string& id : ids) {
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
    EXPECT_EQ(one.parts.delivery(id, "pacs").attempts, 1);
  }
  EXPECT_THAT(sent_to(one.pacs),
              ElementsAre(Sent("1.2.1", kLow), Sent("1.2.5", kHigh), Sent("1.2.4", kMedium),
                          Sent("1.2.2", kLow), Sent("1.2.3", kLow)));
}

// The same for what a receiving thread hands over without a claim.
TEST(DeliveryPriority, SendsWhatIsHandedOverByItsPriority) {
  HeldUpPacs held;
  OnePacs& one = held.one;
  std::vector<std::string> ids = {receive(one, "1.2.1", Priority::low),
                                  receive(one, "1.2.6", Priority::low)};
  const auto dispatcher = dispatch(one.parts);
  ASSERT_TRUE(wait_until([&] { return held.begun == 1; })) << "both are claimed by now";
  Lane& lane = *dispatcher->lane("pacs");
  for (const auto& [uid, priority] :
       {std::pair("1.2.2", Priority::low), std::pair("1.2.3", Priority::medium),
        std::pair("1.2.4", Priority::high), std::pair("1.2.5", Priority::medium)}) {
    ids.push_back(
        one.parts.receive(small_instance(uid), {"pacs"}, "all", priority, DeliveryState::sending));
    lane.hand_over({one.parts.row(ids.back()), one.parts.delivery(ids.back(), "pacs")});
  }
  held.is_held_up = false;
  for (const std::string& id : ids) {
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
  }
  EXPECT_THAT(sent_to(one.pacs),
              ElementsAre(Sent("1.2.1", kLow), Sent("1.2.4", kHigh), Sent("1.2.3", kMedium),
                          Sent("1.2.5", kMedium), Sent("1.2.2", kLow), Sent("1.2.6", kLow)));
}

}  // namespace
}  // namespace sluice::test
