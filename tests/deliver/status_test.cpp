#include <array>

#include <gtest/gtest.h>

#include "gateway/deliver/back_off.h"
#include "gateway/deliver/sender.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

struct Expected {
  std::uint16_t status;
  AttemptResult result;
};

TEST(Status, MeansWhatTheStandardSays) {
  constexpr std::array kTable = {
      Expected{0x0000, AttemptResult::delivered}, Expected{0xB000, AttemptResult::delivered},
      Expected{0xB006, AttemptResult::delivered}, Expected{0xB007, AttemptResult::delivered},
      Expected{0xA700, AttemptResult::failed},    Expected{0xA701, AttemptResult::failed},
      Expected{0xA7FF, AttemptResult::failed},    Expected{0x0110, AttemptResult::failed},
      Expected{0x0210, AttemptResult::failed},    Expected{0x0211, AttemptResult::failed},
      Expected{0x0212, AttemptResult::failed},    Expected{0xA900, AttemptResult::refused},
      Expected{0xA9FF, AttemptResult::refused},   Expected{0xC000, AttemptResult::refused},
      Expected{0xCFFF, AttemptResult::refused},   Expected{0x0112, AttemptResult::refused},
      Expected{0x0117, AttemptResult::refused},   Expected{0x0122, AttemptResult::refused},
      Expected{0x0124, AttemptResult::hold},      Expected{0x0001, AttemptResult::refused},
      Expected{0xA800, AttemptResult::refused},   Expected{0xB001, AttemptResult::refused},
      Expected{0xFE00, AttemptResult::refused},   Expected{0xFF00, AttemptResult::refused},
      Expected{0x0213, AttemptResult::refused},   Expected{0x0106, AttemptResult::refused}};
  for (const Expected& expected : kTable) {
    const Attempt attempt = attempt_of_status(expected.status, "");
    EXPECT_EQ(attempt.result, expected.result) << std::hex << expected.status;
    EXPECT_EQ(attempt.reason.empty(), expected.status == 0) << std::hex << expected.status;
  }
}

// Success and three warnings, and nothing else, are taken as delivered.
TEST(Status, OfAllPossibleOnesOnlyFourMeanDelivered) {
  int delivered = 0;
  for (unsigned status = 0; status <= 0xFFFFU; ++status) {
    const Attempt attempt = attempt_of_status(static_cast<std::uint16_t>(status), "");
    if (attempt.result == AttemptResult::delivered) ++delivered;
    EXPECT_EQ(attempt.status.size(), 4U);
  }
  EXPECT_EQ(delivered, 4);
}

TEST(Status, KeepsTheCommentOfThePeerApartFromItsMeaning) {
  EXPECT_EQ(attempt_of_status(0xC123, "bad\nUID").reason, "cannot understand");
  EXPECT_EQ(attempt_of_status(0xC123, "bad\nUID").comment, "bad\nUID");
  EXPECT_EQ(attempt_of_status(0xC123, "").status, "C123");
  EXPECT_EQ(attempt_of_status(0x0000, "thanks").reason, "");
  EXPECT_EQ(attempt_of_status(0x0000, "thanks").comment, "");
  EXPECT_LT(attempt_of_status(0xA700, std::string(16'000, 'x')).comment.size(), 300U);
}

TEST(Status, ErrorsButTransientOnesAreForAPerson) {
  const auto result = [](ErrorCode code) {
    return attempt_of_error({code, "why"}, AttemptResult::postponed).result;
  };
  EXPECT_EQ(result(ErrorCode::transient), AttemptResult::postponed);
  EXPECT_EQ(result(ErrorCode::configuration), AttemptResult::hold);
  EXPECT_EQ(result(ErrorCode::permanent), AttemptResult::hold);
  EXPECT_EQ(result(ErrorCode::corrupt), AttemptResult::hold);
}

TEST(BackOff, DoublesUpToItsLimitWithJitter) {
  for (int failures = 1; failures < 100; ++failures) {
    const long long whole = failures > 8 ? 300'000 : std::min(300'000LL, 2000LL << (failures - 1));
    const milliseconds delay = back_off(failures, milliseconds(2000), milliseconds(300'000));
    EXPECT_GE(delay.count(), whole / 2) << failures;
    EXPECT_LE(delay.count(), whole) << failures;
  }
}

TEST(BackOff, TellsByAWaitHowManyFailuresLedToIt) {
  constexpr milliseconds kLeast{20};
  EXPECT_EQ(failures_before(milliseconds(0), kLeast), 0);
  for (int failures = 1; failures < 20; ++failures) {
    const int found = failures_before(back_off(failures, kLeast, std::chrono::hours(24)), kLeast);
    EXPECT_GE(found, failures);
    EXPECT_LE(found, failures + 1);
  }
}

TEST(BackOff, IsNeverNothing) {
  EXPECT_GE(back_off(1, milliseconds(0), milliseconds(0)).count(), 0);
  EXPECT_LE(back_off(1, milliseconds(0), milliseconds(0)).count(), 1);
  EXPECT_GE(back_off(-5, milliseconds(100), milliseconds(1000)).count(), 50);
}

}  // namespace
}  // namespace sluice
