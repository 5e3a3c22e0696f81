// One SOP Instance UID in two series: a scanner that counts from 1 again, or a copy that
// kept its UID. To the gateway it is other bytes, and both are kept.
#include <set>
#include <string>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class TwoSeries : public ::testing::Test {
 protected:
  void send_both(const std::string& policy) {
    pacs_.start();
    gateway_.configure(routing(), "other_bytes = \"" + policy + "\"\n");
    gateway_.start();
    copy_image(image_, other_, {{DCM_SeriesInstanceUID, kOtherSeries}});
    ASSERT_NE(text_of(image_, DCM_SeriesInstanceUID), kOtherSeries);
    ASSERT_TRUE(send_images(gateway_.port(), {image_}));
    ASSERT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
    ASSERT_TRUE(send_images(gateway_.port(), {other_}));
    const auto line = gateway_.wait_for_line("other bytes under a known SOP Instance UID");
    ASSERT_TRUE(line) << gateway_.log();
    EXPECT_EQ(line->at("policy"), policy);
  }
  [[nodiscard]] std::string routing() const {
    return "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs_.address() +
           "\"\n[[route]]\ndestinations = [\"pacs\"]\n";
  }
  // What the PACS has: instance, then series.
  [[nodiscard]] std::set<std::string> delivered() const {
    std::set<std::string> all;
    for (const std::string& file : pacs_.files()) {
      all.insert(text_of(file, DCM_SOPInstanceUID) + " " + text_of(file, DCM_SeriesInstanceUID));
    }
    return all;
  }

  static constexpr const char* kOtherSeries = "1.2.3.4.5.6.7.8.9";
  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};
  GatewayProcess gateway_{folder_.path("gateway"), routing()};
  const std::string image_ = fixture("CT_small.dcm");
  const std::string other_ = folder_.path("other-series.dcm");
  const std::string uid_ = text_of(image_, DCM_SOPInstanceUID);
  const std::string first_ = uid_ + " " + text_of(image_, DCM_SeriesInstanceUID);
};

TEST_F(TwoSeries, OfOneUidTheSecondRestsInQuarantine) {
  ASSERT_NO_FATAL_FAILURE(send_both("quarantine"));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}, {"quarantined", 1}})) << gateway_.log();
  const auto listed = gateway_.run({"queue", "list", "--state", "quarantined", "--json"}).json();
  const auto& rests = listed.at("deliveries").at(0);
  EXPECT_EQ(rests.at("series_instance_uid"), kOtherSeries);
  EXPECT_EQ(rests.at("sop_instance_uid"), uid_);
  EXPECT_NE(rests.at("other_bytes_of"), "");
  EXPECT_THAT(gateway_.spooled(), SizeIs(1)) << "kept";
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_THAT(delivered(), ElementsAre(first_));
}

TEST_F(TwoSeries, OfOneUidBothAreDelivered) {
  ASSERT_NO_FATAL_FAILURE(send_both("deliver"));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_EQ(delivered(), (std::set<std::string>{first_, uid_ + " " + kOtherSeries}));
}

TEST_F(TwoSeries, OfOneUidTheSecondGoesUnderANewOne) {
  ASSERT_NO_FATAL_FAILURE(send_both("new_uid"));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  std::set<std::string> others = delivered();
  ASSERT_EQ(others.erase(first_), 1U);
  ASSERT_THAT(others, SizeIs(1));
  EXPECT_TRUE(others.begin()->starts_with("2.25.")) << *others.begin();
  EXPECT_TRUE(others.begin()->ends_with(std::string(" ") + kOtherSeries)) << *others.begin();
}

}  // namespace
}  // namespace sluice::test
