#include "gateway/config/quantity.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Duration, TakesAWholeNumberAndAUnit) {
  EXPECT_EQ(parse_duration("50ms"), milliseconds(50));
  EXPECT_EQ(parse_duration("30s"), seconds(30));
  EXPECT_EQ(parse_duration("10 min"), minutes(10));
  EXPECT_EQ(parse_duration("12h"), hours(12));
  EXPECT_EQ(parse_duration("30d"), hours(30 * 24));
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
}

TEST(Duration, RefusesWhatHasNoUnitOrNoNumber) {
  for (const char* text : {"", "30", "s", "30 ", "30x", "30S", "1.5s", "-1s", "+1s", " 30s", "30s ",
                           "30  s", "1h30min", "5m"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, EndsAtAHundredYears) {
  EXPECT_EQ(parse_duration("36500d"), kLongestDuration);
  EXPECT_EQ(parse_duration("36501d"), std::nullopt);
  EXPECT_EQ(parse_duration("18446744073709551615d"), std::nullopt);
  EXPECT_EQ(parse_duration("18446744073709551616ms"), std::nullopt);
}

TEST(Size, TellsThousandsFromPowersOfTwo) {
  EXPECT_EQ(parse_size("100 B"), 100U);
  EXPECT_EQ(parse_size("64KB"), 64'000U);
  EXPECT_EQ(parse_size("64 KiB"), 65'536U);
  EXPECT_EQ(parse_size("512 MB"), 512'000'000U);
  EXPECT_EQ(parse_size("3MiB"), 3U << 20U);
  EXPECT_EQ(parse_size("2 GiB"), 2ULL << 30U);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000U);
  EXPECT_EQ(parse_size("1 TiB"), 1ULL << 40U);
  EXPECT_EQ(parse_size("1 TB"), 1'000'000'000'000U);
}

TEST(Size, RefusesWhatHasNoUnitOrIsTooLarge) {
  EXPECT_EQ(parse_size("1048576 TiB"), kLargestSize);
  for (const char* text : {"", "64", "KiB", "64 kib", "64K", "0x10 B", "-1 B", "1048577 TiB",
                           "18446744073709551615 TiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sluice::config
