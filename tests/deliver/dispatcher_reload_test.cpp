// Destinations that change while others are served.
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/deliver/dispatcher.h"
#include "tests/deliver/dispatching.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/deliver/scripted_pacs.h"

namespace sluice::test {
namespace {

using std::chrono::steady_clock;

void reload_destinations(GatewayParts& parts, Dispatcher& dispatcher, const std::string& toml) {
  const auto next = parts.make_setup(toml);
  auto change = dispatcher.prepare(*next);
  parts.current().set(next);
  dispatcher.apply(std::move(change));
}

TEST(DispatcherReload, LeavesWhatDidNotChangeAndSendsByTheNewSettings) {
  ScriptedPacs same;
  ScriptedPacs before;
  ScriptedPacs after;
  const std::string kept = dicom_destination("same", same.port(), "associations = 1\n");
  const std::string routes = route("\"same\", \"moved\"");
  GatewayParts parts(kept + dicom_destination("moved", before.port()) + routes);
  const auto dispatcher = dispatch(parts);
  const auto lane = dispatcher->lane("same");
  const std::string first = parts.receive(small_instance("1.2.3.1"), {"same", "moved"});
  EXPECT_TRUE(parts.wait_for(first, "same", DeliveryState::delivered));
  EXPECT_TRUE(parts.wait_for(first, "moved", DeliveryState::delivered));
  reload_destinations(parts, *dispatcher, kept + dicom_destination("moved", after.port()) + routes);
  EXPECT_EQ(dispatcher->lane("same"), lane);
  const std::string second = parts.receive(small_instance("1.2.3.2"), {"same", "moved"});
  EXPECT_TRUE(parts.wait_for(second, "same", DeliveryState::delivered));
  EXPECT_TRUE(parts.wait_for(second, "moved", DeliveryState::delivered));
  EXPECT_EQ(same.associations(), 1);
  EXPECT_EQ(before.stored().size(), 1U);
  EXPECT_EQ(after.stored().size(), 1U);
}

TEST(DispatcherReload, KeepsALaneThatIsGoneForWhoBeganWithItAndTakesNothingForIt) {
  ScriptedPacs pacs;
  ScriptedPacs other;
  const std::string rest = dicom_destination("other", other.port()) + route("\"other\"");
  GatewayParts parts(dicom_destination("gone", pacs.port()) + rest);
  const auto dispatcher = dispatch(parts);
  auto user = parts.current().get();  // as an association has it
  reload_destinations(parts, *dispatcher, rest);
  const auto lane = dispatcher->lane("gone");
  ASSERT_NE(lane, nullptr);
  EXPECT_FALSE(lane->is_prompt());
  const std::string id = parts.receive(small_instance("1.2.3.1"), {"gone"});
  const auto until = steady_clock::now() + std::chrono::seconds(30);
  ASSERT_TRUE(lane->wait_ended(until));
  // What was added as `sending` is ready again, for when the destination comes back.
  ASSERT_TRUE(parts.queue().claim("gone", 1));
  lane->hand_over({parts.row(id), parts.delivery(id, "gone")});
  EXPECT_TRUE(parts.wait_for(id, "gone", DeliveryState::ready));
  dispatcher->keep_house();
  EXPECT_NE(dispatcher->lane("gone"), nullptr);
  user.reset();
  dispatcher->keep_house();
  EXPECT_EQ(dispatcher->lane("gone"), nullptr);
  reload_destinations(parts, *dispatcher, dicom_destination("gone", pacs.port()) + rest);
  EXPECT_TRUE(parts.wait_for(id, "gone", DeliveryState::delivered));
}

std::string group_of(const std::string& destinations) {
  return "[[group]]\nname = \"both\"\ndestinations = [" + destinations + "]\n";
}

// Of the group "both": who had an instance that is received now.
std::string receiver(GatewayParts& parts, const std::string& uid) {
  const std::string id = parts.receive(small_instance(uid), {"both"});
  EXPECT_TRUE(parts.wait_for(id, "both", DeliveryState::delivered));
  return parts.delivery(id, "both").reason;
}

TEST(DispatcherReload, ServesAGroupInItsNewOrderByTheSameLanes) {
  ScriptedPacs a;
  ScriptedPacs b;
  const std::string pacs = dicom_destination("a", a.port()) + dicom_destination("b", b.port());
  const std::string routes = route("\"both\"");
  GatewayParts parts(pacs + group_of("\"a\", \"b\"") + routes);
  const auto dispatcher = dispatch(parts);
  const auto lane_a = dispatcher->lane("a");
  const auto lane_b = dispatcher->lane("b");
  EXPECT_EQ(dispatcher->lane("both"), lane_a);
  EXPECT_EQ(receiver(parts, "1.2.3.1"), "by a");
  reload_destinations(parts, *dispatcher, pacs + group_of("\"b\", \"a\"") + routes);
  EXPECT_EQ(dispatcher->lane("a"), lane_a);
  EXPECT_EQ(dispatcher->lane("b"), lane_b);
  EXPECT_EQ(dispatcher->lane("both"), lane_b);
  EXPECT_EQ(receiver(parts, "1.2.3.2"), "by b");
}

TEST(DispatcherReload, ReturnsToTheFirstOfAGroupThatMoved) {
  ScriptedPacs moved;
  ScriptedPacs b;
  const std::string rest =
      dicom_destination("b", b.port()) + group_of("\"a\", \"b\"") + route("\"both\"");
  GatewayParts parts(dicom_destination("a", free_port()) + rest);
  const auto dispatcher = dispatch(parts);
  const auto lane_b = dispatcher->lane("b");
  EXPECT_EQ(receiver(parts, "1.2.3.1"), "by b");
  reload_destinations(parts, *dispatcher, dicom_destination("a", moved.port()) + rest);
  EXPECT_EQ(dispatcher->lane("b"), lane_b);
  // What b had claimed already it may still send.
  int next = 2;
  EXPECT_TRUE(
      wait_until([&] { return receiver(parts, "1.2.3." + std::to_string(next++)) == "by a"; }));
}

TEST(DispatcherReload, KeepsAGroupThatIsGoneForWhoBeganWithIt) {
  ScriptedPacs a;
  ScriptedPacs b;
  const std::string pacs = dicom_destination("a", a.port()) + dicom_destination("b", b.port());
  GatewayParts parts(pacs + group_of("\"a\", \"b\"") + route("\"both\""));
  const auto dispatcher = dispatch(parts);
  auto user = parts.current().get();  // as an association has it
  reload_destinations(parts, *dispatcher, pacs + route("\"a\""));
  EXPECT_EQ(dispatcher->lane("both"), dispatcher->lane("a"));
  const std::string id = parts.receive(small_instance("1.2.3.1"), {"both"});
  user.reset();
  dispatcher->keep_house();
  EXPECT_EQ(dispatcher->lane("both"), nullptr);
  EXPECT_EQ(parts.delivery(id, "both").state, DeliveryState::ready);
  reload_destinations(parts, *dispatcher, pacs + group_of("\"b\", \"a\"") + route("\"both\""));
  EXPECT_TRUE(parts.wait_for(id, "both", DeliveryState::delivered));
  EXPECT_EQ(parts.delivery(id, "both").reason, "by b");
}

TEST(DispatcherReload, LeavesADestinationWhoseFiltersChangedAlone) {
  ScriptedPacs pacs;
  const std::string station =
      "[[filter]]\nname = \"station\"\ntype = \"edit\"\n"
      "[[filter.rule]]\nattribute = \"StationName\"\nset = \"CT1\"\n";
  GatewayParts parts(dicom_destination("pacs", pacs.port()) + route("\"pacs\""));
  const auto dispatcher = dispatch(parts);
  const auto lane = dispatcher->lane("pacs");
  reload_destinations(parts, *dispatcher,
                      station +
                          dicom_destination("pacs", pacs.port(), "filters = [\"station\"]\n") +
                          route("\"pacs\""));
  EXPECT_EQ(dispatcher->lane("pacs"), lane);
  const std::string id = parts.receive(small_instance("1.2.3.1"), {"pacs"});
  EXPECT_TRUE(parts.wait_for(id, "pacs", DeliveryState::delivered));
  ASSERT_EQ(pacs.stored().size(), 1U);
  EXPECT_THAT(pacs.stored()[0].data_set, ::testing::HasSubstr("CT1"));
}

}  // namespace
}  // namespace sluice::test
