// What a destination may ask for: when, how fast, for how long, by which filters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/deliver/dispatching.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A window that is closed for the next hours.
std::string closed_now() {
  const auto hour = std::chrono::duration_cast<std::chrono::hours>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
  const auto clock = [&](long after) {
    const long at = (hour + after) % 24;
    return std::string(at < 10 ? "0" : "") + std::to_string(at) + ":00";
  };
  return "schedule = [ { from = \"" + clock(3) + "\", to = \"" + clock(4) +
         "\", zone = \"UTC\" } ]\n";
}

TEST(DestinationOptions, LetsWaitWhatComesOutsideOfTheSchedule) {
  ScriptedPacs later;
  ScriptedPacs now;
  GatewayParts parts(dicom_destination("later", later.port(), closed_now()) +
                     dicom_destination("now", now.port()) + route("\"later\", \"now\""));
  const std::string id = parts.receive(small_instance("1.2.3"), {"later", "now"});
  const auto dispatcher = dispatch(parts);
  EXPECT_FALSE(dispatcher->lane("later")->is_prompt());
  EXPECT_TRUE(parts.wait_for(id, "now", DeliveryState::delivered));
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  EXPECT_EQ(parts.delivery(id, "later").state, DeliveryState::ready);
  EXPECT_EQ(parts.delivery(id, "later").attempts, 0);
  EXPECT_EQ(later.associations(), 0);
}

TEST(DestinationOptions, KeepsItsPace) {
  OnePacs one({}, "max_rate = 20\n");
  const auto ids = one.parts.receive_many(5, {"pacs"});
  const auto begun = steady_clock::now();
  const auto dispatcher = dispatch(one.parts);
  EXPECT_FALSE(dispatcher->lane("pacs")->is_prompt());
  for (const std::string& id : ids) {
    EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::delivered));
  }
  EXPECT_GE(steady_clock::now() - begun, milliseconds(4 * 50));
}

TEST(DestinationOptions, GivesUpWhatIsNotRequiredInsteadOfHoldingIt) {
  OnePacs one(always(0xC000), "max_failures = 2\nrequired = false\n");
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::discarded));
  const DeliveryRow row = one.parts.delivery(id, "pacs");
  EXPECT_TRUE(row.reason.starts_with("given up")) << row.reason;
  EXPECT_EQ(row.attempts, 2);
  EXPECT_TRUE(wait_until([&] { return one.parts.spool().list()->empty(); }));
}

TEST(DestinationOptions, GivesUpWhatIsNotRequiredAfterItsTimeWithoutTrying) {
  OnePacs one({}, "required = false\ngive_up_after = \"1ms\"\n");
  const std::string id = one.receive("1.2.3");
  ASSERT_TRUE(wait_until([begun = std::chrono::system_clock::now()] {
    return std::chrono::system_clock::now() - begun > milliseconds(2);
  }));
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::discarded));
  EXPECT_TRUE(one.pacs.stored().empty());
}

TEST(DestinationOptions, GivesUpWithWhatKeptItWaiting) {
  OnePacs one({}, "required = false\ngive_up_after = \"200ms\"\n");
  one.pacs.greet(Greeting::reject_transient);
  const std::string id = one.receive("1.2.3");
  const auto dispatcher = dispatch(one.parts);
  EXPECT_TRUE(one.parts.wait_for(id, "pacs", DeliveryState::discarded));
  EXPECT_THAT(one.parts.delivery(id, "pacs").reason, ::testing::HasSubstr("rejected"));
}

TEST(DestinationOptions, RunsTheFiltersOfADestinationBehindThoseOfTheRoute) {
  ScriptedPacs plain;
  ScriptedPacs changed;
  GatewayParts parts(
      "[[filter]]\nname = \"mark\"\ntype = \"edit\"\n"
      "rule = [ { attribute = \"StudyID\", set = \"marked\" } ]\n" +
      dicom_destination("plain", plain.port()) +
      dicom_destination("changed", changed.port(), "filters = [\"mark\"]\n") +
      route("\"plain\", \"changed\""));
  const std::string id = parts.receive(small_instance("1.2.3"), {"plain", "changed"});
  const auto dispatcher = dispatch(parts);
  for (const char* const name : {"plain", "changed"}) {
    EXPECT_TRUE(parts.wait_for(id, name, DeliveryState::delivered));
  }
  EXPECT_EQ(plain.stored().at(0).data_set, small_data_set(kCtStorage, "1.2.3"));
  EXPECT_NE(changed.stored().at(0).data_set.find("marked"), std::string::npos);
}

}  // namespace
}  // namespace sluice::test
