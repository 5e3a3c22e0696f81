#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "gateway/base/counter.h"
#include "gateway/ledger/ledger.h"
#include "tests/support/filter_runner.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {
namespace {

namespace tags = dicom::tags;
using dicom::Vr;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;

struct SeriesSlice {
  std::string instance = "1.2.3.1";
  std::string modality = "CT";
  std::string patient = "4711";
  std::string station = "CT1";
  std::string study = "1.2.1";
  std::string series = "1.2.2";
  std::string number = "3";
};

DataSet series_slice(const SeriesSlice& slice) {
  return DataSet()
      .uid(tags::kSopClassUid, "1.2.840.10008.5.1.4.1.1.2")
      .uid(tags::kSopInstanceUid, slice.instance)
      .text(tags::kModality, Vr::CS, slice.modality)
      .text({0x0008, 0x1010}, Vr::SH, slice.station)
      .text(tags::kPatientId, Vr::LO, slice.patient)
      .uid(tags::kStudyInstanceUid, slice.study)
      .uid(tags::kSeriesInstanceUid, slice.series)
      .text(tags::kSeriesNumber, Vr::IS, slice.number);
}

class CheckSeries : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    ledger_.reset();
    auto opened = open_ledger(path());
    if (!opened) throw std::runtime_error(opened.error().message);
    ledger_ = std::move(*opened);
  }
  [[nodiscard]] std::string path() const { return folder_.path("ledger.db"); }
  void use(std::string_view options) { filter_ = make_filter("check_series", options); }
  Verdict verdict(const SeriesSlice& slice, Time received_at = kReceivedAt) {
    Case one(series_slice(slice).bytes(), std::string(dicom::kExplicitVrLittleEndian), received_at);
    Verdict given = one.apply(*filter_, *ledger_);
    series_ = one.instance.text(tags::kSeriesInstanceUid);
    is_changed_ = !one.instance.patch().empty();
    return given;
  }
  bool passes(const SeriesSlice& slice) { return is_pass(verdict(slice)) && !is_changed_; }
  std::string series_of(const SeriesSlice& slice) {
    EXPECT_TRUE(is_pass(verdict(slice)));
    return series_;
  }
  std::vector<SeriesSuspect> suspects() {
    EXPECT_TRUE(ledger_->commit());
    auto found = read_series_suspects(path(), Time());
    if (!found) throw std::runtime_error(found.error().message);
    return std::move(*found);
  }

  TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Filter> filter_ = make_filter("check_series", "");
  std::string series_;
  bool is_changed_ = false;
};

TEST_F(CheckSeries, PassesWhatAgreesAndTellsNothing) {
  EXPECT_TRUE(passes({}));
  EXPECT_TRUE(passes({.instance = "1.2.3.2", .number = "4"}));
  EXPECT_TRUE(passes({.modality = "MR", .series = "1.2.9"}));
  EXPECT_THAT(suspects(), IsEmpty());
}

TEST_F(CheckSeries, AlarmsOnceForEachWayInWhichItDiffersAndPasses) {
  const auto told = [] {
    return counted(
        "sluice_series_suspects_total",
        {{"filter", "check_series"}, {"reason", "Modality, PatientID"}, {"outcome", "alarm"}});
  };
  const auto before = told();
  EXPECT_TRUE(passes({}));
  for (int slice = 2; slice < 6; ++slice) {
    const std::string uid = "1.2.3." + std::to_string(slice);
    EXPECT_TRUE(passes({.instance = uid, .modality = "MR", .patient = "4712"}));
  }
  EXPECT_EQ(told(), before + 1);
  EXPECT_TRUE(passes({.instance = "1.2.3.6", .study = "1.2.7"}));
  const auto found = suspects();
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].scope, "check_series");
  EXPECT_EQ(found[0].series_instance_uid, "1.2.2");
  EXPECT_EQ(found[0].sop_instance_uid, "1.2.3.2");
  EXPECT_EQ(found[0].outcome, "alarm");
  EXPECT_THAT(found[0].first, ElementsAre(Pair("Modality", "CT"), Pair("PatientID", "4711")));
  EXPECT_THAT(found[0].other, ElementsAre(Pair("Modality", "MR"), Pair("PatientID", "4712")));
  EXPECT_THAT(found[1].other, ElementsAre(Pair("StudyInstanceUID", "1.2.7")));
}

TEST_F(CheckSeries, ComparesWithTheFirstWhateverCameSince) {
  use("on_change = \"quarantine\"");
  EXPECT_TRUE(passes({}));
  EXPECT_TRUE(is_quarantine(verdict({.instance = "1.2.3.2", .modality = "MR"})));
  EXPECT_TRUE(passes({.instance = "1.2.3.3"}));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_TRUE(is_quarantine(verdict({.instance = "1.2.3.2", .modality = "MR"})));
  EXPECT_TRUE(is_quarantine(verdict({.instance = "1.2.3.4", .modality = "MR"})));
  EXPECT_TRUE(passes({}));
}

TEST_F(CheckSeries, SaysWhichAttributesDifferAndNotTheirValues) {
  use("on_change = \"quarantine\"");
  EXPECT_TRUE(passes({}));
  EXPECT_EQ(reason_of(verdict({.modality = "MR", .patient = "4712"})),
            "not as its series was: Modality, PatientID");
}

TEST_F(CheckSeries, TakesAnEmptyValueForAgreementUnlessItIsToCompareIt) {
  use("on_change = \"quarantine\"");
  EXPECT_TRUE(passes({.patient = "", .series = "1.2.8"}));
  EXPECT_TRUE(passes({.patient = "4711", .series = "1.2.8"}));
  EXPECT_TRUE(passes({.series = "1.2.9"}));
  EXPECT_TRUE(passes({.station = "", .series = "1.2.9"}));
  use("on_change = \"quarantine\"\nempty = \"compare\"");
  EXPECT_TRUE(is_quarantine(verdict({.patient = "4711", .series = "1.2.8"})));
  EXPECT_TRUE(is_quarantine(verdict({.station = "", .series = "1.2.9"})));
}

TEST_F(CheckSeries, ComparesWhatItIsToldTo) {
  use("on_change = \"quarantine\"\ncompare = [\"SeriesNumber\"]");
  EXPECT_TRUE(passes({}));
  EXPECT_TRUE(passes({.modality = "MR", .patient = "1", .station = "2", .study = "1.9"}));
  EXPECT_TRUE(is_quarantine(verdict({.number = "4"})));
  // What the first instance had of another attribute is unknown.
  use("on_change = \"quarantine\"\ncompare = [\"SeriesNumber\", \"Modality\"]");
  EXPECT_TRUE(passes({.modality = "MR"}));
  EXPECT_TRUE(is_quarantine(verdict({.number = "4"})));
}

TEST_F(CheckSeries, ComparesTextsInWhateverCharacterSetAndPadding) {
  use("on_change = \"quarantine\"");
  const auto of = [&](const char* set, const char* patient) {
    DataSet data;
    data.text(tags::kSpecificCharacterSet, Vr::CS, set);
    const std::string bytes = data.bytes() + series_slice({.patient = patient}).bytes();
    Case one(bytes);
    return is_pass(one.apply(*filter_, *ledger_));
  };
  EXPECT_TRUE(of("ISO_IR 100", "M\xFCller "));
  EXPECT_TRUE(of("ISO_IR 192", "M\xC3\xBCller"));
  EXPECT_FALSE(of("ISO_IR 100", "M\xFCllers"));
}

TEST_F(CheckSeries, CountsBothOfTwoElementsWithDifferentValues) {
  use("on_change = \"quarantine\"");
  EXPECT_TRUE(passes({}));
  for (const char* patient : {"4711", "4712"}) {
    DataSet data = series_slice({});
    data.text(tags::kPatientId, Vr::LO, patient);
    Case one(data);
    EXPECT_EQ(is_pass(one.apply(*filter_, *ledger_)), std::string_view(patient) == "4711");
  }
  DataSet data = series_slice({});
  data.uid(tags::kSeriesInstanceUid, "1.2.99");
  Case two_series(data);
  EXPECT_TRUE(is_quarantine(two_series.apply(*filter_, *ledger_)));
  EXPECT_THAT(suspects().back().other, ElementsAre(Pair("SeriesInstanceUID", "1.2.2\\1.2.99")));
}

TEST_F(CheckSeries, PassesWhatHasNoSeries) {
  use("on_change = \"quarantine\"\nlimits = { \"*\" = 1 }");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(passes({.series = ""}));
  EXPECT_THAT(suspects(), IsEmpty());
}

TEST_F(CheckSeries, GivesIntrudersASeriesOfTheirOwnWhichStays) {
  use("on_change = \"split\"");
  EXPECT_TRUE(passes({}));
  const std::string mr = series_of({.instance = "1.2.3.2", .modality = "MR"});
  const std::string other = series_of({.instance = "1.2.3.3", .patient = "4712"});
  EXPECT_THAT(mr, StartsWith("2.25."));
  EXPECT_EQ((std::set<std::string>{"1.2.2", mr, other}).size(), 3U);
  EXPECT_EQ(series_of({.instance = "1.2.3.4", .modality = "MR", .number = "9"}), mr);
  EXPECT_EQ(series_of({.instance = "1.2.3.5", .modality = "MR", .station = ""}), mr)
      << "an empty value makes no series";
  EXPECT_NE(series_of({.instance = "1.2.3.6", .modality = "MR", .patient = "4712"}), mr);
  EXPECT_TRUE(passes({.instance = "1.2.3.7"}));
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(series_of({.instance = "1.2.3.2", .modality = "MR"}), mr);
  EXPECT_TRUE(passes({.modality = "MR", .series = mr})) << "what comes back";
  const auto known = ledger_->lookup(mr);
  ASSERT_TRUE(known);
  ASSERT_THAT(*known, SizeIs(1));
  EXPECT_EQ(known->front().before, "1.2.2");
  EXPECT_EQ(known->front().reason, "split");
}

TEST_F(CheckSeries, KeepsTheOldUidOfASplitSeriesOnRecord) {
  for (const bool records : {true, false}) {
    use("on_change = \"split\"\nrecord_original = " + std::string(records ? "true" : "false"));
    EXPECT_TRUE(passes({}));
    Case one(series_slice({.modality = "MR"}));
    ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    ASSERT_TRUE(one.instance.record_original_attributes());
    const std::string output = one.output();
    EXPECT_EQ(header_of(output).find(tags::kOriginalAttributesSequence).has_value(), records);
  }
}

TEST_F(CheckSeries, SplitsWhatNamesTwoSeries) {
  use("on_change = \"split\"");
  DataSet data = series_slice({});
  data.uid(tags::kSeriesInstanceUid, "1.2.99");
  Case one(data);
  EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_FALSE(one.instance.is_ambiguous(tags::kSeriesInstanceUid));
  EXPECT_THAT(one.instance.text(tags::kSeriesInstanceUid), StartsWith("2.25."));
}

// Two series in one study must not share a number, whichever way they came to be two.
TEST_F(CheckSeries, ASplitSeriesGetsANumberOfItsOwn) {
  use("on_change = \"split\"");
  const auto renumber = make_filter("remap_series_number", "");
  const auto number_of = [&](const SeriesSlice& slice) {
    Case one(series_slice(slice));
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    EXPECT_TRUE(is_pass(one.apply(*renumber, *ledger_)));
    return one.instance.text(tags::kSeriesNumber);
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(number_of({}), "3");
    EXPECT_EQ(number_of({.modality = "MR"}), "10000");
    EXPECT_EQ(number_of({.instance = "1.2.3.5", .modality = "MR"}), "10000");
    EXPECT_EQ(number_of({.patient = "4712"}), "10001");
    EXPECT_EQ(number_of({.instance = "1.2.3.6"}), "3");
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
}

// A filter behind that gives the whole series another UID changes nothing of that.
TEST_F(CheckSeries, ASplitSeriesKeepsItsNumberBehindOtherUids) {
  use("on_change = \"split\"");
  const auto remap = make_filter("remap_uids", "");
  const auto renumber = make_filter("remap_series_number", "");
  const auto numbers = [&](bool remaps) {
    std::vector<std::string> found;
    for (const char* modality : {"CT", "MR"}) {
      Case one(series_slice({.modality = modality}));
      EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
      if (remaps) {
        EXPECT_TRUE(is_pass(one.apply(*remap, *ledger_)));
        EXPECT_NE(one.instance.text(tags::kStudyInstanceUid), "1.2.1");
      }
      EXPECT_TRUE(is_pass(one.apply(*renumber, *ledger_)));
      found.push_back(one.instance.text(tags::kSeriesNumber));
    }
    return found;
  };
  EXPECT_THAT(numbers(false), ElementsAre("3", "10000"));
  EXPECT_THAT(numbers(true), ElementsAre("3", "10000"));
}

TEST_F(CheckSeries, AlarmsWhenASeriesHasMoreInstancesThanItsLimit) {
  use("limits = { CT = 2, \"*\" = 3 }");
  EXPECT_TRUE(is_pass(verdict({.instance = "1.2.3.1"}, kReceivedAt)));
  EXPECT_TRUE(is_pass(verdict({.instance = "1.2.3.2"}, kReceivedAt + std::chrono::seconds(1))));
  EXPECT_THAT(suspects(), IsEmpty());
  const Time later = std::chrono::system_clock::now() + std::chrono::hours(24);
  EXPECT_TRUE(is_pass(verdict({.instance = "1.2.3.3"}, later)));
  EXPECT_TRUE(is_pass(verdict({.instance = "1.2.3.4"}, later)));
  const auto found = suspects();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].limit, 2);
  EXPECT_EQ(found[0].sop_instance_uid, "1.2.3.3");
  EXPECT_EQ(found[0].outcome, "alarm");
  for (int i = 0; i < 3; ++i) {
    const SeriesSlice slice{.modality = "US", .series = "1.2.5"};
    EXPECT_TRUE(is_pass(verdict(slice, kReceivedAt + std::chrono::seconds(i))));
  }
  EXPECT_THAT(suspects(), SizeIs(1));
  const Time last = later + std::chrono::seconds(1);
  EXPECT_TRUE(is_pass(verdict({.modality = "US", .series = "1.2.5"}, last)));
  ASSERT_THAT(suspects(), SizeIs(2));
  EXPECT_EQ(suspects()[1].limit, 3);
}

// Each is asked for on receipt, and then again when it is sent, late and in any order.
TEST_F(CheckSeries, TheLimitSaysTheSameAgainWhenSending) {
  use("limits = { \"*\" = 5 }\non_excess = \"quarantine\"");
  const Time start = std::chrono::system_clock::now() - std::chrono::hours(1);
  const Time later = std::chrono::system_clock::now() + std::chrono::hours(24);
  std::vector<std::pair<Time, bool>> received;
  for (int i = 0; i < 8; ++i) {
    const Time at = (i < 5 ? start : later) + std::chrono::seconds(i);
    received.emplace_back(at, is_pass(verdict({.instance = "1.2.3." + std::to_string(i)}, at)));
    EXPECT_EQ(received.back().second, i < 5) << i;
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = received.size(); i-- > 0;) {
      const auto& [at, passed] = received[i];
      EXPECT_EQ(is_pass(verdict({.instance = "1.2.3." + std::to_string(i)}, at)), passed) << i;
    }
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
  EXPECT_EQ(reason_of(verdict({}, later)), "more instances in its series than 5");
}

TEST_F(CheckSeries, CountsASplitSeriesByItself) {
  use("limits = { \"*\" = 1 }\non_change = \"split\"\non_excess = \"quarantine\"");
  EXPECT_TRUE(is_pass(verdict({})));
  EXPECT_TRUE(is_pass(verdict({.patient = "4712"})));
  const Time later = std::chrono::system_clock::now() + std::chrono::hours(24);
  EXPECT_TRUE(is_quarantine(verdict({}, later)));
  EXPECT_TRUE(is_quarantine(verdict({.patient = "4712"}, later)));
}

TEST_F(CheckSeries, TwoThreadsGiveASplitSeriesOneUid) {
  use("on_change = \"split\"");
  EXPECT_TRUE(passes({}));
  std::vector<std::string> found(4);
  std::vector<std::thread> threads;
  threads.reserve(found.size());
  for (std::string& mine : found) {
    threads.emplace_back([&mine, this] {
      Case one(series_slice({.modality = "MR"}));
      EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
      mine = one.instance.text(tags::kSeriesInstanceUid);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(found, testing::Each(found.front()));
}

TEST_F(CheckSeries, DeclaresThatItEditsOnlyWhereItDoes) {
  EXPECT_THAT(filter_->effects().attributes, IsEmpty());
  use("on_change = \"split\"");
  EXPECT_THAT(filter_->effects().attributes, ElementsAre("SeriesInstanceUID"));
}

TEST(CheckSeriesOptions, AreToldWhenTheyAreWrongAllAtOnce) {
  const auto mistakes_in = [](std::string_view options) -> std::string {
    try {
      (void)make_filter("check_series", options);
    } catch (const std::invalid_argument& mistakes) {
      return mistakes.what();
    }
    return "";
  };
  const std::string all = mistakes_in(
      "compare = [\"Modalty\", \"SOPInstanceUID\", \"RequestAttributesSequence\"]\n"
      "empty = \"maybe\"\non_change = \"reject\"\nlimits = { CT = 0, MR = \"many\" }\n"
      "on_excess = \"split\"\n");
  EXPECT_THAT(all, HasSubstr("Modality"));
  EXPECT_THAT(all, HasSubstr("SOPInstanceUID cannot stand here"));
  EXPECT_THAT(all, HasSubstr("RequestAttributesSequence is a sequence"));
  for (const char* line : {"options:2", "options:3", "options:4", "options:5"}) {
    EXPECT_THAT(all, HasSubstr(line));
  }
  EXPECT_THAT(mistakes_in("on_excess = \"quarantine\""), HasSubstr("only with limits"));
  EXPECT_THAT(mistakes_in("compare = []"), HasSubstr("nothing to check"));
  EXPECT_EQ(mistakes_in("compare = []\nlimits = { CT = 5 }"), "");
}

}  // namespace
}  // namespace sluice::test
