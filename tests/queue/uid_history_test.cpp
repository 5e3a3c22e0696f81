#include "gateway/queue/uid_history.h"

#include <atomic>
#include <string>

#include <gtest/gtest.h>

#include "gateway/queue/queue_rows.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

InstanceRow with_uid(int number) {
  InstanceRow row = test::instance(std::to_string(number));
  row.has_file = false;
  return row;
}

TEST(KnownUids, HaveWhatWasAddedAndHardlyAnythingElse) {
  KnownUids known;
  const auto uid = [](int number) { return "1.2.840.99." + std::to_string(number); };
  constexpr int kUids = 500'000;
  for (int n = 0; n < kUids; ++n) known.add(uid(n));
  int mistaken = 0;
  for (int n = 0; n < kUids; ++n) {
    ASSERT_TRUE(known.may_have(uid(n)));
    if (known.may_have(uid(kUids + n))) ++mistaken;
  }
  EXPECT_LT(mistaken, kUids / 1000);
}

TEST(UidHistory, KnowsWhatWasThereAtTheStartAndWhatCameLater) {
  const test::TemporaryFolder folder;
  constexpr int kRows = 2'000;  // more than are read at once
  {
    const auto queue = test::open_queue(folder.path("q"));
    for (int n = 0; n < kRows; ++n) {
      queue->note_passed(with_uid(n), test::delivery("pacs", DeliveryState::delivered));
      if (n % 500 != 0) continue;
      ASSERT_TRUE(queue->flush()) << "more are not noted at once";
    }
  }
  const auto queue = test::open_queue(folder.path("q"));
  const std::atomic<bool> stop = false;
  ASSERT_TRUE(queue->read_history(stop));
  const auto knows = [&](int n) { return queue->knows_uid(with_uid(n).sop_instance_uid); };
  for (int n = 0; n < kRows; ++n) ASSERT_TRUE(knows(n).value_or(false)) << n;
  ASSERT_FALSE(knows(kRows).value_or(true));
  ASSERT_TRUE(queue->add(with_uid(kRows), {test::delivery("pacs")}));
  EXPECT_TRUE(knows(kRows).value_or(false));
  // From then on the database cannot be asked any more.
  const auto db = sqlite::Connection::open(folder.path("q"), rows::kFormat);
  ASSERT_TRUE((*db)->run_script("ALTER TABLE instances RENAME TO hidden"));
  EXPECT_FALSE(knows(kRows + 1).value_or(true)) << "from memory";
  EXPECT_FALSE(knows(0)) << "asked of the database";
  EXPECT_FALSE(knows(kRows)) << "asked of the database";
  ASSERT_TRUE((*db)->run_script("ALTER TABLE hidden RENAME TO instances"));
}

}  // namespace
}  // namespace sluice
