#include <chrono>

#include <gtest/gtest.h>

#include "gateway/queue/work_signal.h"

namespace sluice {
namespace {

using std::chrono::steady_clock;

TEST(WorkSignal, NudgeEndsOneWaitForOneDestination) {
  WorkSignal signal;
  EXPECT_TRUE(signal.wait("a", steady_clock::now())) << "at first there may be work";
  EXPECT_TRUE(signal.wait("b", steady_clock::now()));
  signal.nudge("a");
  const auto later = steady_clock::now() + std::chrono::hours(1);
  EXPECT_FALSE(signal.wait("a", later)) << "nothing to claim";
  EXPECT_LT(steady_clock::now(), later);
  for (const auto* destination : {"a", "b"}) {
    const auto soon = steady_clock::now() + std::chrono::milliseconds(20);
    EXPECT_FALSE(signal.wait(destination, soon));
    EXPECT_GE(steady_clock::now(), soon) << destination;
  }
}

}  // namespace
}  // namespace sluice
