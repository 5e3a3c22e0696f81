// Destinations of which one is enough.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/deliver/dispatching.h"

namespace sluice::test {
namespace {

// Two PACS, and a group of both. The first has no room as long as it is told so.
struct GroupOfTwo {
  explicit GroupOfTwo(const std::string& mode)
      : a([this](const StoredByPacs&, int) {
          Reaction reaction;
          if (is_full) reaction.status = 0xA700;
          return reaction;
        }),
        parts(dicom_destination("a", a.port()) + dicom_destination("b", b.port()) +
              "[[group]]\nname = \"both\"\ndestinations = [\"a\", \"b\"]\nmode = \"" + mode +
              "\"\n" + route("\"both\"")) {}

  std::atomic<bool> is_full = false;
  ScriptedPacs a;
  ScriptedPacs b;
  GatewayParts parts;
};

TEST(Group, SendsToTheFirstOfAGroupAsLongAsItIsThere) {
  GroupOfTwo group("failover");
  const auto ids = group.parts.receive_many(20, {"both"});
  const auto dispatcher = dispatch(group.parts);
  for (const std::string& id : ids) {
    EXPECT_TRUE(group.parts.wait_for(id, "both", DeliveryState::delivered));
  }
  EXPECT_EQ(group.a.stored().size(), 20U);
  EXPECT_EQ(group.b.associations(), 0);
  EXPECT_EQ(group.parts.delivery(ids[0], "both").reason, "by a");
}

TEST(Group, SendsToTheNextOfAGroupWhileTheFirstIsAway) {
  ScriptedPacs b;
  GatewayParts parts(dicom_destination("a", free_port()) + dicom_destination("b", b.port()) +
                     "[[group]]\nname = \"both\"\ndestinations = [\"a\", \"b\"]\n" +
                     route("\"both\""));
  const auto ids = parts.receive_many(20, {"both"});
  const auto dispatcher = dispatch(parts);
  for (const std::string& id : ids) {
    EXPECT_TRUE(parts.wait_for(id, "both", DeliveryState::delivered));
  }
  EXPECT_EQ(b.stored().size(), 20U);
  EXPECT_EQ(parts.delivery(ids[0], "both").reason, "by b");
}

TEST(Group, SendsToTheNextWhileTheFirstDoesNotTakeUs) {
  GroupOfTwo group("failover");
  group.a.greet(Greeting::reject_permanent);
  const auto ids = group.parts.receive_many(20, {"both"});
  const auto dispatcher = dispatch(group.parts);
  for (const std::string& id : ids) {
    EXPECT_TRUE(group.parts.wait_for(id, "both", DeliveryState::delivered));
  }
  EXPECT_EQ(group.b.stored().size(), 20U);
}

TEST(Group, ReturnsToTheFirstOnceItTakesAgain) {
  GroupOfTwo group("failover");
  group.is_full = true;
  const auto dispatcher = dispatch(group.parts);
  const std::string before = group.parts.receive(small_instance("1.2.3"), {"both"});
  EXPECT_TRUE(group.parts.wait_for(before, "both", DeliveryState::delivered));
  EXPECT_EQ(group.parts.delivery(before, "both").reason, "by b");
  group.is_full = false;
  int next = 0;
  EXPECT_TRUE(wait_until([&] {
    const auto id =
        group.parts.receive(small_instance("1.2.4." + std::to_string(next++)), {"both"});
    return group.parts.wait_for(id, "both", DeliveryState::delivered) &&
           group.parts.delivery(id, "both").reason == "by a";
  }));
}

TEST(Group, SharesOutAmongAGroupThatIsBalanced) {
  // Neither answers before both have one.
  std::atomic<int> waiting = 0;
  const auto wait_for_both = [&](const StoredByPacs&, int) {
    ++waiting;
    EXPECT_TRUE(wait_until([&] { return waiting >= 2; }));
    return Reaction();
  };
  ScriptedPacs a(wait_for_both);
  ScriptedPacs b(wait_for_both);
  GatewayParts parts(dicom_destination("a", a.port(), "associations = 1\n") +
                     dicom_destination("b", b.port(), "associations = 1\n") +
                     "[[group]]\nname = \"both\"\ndestinations = [\"a\", \"b\"]\n"
                     "mode = \"balance\"\n" +
                     route("\"both\""));
  const auto dispatcher = dispatch(parts);
  const auto ids = parts.receive_many(40, {"both"});
  for (const std::string& id : ids) {
    EXPECT_TRUE(parts.wait_for(id, "both", DeliveryState::delivered));
  }
  EXPECT_FALSE(a.stored().empty());
  EXPECT_FALSE(b.stored().empty());
  EXPECT_EQ(a.stored().size() + b.stored().size(), 40U);
}

TEST(Group, ChoosesOneThatIsSlowBeforeOneThatIsAway) {
  ScriptedPacs slow([](const StoredByPacs&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // longer than the patience
    return Reaction();
  });
  GatewayParts parts("[[destination]]\nname = \"away\"\naddress = \"dicom://PACS@127.0.0.1:" +
                     std::to_string(free_port()) + "\"\nretry_min = \"1min\"\n" +
                     dicom_destination("slow", slow.port()) +
                     "[[group]]\nname = \"both\"\ndestinations = [\"away\", \"slow\"]\n"
                     "mode = \"balance\"\n" +
                     route("\"both\""));
  const auto dispatcher = dispatch(parts);
  const std::string to_away = parts.receive(small_instance("1.2.3"), {"away"});
  EXPECT_TRUE(parts.wait_for(to_away, "away", DeliveryState::deferred));
  const std::string to_slow = parts.receive(small_instance("1.2.4"), {"slow"});
  EXPECT_TRUE(parts.wait_for(to_slow, "slow", DeliveryState::delivered));
  EXPECT_EQ(dispatcher->lane("both"), dispatcher->lane("slow"));
  EXPECT_EQ(dispatcher->lane("both"), dispatcher->lane("slow")) << "whoever's turn it is";
}

}  // namespace
}  // namespace sluice::test
