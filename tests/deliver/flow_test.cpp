#include "gateway/deliver/flow.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

config::Destination destination(const std::string& options) {
  config::Mistakes mistakes("test");
  const config::Config config = config::parse(
      "[[listener]]\nport = 104\n[[route]]\ndestinations = \"pacs\"\n[[destination]]\n"
      "name = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:104\"\n" +
          options,
      mistakes);
  EXPECT_EQ(mistakes.text(), "");
  return config.destinations.at(0);
}

TEST(Flow, LetsAllThroughWithoutLimits) {
  const config::Destination free = destination("");
  Flow flow(free);
  EXPECT_FALSE(flow.is_paced());
  EXPECT_TRUE(flow.is_open(system_clock::now()));
}

TEST(Flow, GivesTurnsAtTheRateOfInstances) {
  const config::Destination slow = destination("max_rate = 10");
  Flow flow(slow);
  EXPECT_TRUE(flow.is_paced());
  const auto first = flow.take_turn(1'000'000);
  EXPECT_LE(first, steady_clock::now());
  EXPECT_EQ(flow.take_turn(1), first + milliseconds(100));
  EXPECT_EQ(flow.take_turn(1), first + milliseconds(200));
}

TEST(Flow, GivesTurnsAtTheRateOfBytes) {
  const config::Destination slow = destination("max_bandwidth = \"1 MB\"");
  Flow flow(slow);
  const auto first = flow.take_turn(500'000);
  const auto second = flow.take_turn(2'000'000);
  EXPECT_EQ(second, first + milliseconds(500));
  EXPECT_EQ(flow.take_turn(1), second + milliseconds(2000));
}

TEST(Flow, KeepsToTheSlowerOfBothLimits) {
  const config::Destination slow = destination("max_bandwidth = \"1 MB\"\nmax_rate = 4");
  Flow flow(slow);
  const auto first = flow.take_turn(1000);
  const auto second = flow.take_turn(1'000'000);
  EXPECT_EQ(second, first + milliseconds(250));
  EXPECT_EQ(flow.take_turn(1), second + milliseconds(1000));
}

TEST(Flow, IsOpenInAnyOfItsWindows) {
  const config::Destination nights = destination(
      "schedule = [ { from = \"22:00\", to = \"06:00\", zone = \"UTC\" }, "
      "{ days = [\"sun\"], zone = \"UTC\" } ]");
  Flow flow(nights);
  // 2024-01-20, a Saturday, 12:00 UTC
  const auto noon = system_clock::time_point(std::chrono::seconds(1'705'752'000));
  EXPECT_FALSE(flow.is_open(noon));
  EXPECT_TRUE(flow.is_open(noon + std::chrono::hours(10)));
  EXPECT_TRUE(flow.is_open(noon + std::chrono::hours(24)));
  EXPECT_FALSE(flow.is_open(noon + std::chrono::hours(48)));
}

}  // namespace
}  // namespace sluice
