#include <future>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/crash/soak.h"

namespace sluice::test {
namespace {

// A sanitizer's build is slow and looks for other things: not every call there.
#if defined(SLUICE_SANITIZED)
constexpr int kCutsApart = 15;
constexpr std::size_t kKills = 20;
#else
constexpr int kCutsApart = 1;
constexpr std::size_t kKills = 200;
#endif

TEST(Soak, KillsLoseNothing) {
  Soak soak({.instances = 5 * kKills, .kills = kKills, .limit = std::chrono::seconds(240)});
  const Soak::Report report = soak.run();
  Soak::print(report);
  EXPECT_EQ(report.trouble, "");
  EXPECT_GE(report.kills, kKills);
  EXPECT_GE(report.table.acknowledged, 5 * kKills);
  EXPECT_EQ(report.table.lost, 0U);
  EXPECT_EQ(report.table.altered, 0U);
  EXPECT_EQ(report.table.forwarded, 0U);
}

class PowerCutAt : public testing::TestWithParam<const char*> {};

std::optional<Soak::Report> cut_before(int nth, const std::string& seed) {
  Soak soak({});
  return soak.cut_once("call=any nth=" + std::to_string(nth) + " seed=" + seed);
}

// A cut before each call in turn that changes anything on the disk, from the first start on.
TEST_P(PowerCutAt, AnyCallLosesNothing) {
  const int step = std::string(GetParam()) == "0" ? kCutsApart : 4 * kCutsApart;
  // One life mostly waits for the disk: the next runs beside it.
  const auto begin = [&](int nth) {
    return std::async(std::launch::async, cut_before, nth, std::string(GetParam()));
  };
  auto next = begin(1);
  for (int nth = 1;; nth += step) {
    ASSERT_LT(nth, 1000);
    auto one = std::exchange(next, begin(nth + step));
    const auto report = one.get();
    if (!report) {
      EXPECT_GT(nth, 50) << "fewer calls than there must be";
      break;
    }
    SCOPED_TRACE("cut before call " + std::to_string(nth));
    ASSERT_EQ(report->trouble, "");
    ASSERT_EQ(report->table.lost, 0U);
    ASSERT_EQ(report->table.altered, 0U);
    ASSERT_EQ(report->table.forwarded, 0U);
  }
}

// All that was not synced is gone, or some of it, by chance.
INSTANTIATE_TEST_SUITE_P(Seed, PowerCutAt, testing::Values("0", "11", "4"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace sluice::test
