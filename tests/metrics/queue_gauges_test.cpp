#include "gateway/metrics/queue_gauges.h"

#include <chrono>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "gateway/queue/queue.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace sluice::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string depth_line(const std::string& destination, const std::string& state,
                       const std::string& value) {
  return "\nsluice_queue_deliveries{destination=\"" + destination + "\",state=\"" + state + "\"} " +
         value + "\n";
}

class QueueGaugesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Queue::open(file_, {});
    ASSERT_TRUE(opened) << opened.error().message;
    queue_ = std::move(*opened);
  }
  void add(const std::string& id, const std::string& destination, DeliveryState state,
           std::chrono::seconds age = {}) {
    InstanceRow instance;
    instance.id = id;
    instance.sop_instance_uid = "1.2." + id;
    instance.received_at = std::chrono::system_clock::now() - age;
    DeliveryRow delivery;
    delivery.instance_id = id;
    delivery.route = "all";
    delivery.destination = destination;
    delivery.state = state;
    const auto added = queue_->add(instance, {delivery});
    ASSERT_TRUE(added) << added.error().message;
  }
  [[nodiscard]] std::unique_ptr<QueueGauges> gauges() const {
    auto opened = QueueGauges::open(file_, {"pacs", "archive"});
    return opened ? std::move(*opened) : nullptr;
  }

  test::TemporaryFolder folder_;
  std::string file_ = folder_.path("queue.db");
  std::unique_ptr<Queue> queue_;
};

TEST_F(QueueGaugesTest, TellDepthAndAgeByDestinationAndState) {
  add("1", "pacs", DeliveryState::ready, std::chrono::hours(2));
  add("2", "pacs", DeliveryState::ready);
  add("3", "", DeliveryState::quarantined);
  add("4", "removed", DeliveryState::ready);
  add("5", "", DeliveryState::dropped);
  const auto shown = gauges();
  ASSERT_NE(shown, nullptr);
  const std::string text = counters_text();
  EXPECT_THAT(text, HasSubstr(depth_line("pacs", "ready", "2")));
  EXPECT_THAT(text, HasSubstr(depth_line("pacs", "held", "0")));
  EXPECT_THAT(text, HasSubstr(depth_line("archive", "deferred", "0")));
  EXPECT_THAT(text, HasSubstr(depth_line("", "quarantined", "1")));
  // It is in no configuration any more, and waits all the same.
  EXPECT_THAT(text, HasSubstr(depth_line("removed", "ready", "1")));
  EXPECT_THAT(text, Not(HasSubstr("state=\"dropped\"")));
  const std::string age =
      "\nsluice_queue_oldest_age_seconds{destination=\"pacs\",state=\"ready\"} ";
  ASSERT_THAT(text, HasSubstr(age));
  EXPECT_NEAR(std::stod(text.substr(text.find(age) + age.size(), 20)), 7200, 600);
}

TEST_F(QueueGaugesTest, AreReadAnewAfterASecondAndNotBefore) {
  const auto shown = gauges();
  ASSERT_NE(shown, nullptr);
  EXPECT_THAT(counters_text(), HasSubstr(depth_line("pacs", "ready", "0")));
  const auto looked = std::chrono::steady_clock::now();
  add("1", "pacs", DeliveryState::ready);
  ASSERT_TRUE(test::wait_until(
      [&] { return counters_text().find(depth_line("pacs", "ready", "1")) != std::string::npos; }));
  EXPECT_GE(std::chrono::steady_clock::now() - looked, std::chrono::milliseconds(900));
}

TEST_F(QueueGaugesTest, GoWithTheirOwner) {
  auto shown = gauges();
  ASSERT_NE(shown, nullptr);
  EXPECT_THAT(counters_text(), HasSubstr("\nsluice_queue_deliveries{"));
  shown.reset();
  EXPECT_THAT(counters_text(), Not(HasSubstr("\nsluice_queue_deliveries{")));
}

}  // namespace
}  // namespace sluice::metrics
