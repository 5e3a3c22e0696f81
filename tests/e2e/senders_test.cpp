// Many senders at once: nothing is lost or doubled, and what the ledger decides is
// decided once.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

std::string senders_routing(const StorescpProcess& pacs, const std::string& filters = "") {
  return "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs.address() +
         "\"\n\n[[route]]\nfilters = [" + filters + "]\ndestinations = [\"pacs\"]\n";
}

// One storescu for each list, all at once. True when every one succeeded.
bool send_at_once(std::uint16_t port, const std::vector<std::vector<std::string>>& lists) {
  std::vector<std::unique_ptr<Process>> senders;
  senders.reserve(lists.size());
  for (const auto& files : lists) {
    senders.push_back(std::make_unique<Process>(storescu_arguments(port, files)));
  }
  bool all = true;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const bool succeeded = senders[i]->wait(kDeadline) == 0 &&
                           count_successes(senders[i]->output()) == lists[i].size();
    if (!succeeded) ADD_FAILURE() << senders[i]->output();
    all = all && succeeded;
  }
  return all;
}

TEST(Senders, GetAnEcho) {
  const TemporaryFolder folder;
  const StorescpProcess pacs(folder.path("pacs"));
  GatewayProcess gateway(folder.path("gateway"), senders_routing(pacs));
  gateway.start();
  const Finished echo = run_program({"echoscu", "-v", "-aet", "MODALITY", "-aec", "SLUICE",
                                     "--repeat", "3", "127.0.0.1", std::to_string(gateway.port())});
  EXPECT_EQ(echo.exit_code, 0) << echo.err;
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Senders, InParallelHaveEveryInstanceArriveOnce) {
  constexpr std::size_t kSenders = 4;
  constexpr std::size_t kEach = 8;
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  pacs.start();
  GatewayProcess gateway(folder.path("gateway"), senders_routing(pacs));
  gateway.start();
  std::vector<std::vector<std::string>> lists;
  std::set<std::string> sent;
  for (std::size_t sender = 1; sender <= kSenders; ++sender) {
    const std::string series = "1.2.3.4." + std::to_string(sender);
    lists.push_back(
        make_series(folder.path("images"), series, kEach, {{DCM_SeriesInstanceUID, series}}));
    for (const std::string& file : lists.back()) sent.insert(text_of(file, DCM_SOPInstanceUID));
  }

  EXPECT_TRUE(send_at_once(gateway.port(), lists));

  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", kSenders * kEach}})) << gateway.log();
  EXPECT_EQ(pacs.files().size(), kSenders * kEach);
  EXPECT_EQ(sop_instance_uids(pacs.files()), sent);
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

// What the PACS has of one series.
struct Series {
  std::set<std::string> studies;
  std::set<std::string> numbers;
  std::set<std::string> instances;
};

TEST(Senders, InParallelAgreeOnMergedStudyAndSeriesNumbers) {
  constexpr std::size_t kStudies = 8;
  constexpr std::size_t kEach = 3;
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  pacs.start();
  GatewayProcess gateway(
      folder.path("gateway"),
      senders_routing(pacs, R"("sanitize_uids", "merge_studies", "remap_series_number")"));
  gateway.start();
  std::vector<std::vector<std::string>> lists;
  for (std::size_t study = 1; study <= kStudies; ++study) {
    const std::string own = std::to_string(study);
    lists.push_back(make_series(folder.path("images"), "1.2.3.5." + own, kEach,
                                {{DCM_StudyInstanceUID, "1.2.3.6." + own},
                                 {DCM_SeriesInstanceUID, "1.2.3.7." + own},
                                 {DCM_SeriesNumber, "1"},
                                 {DCM_AccessionNumber, "A1"},
                                 {DCM_StudyID, "ID" + own},
                                 {DCM_StudyDescription, "Description " + own},
                                 {DCM_StudyTime, "12000" + own}}));
  }

  EXPECT_TRUE(send_at_once(gateway.port(), lists));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", kStudies * kEach}})) << gateway.log();

  std::map<std::string, Series> by_series;
  std::set<std::vector<std::string>> study_levels;
  for (const std::string& file : pacs.files()) {
    const auto image = load_image(file);
    DcmDataset& data_set = *image->getDataset();
    Series& series = by_series[text_of(data_set, DCM_SeriesInstanceUID)];
    series.studies.insert(text_of(data_set, DCM_StudyInstanceUID));
    series.numbers.insert(text_of(data_set, DCM_SeriesNumber));
    series.instances.insert(text_of(data_set, DCM_SOPInstanceUID));
    study_levels.insert({text_of(data_set, DCM_StudyID), text_of(data_set, DCM_StudyDescription),
                         text_of(data_set, DCM_StudyDate), text_of(data_set, DCM_StudyTime),
                         text_of(data_set, DCM_AccessionNumber), text_of(data_set, DCM_PatientID)});
  }
  EXPECT_EQ(pacs.files().size(), kStudies * kEach);
  EXPECT_EQ(by_series.size(), kStudies);
  EXPECT_EQ(study_levels.size(), 1U) << "study-level attributes do not agree";
  std::set<std::string> studies;
  std::set<int> numbers;
  for (const auto& [uid, series] : by_series) {
    EXPECT_EQ(series.instances.size(), kEach) << uid;
    ASSERT_EQ(series.numbers.size(), 1U) << uid;
    numbers.insert(std::stoi(*series.numbers.begin()));
    studies.insert(series.studies.begin(), series.studies.end());
  }
  EXPECT_EQ(studies.size(), 1U);
  EXPECT_EQ(numbers, (std::set<int>{1, 10000, 10001, 10002, 10003, 10004, 10005, 10006}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
