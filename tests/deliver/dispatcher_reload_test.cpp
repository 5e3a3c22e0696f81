// Destinations that change while others are served.
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "gateway/deliver/dispatcher.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/deliver/scripted_pacs.h"

namespace sluice::test {
namespace {

using std::chrono::steady_clock;

std::unique_ptr<Dispatcher> start_dispatcher(GatewayParts& parts) {
  auto dispatcher =
      std::make_unique<Dispatcher>(parts.current(), parts.spool(), parts.queue(), parts.ledger());
  dispatcher->start();
  return dispatcher;
}

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
  const auto dispatcher = start_dispatcher(parts);
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
  const auto dispatcher = start_dispatcher(parts);
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

}  // namespace
}  // namespace sluice::test
