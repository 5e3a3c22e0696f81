// What a [[test]] expects, compared with what becomes of its image.
#include "gateway/command/test_run.h"

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/support/fixtures.h"
#include "tests/support/temporary_folder.h"

namespace sluice::command {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kRouting =
    "[[listener]]\nport = 11112\n"
    "[[filter]]\nname = \"no_phantoms\"\ntype = \"drop\"\nwhen = { PatientID = \"QA*\" }\n"
    "reason = \"phantom\"\n"
    "[[filter]]\nname = \"known\"\ntype = \"reject\"\nwhen = { calling_ae_title = \"BAD\" }\n"
    "reason = \"not you\"\n"
    "[[filter]]\nname = \"urgent\"\ntype = \"label\"\nwhen = { StudyID = \"E*\" }\n"
    "[[filter]]\nname = \"house\"\ntype = \"edit\"\n"
    "[[filter.rule]]\nattribute = \"StationName\"\nset = \"CT1\"\n"
    "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:104\"\n"
    "[[destination]]\nname = \"er\"\naddress = \"dicom://ER@127.0.0.1:104\"\n"
    "[[route]]\nname = \"labels\"\nwhen = { Modality = \"CT\" }\nfilters = [\"urgent\"]\n"
    "[[route]]\nname = \"main\"\nwhen = { Modality = [\"CT\", \"MR\"] }\n"
    "filters = [\"known\", \"no_phantoms\", \"house\", \"remap_series_number\"]\n"
    "destinations = [\"pacs\"]\n"
    "[[route]]\nname = \"copy\"\nwhen = { label = \"urgent\" }\ndestinations = [\"er\"]\n";

class TestRunning : public ::testing::Test {
 protected:
  // "KEY[ by ROUTE]: EXPECTED / GOT" of each expectation that is not met.
  std::vector<std::string> unmet(const std::string& test) {
    const std::string file = folder_.path("sluice.toml");
    std::ofstream(file) << kRouting << "[[test]]\n" << test << '\n';
    std::vector<ConfigurationTest> tests;
    const sluice::Setup setup = load(file, kTestKey, &tests);
    if (!setup.mistakes->empty()) throw std::invalid_argument(setup.mistakes->text());
    const auto found = run_test(tests.at(0), setup, *ledger_);
    if (!found) return {"cannot: " + found.error().message};
    std::vector<std::string> lines;
    for (const UnmetExpectation& one : *found) {
      lines.push_back(one.key + (one.route.empty() ? "" : " by " + one.route) + ": " +
                      one.expected + " / " + one.got);
    }
    return lines;
  }

  const sluice::test::TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_ = std::move(*preview_ledger(""));
};

TEST_F(TestRunning, MeetsWhatBecomesOfAnImage) {
  EXPECT_THAT(unmet("attributes = { Modality = \"CT\", StudyID = \"E7\" }\n"
                    "routes = [\"copy\", \"labels\", \"main\"]\nlabels = [\"urgent\"]\n"
                    "verdict = \"pass\"\ndestinations = [\"pacs\", \"er\"]\n"),
              IsEmpty());
  EXPECT_THAT(unmet("attributes = { Modality = \"MR\" }\nunchanged = false\n"
                    "values = { StationName = \"CT1\", PatientID = \"\" }"),
              IsEmpty());
  EXPECT_THAT(unmet("attributes = { Modality = \"US\" }\nverdict = \"unrouted\"\n"
                    "destinations = []\nroutes = []\nunchanged = true"),
              IsEmpty());
}

TEST_F(TestRunning, TellsEveryDifference) {
  EXPECT_THAT(
      unmet("attributes = { Modality = \"MR\" }\nroutes = [\"labels\"]\nlabels = [\"urgent\"]\n"
            "verdict = \"drop\"\nreason = \"phantom\"\nstatus = 0xC000\ndestinations = []\n"
            "values = { StationName = \"CT2\", Modality = \"MR\" }\nunchanged = true"),
      ElementsAre("routes: labels / main", "labels: urgent / none", "verdict by main: drop / pass",
                  "reason by main: phantom / \"\"", "status by main: 0xC000 / pass",
                  "values.StationName by main: CT2 / \"CT1\"",
                  "unchanged by main: true / changes of StationName, SeriesNumber",
                  "destinations: none / pacs"));
}

TEST_F(TestRunning, TellsVerdictsWithReasonAndStatus) {
  EXPECT_THAT(unmet("attributes = { Modality = \"MR\", PatientID = \"QA1\" }\nverdict = \"drop\"\n"
                    "reason = \"phan*\"\ndestinations = []"),
              IsEmpty());
  EXPECT_THAT(unmet("attributes = { Modality = \"MR\" }\ncalling_ae_title = \"BAD\"\n"
                    "verdict = \"reject\"\nreason = \"not you\"\nstatus = 0xC000"),
              IsEmpty());
  EXPECT_THAT(
      unmet("attributes = { Modality = \"MR\" }\ncalling_ae_title = \"BAD\"\n"
            "verdict = \"pass\"\nstatus = 0xA900"),
      ElementsAre("verdict by main: pass / reject (not you)", "status by main: 0xA900 / 0xC000"));
}

// Nothing is kept of it, so no other route counts.
TEST_F(TestRunning, OfARejectedInstanceNothingGoesAnywhere) {
  EXPECT_THAT(unmet("attributes = { Modality = \"CT\", StudyID = \"E7\" }\n"
                    "calling_ae_title = \"BAD\"\nverdict = \"reject\"\ndestinations = []"),
              IsEmpty());
}

TEST_F(TestRunning, MayBeAboutOneRoute) {
  const std::string image =
      "attributes = { Modality = \"CT\", StudyID = \"E7\", StationName = \"X\" }\n";
  EXPECT_THAT(unmet(image + "route = \"copy\"\nvalues = { StationName = \"X\" }\n"
                            "unchanged = true\ndestinations = [\"er\"]"),
              IsEmpty());
  EXPECT_THAT(unmet(image + "values = { StationName = \"CT1\" }"),
              ElementsAre("values.StationName by copy: CT1 / \"X\""));
  EXPECT_THAT(unmet("attributes = { Modality = \"MR\" }\nroute = \"copy\"\nverdict = \"pass\""),
              ElementsAre("route: copy to take it / main"));
}

TEST_F(TestRunning, WithoutARouteMeetsNothingThatIsExpectedOfOne) {
  EXPECT_THAT(
      unmet("attributes = { Modality = \"US\" }\nverdict = \"pass\"\n"
            "values = { Modality = \"US\" }\nunchanged = false"),
      ElementsAre("verdict: pass / unrouted", "values: those of a route / no route takes it",
                  "unchanged: false / no route takes it"));
}

TEST_F(TestRunning, TellsWhichOfSeveralConditionsFails) {
  EXPECT_THAT(
      unmet("attributes = { Modality = \"MR\" }\n"
            "values = { any = [ { Modality = \"CT\" }, { StudyID = \"1\" } ], "
            "not = { StationName = \"CT1\" } }"),
      ElementsAre("values.any by main: one to hold / Modality: CT; it is \"MR\"; StudyID: 1; "
                  "it is not there",
                  "values.not by main: none to hold / StationName: CT1; it is \"CT1\""));
}

TEST_F(TestRunning, SharesItsLedgerWithTheTestsBefore) {
  const auto series = [](const std::string& uid, const std::string& number) {
    return "attributes = { Modality = \"MR\", StudyInstanceUID = \"1.2\", SeriesInstanceUID = \"" +
           uid + "\", SeriesNumber = \"1\" }\nvalues = { SeriesNumber = \"" + number + "\" }";
  };
  EXPECT_THAT(unmet(series("1.2.1", "1")), IsEmpty());
  EXPECT_THAT(unmet(series("1.2.2", "10000")), IsEmpty());
  ledger_ = std::move(*preview_ledger(""));
  EXPECT_THAT(unmet(series("1.2.2", "1")), IsEmpty());
}

TEST_F(TestRunning, ReadsImagesAndTellsWhichItCannot) {
  EXPECT_THAT(unmet("image = \"" + sluice::test::fixture("CT_small.dcm") +
                    "\"\nvalues = { PatientID = \"1CT1\", StationName = \"CT1\" }"),
              IsEmpty());
  EXPECT_THAT(unmet("image = \"absent.dcm\"\nverdict = \"pass\""),
              ElementsAre("cannot: " + folder_.path("absent.dcm") + ": cannot be opened"));
}

}  // namespace
}  // namespace sluice::command
