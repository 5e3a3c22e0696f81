// The list of what was refused: merged, bounded, and in nobody's way.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "gateway/base/counter.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

Rejection rejection(const std::string& id, const std::string& uid = "1.2.3") {
  Rejection one;
  one.id = id;
  one.received_at = Time(std::chrono::microseconds(1'700'000'000'000'001));
  one.updated_at = one.received_at;
  one.calling_ae_title = std::string("CT\n1");
  one.sop_instance_uid = uid;
  one.status = "C000";
  one.reason = "no route takes this instance";
  return one;
}

class Rejections : public ::testing::Test {
 protected:
  std::vector<Rejection> listed(const QueueFilter& filter = {}) {
    if (!queue_->flush()) throw std::runtime_error("not written");
    return *queue_->rejections(filter);
  }
  test::TemporaryFolder folder_;
  std::unique_ptr<Queue> queue_ = test::open_queue(folder_.path("queue.db"));
};

TEST_F(Rejections, AreListedWithAllThatIsKnown) {
  queue_->note_rejection(rejection("a"));
  const auto found = listed();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].id, "a");
  EXPECT_EQ(found[0].calling_ae_title, "CT\n1");
  EXPECT_EQ(found[0].status, "C000");
  EXPECT_EQ(found[0].reason, "no route takes this instance");
  EXPECT_EQ(found[0].received_at, rejection("a").received_at);
  EXPECT_THAT(*queue_->list({}), IsEmpty());
  EXPECT_THAT(*queue_->counts(), IsEmpty()) << "no part of the sum of what was accepted";
}

TEST_F(Rejections, OfTheSameInstanceAreOne) {
  queue_->note_rejection(rejection("a"));
  Rejection later = rejection("b");
  later.received_at += std::chrono::seconds(60);
  later.updated_at = later.received_at;
  queue_->note_rejection(later);
  queue_->note_rejection(rejection("c", "1.2.4"));
  const auto found = listed({.sop_instance_uid = "1.2.3"});
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].times, 2U);
  EXPECT_EQ(found[0].id, "b");
  EXPECT_EQ(found[0].received_at, rejection("a").received_at);
  EXPECT_EQ(found[0].updated_at, later.updated_at);
  EXPECT_THAT(listed(), SizeIs(2));
  EXPECT_THAT(listed({.instance_id = "c"}), SizeIs(1));
}

TEST_F(Rejections, AreForgottenWithTheHistoryAndClipped) {
  queue_->note_rejection(rejection("a", std::string(16'000, '1')));
  EXPECT_LE(listed().at(0).sop_instance_uid.size(), 256U);
  EXPECT_EQ(*queue_->forget_before(rejection("a").updated_at), 0U);
  EXPECT_EQ(*queue_->forget_before(rejection("a").updated_at + std::chrono::seconds(1)), 1U);
  EXPECT_THAT(listed(), IsEmpty());
}

// More than are kept; each has a UID of its own. Some may be forgotten before they are
// written, as the queue says, but each of those is counted.
TEST_F(Rejections, AreBoundedInNumber) {
  constexpr std::size_t kNoted = 10'300;
  const auto before = counted("sluice_rejections_not_listed_total");
  for (std::size_t i = 0; i < kNoted; ++i) {
    queue_->note_rejection(rejection(std::to_string(i), "1.2." + std::to_string(i)));
    if (i % 500 == 499) {
      ASSERT_TRUE(queue_->flush());
    }
  }
  const auto found = listed({.limit = 20'000});
  EXPECT_EQ(found.size(), 10'000U);
  EXPECT_EQ(found.back().id, std::to_string(kNoted - 1));
  EXPECT_EQ(counted("sluice_rejections_not_listed_total"), before);
}

TEST_F(Rejections, OfAQueueThatCannotWriteDoNotGather) {
  queue_ = test::open_queue(folder_.path("queue.db"));
  // Another process holds the lock: every commit waits, and is then kept for later.
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(folder_.path("queue.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto before = counted("sluice_rejections_not_listed_total");
  for (int i = 0; i < 1500; ++i) {
    queue_->note_rejection(rejection(std::to_string(i), "1.2." + std::to_string(i)));
  }
  EXPECT_EQ(counted("sluice_rejections_not_listed_total"), before + 500);
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_EQ(listed({.limit = 20'000}).size(), 1000U);
}

}  // namespace
}  // namespace sluice
