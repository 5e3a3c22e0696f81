// One Series Instance UID with two modalities, and what a person sees of it.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class SuspectSeries : public ::testing::Test {
 protected:
  void SetUp() override {
    pacs_.start();
    copy_image(image_, intruder_,
               {{DCM_SOPInstanceUID, "1.2.3.4.5.6.7"},
                {DCM_Modality, "MR"},
                {DCM_PatientID, "PID-778899"}});
    ASSERT_EQ(text_of(intruder_, DCM_SeriesInstanceUID), series_);
  }
  void send_both(const std::string& options) {
    gateway_.configure("[[destination]]\nname = \"pacs\"\naddress = \"" + pacs_.address() +
                       "\"\n[[filter]]\nname = \"integrity\"\ntype = \"check_series\"\n" + options +
                       "\n[[route]]\nfilters = [\"integrity\", \"remap_series_number\"]\n"
                       "destinations = [\"pacs\"]\n");
    gateway_.start();
    EXPECT_EQ(gateway_.run({"report", "series"}).exit_code, 3);
    ASSERT_TRUE(send_images(gateway_.port(), {image_}));
    ASSERT_TRUE(send_images(gateway_.port(), {intruder_}));
    ASSERT_TRUE(gateway_.wait_for_line("series suspect")) << gateway_.log();
  }
  void expect_report(const std::string& outcome) {
    const Finished told = gateway_.run({"report", "series", "--json"});
    EXPECT_EQ(told.exit_code, 0) << told.err;
    const nlohmann::json suspects = told.json();
    ASSERT_THAT(suspects, SizeIs(1)) << told.out;
    const nlohmann::json& one = suspects.at(0);
    EXPECT_EQ(one.at("filter"), "integrity");
    EXPECT_EQ(one.at("outcome"), outcome);
    EXPECT_EQ(one.at("reason"), "change");
    EXPECT_EQ(one.at("series_instance_uid"), series_);
    EXPECT_EQ(one.at("sop_instance_uid"), "1.2.3.4.5.6.7");
    ASSERT_THAT(one.at("differences"), SizeIs(2));
    EXPECT_EQ(one.at("differences").at(0).at("attribute"), "Modality");
    EXPECT_EQ(one.at("differences").at(0).at("first"), "CT");
    EXPECT_EQ(one.at("differences").at(0).at("other"), "MR");
    EXPECT_EQ(one.at("differences").at(1).at("other"), "PID-778899");
  }

  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};
  GatewayProcess gateway_{folder_.path("gateway"), ""};
  const std::string image_ = fixture("CT_small.dcm");
  const std::string intruder_ = folder_.path("intruder.dcm");
  const std::string series_ = text_of(image_, DCM_SeriesInstanceUID);
};

TEST_F(SuspectSeries, PassesIsToldOnceAndListed) {
  ASSERT_NO_FATAL_FAILURE(send_both(""));
  ASSERT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  ASSERT_NO_FATAL_FAILURE(expect_report("alarm"));
  const Finished table = gateway_.run({"report", "series", "--since", "7d"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.out, StartsWith("RECORDED"));
  EXPECT_THAT(table.out, HasSubstr("Modality: CT -> MR; PatientID: "));
  EXPECT_THAT(table.out, HasSubstr(series_));
  EXPECT_EQ(gateway_.run({"report", "series", "--since", "yesterday"}).exit_code, 2);
  EXPECT_THAT(gateway_.lines("series suspect"), SizeIs(1)) << "not again when it is sent";
  EXPECT_THAT(gateway_.log(), Not(HasSubstr("PID-778899")));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  ASSERT_NO_FATAL_FAILURE(expect_report("alarm"));
}

TEST_F(SuspectSeries, RestsInQuarantine) {
  ASSERT_NO_FATAL_FAILURE(send_both("on_change = \"quarantine\""));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}, {"quarantined", 1}})) << gateway_.log();
  ASSERT_NO_FATAL_FAILURE(expect_report("quarantine"));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(SuspectSeries, IsSplitIntoTwoWithNumbersOfTheirOwn) {
  ASSERT_NO_FATAL_FAILURE(send_both("on_change = \"split\""));
  ASSERT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  ASSERT_NO_FATAL_FAILURE(expect_report("split"));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  std::map<std::string, std::string> number_of_series;
  for (const std::string& file : pacs_.files()) {
    number_of_series[text_of(file, DCM_SeriesInstanceUID)] = text_of(file, DCM_SeriesNumber);
  }
  ASSERT_THAT(number_of_series, SizeIs(2));
  EXPECT_EQ(number_of_series.at(series_), text_of(image_, DCM_SeriesNumber));
  number_of_series.erase(series_);
  EXPECT_THAT(number_of_series.begin()->first, StartsWith("2.25."));
  EXPECT_EQ(number_of_series.begin()->second, "10000");
  const Finished known =
      gateway_.run({"ledger", "lookup", number_of_series.begin()->first, "--json"});
  EXPECT_EQ(known.json().at(0).at("before"), series_);
}

}  // namespace
}  // namespace sluice::test
