#include "gateway/base/log_budget.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using std::chrono::seconds;

class LogBudgetTest : public testing::Test {
 protected:
  bool is_written(seconds later) { return budget_.take(start_ + later).has_value(); }

  const LogBudget::Clock::time_point start_ = LogBudget::Clock::now() + seconds(1000);
  LogBudget budget_{3, seconds(10)};
};

TEST_F(LogBudgetTest, WritesAFewAtOnceAndThenOneNowAndThen) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(is_written(seconds(0)));
  EXPECT_FALSE(is_written(seconds(0)));
  EXPECT_FALSE(is_written(seconds(9)));
  EXPECT_TRUE(is_written(seconds(10)));
  EXPECT_FALSE(is_written(seconds(19)));
  EXPECT_TRUE(is_written(seconds(20)));
}

TEST_F(LogBudgetTest, TellsHowManyWereLeftOut) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(budget_.take(start_), 0U);
  for (int i = 0; i < 500; ++i) EXPECT_FALSE(is_written(seconds(1)));
  EXPECT_EQ(budget_.take(start_ + seconds(11)), 500U);
  EXPECT_EQ(budget_.take(start_ + seconds(1000)), 0U);
}

TEST_F(LogBudgetTest, SavesNoMoreThanAFew) {
  int written = 0;
  for (int i = 0; i < 100; ++i) written += is_written(seconds(100'000)) ? 1 : 0;
  EXPECT_EQ(written, 3);
}

}  // namespace
}  // namespace sluice
