#include "gateway/pipeline/condition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/glob.h"
#include "tests/support/data_set.h"

namespace sluice {
namespace {

using dicom::Vr;
using testing::HasSubstr;
namespace tags = dicom::tags;

constexpr dicom::Tag kRequests{0x0040, 0x0275};
constexpr dicom::Tag kStep{0x0040, 0x0009};

TEST(Glob, MatchesRunsAndSingleCharacters) {
  EXPECT_TRUE(matches_glob("CT*", "CT_1"));
  EXPECT_TRUE(matches_glob("CT*", "CT"));
  EXPECT_FALSE(matches_glob("CT*", "MCT"));
  EXPECT_TRUE(matches_glob("*CT*1", "xxCTyCTz1"));
  EXPECT_TRUE(matches_glob("C?", "CT"));
  EXPECT_FALSE(matches_glob("C?", "C"));
  EXPECT_TRUE(matches_glob("", ""));
  EXPECT_FALSE(matches_glob("", "x"));
  EXPECT_TRUE(matches_glob("**", ""));
  EXPECT_FALSE(matches_glob("ct*", "CT1"));
  EXPECT_FALSE(matches_glob("a*b*c", "a-b-"));
}

TEST(Glob, TakesNoLongerThanTheProductOfItsLengths) {
  const std::string text(20000, 'a');
  EXPECT_FALSE(matches_glob("*a*a*a*a*a*a*a*a*a*b", text));
}

Condition condition(const std::string& toml, std::string* mistakes_found = nullptr) {
  config::Mistakes mistakes("f");
  config::Table table = config::Table::parse(toml, mistakes);
  Condition made = Condition::read(table);
  if (mistakes_found != nullptr) {
    *mistakes_found = mistakes.text();
  } else {
    EXPECT_EQ(mistakes.text(), "");
  }
  return made;
}

std::string mistakes_in(const std::string& toml) {
  std::string found;
  (void)condition(toml, &found);
  return found;
}

class ConditionHolds : public testing::Test {
 protected:
  bool holds(const std::string& toml) { return condition(toml).holds(instance()); }
  Instance instance() {
    bytes_ = data_set_.bytes() + more_;
    header_ = test::header_of(bytes_);
    Instance made(provenance_, header_);
    made.add_label("urgent");
    return made;
  }

  test::DataSet data_set_ = test::DataSet()
                                .text({0x0008, 0x0008}, Vr::CS, "ORIGINAL\\PRIMARY")
                                .text(tags::kStudyDate, Vr::DA, "20240115")
                                .text(tags::kModality, Vr::CS, "CT")
                                .text({0x0009, 0x0010}, Vr::LO, "ACME")
                                .text({0x0009, 0x0011}, Vr::LO, "ACME 2.0")
                                .text({0x0009, 0x1108}, Vr::LO, "raw")
                                .text(tags::kPatientName, Vr::PN, "")
                                .text({0x0018, 0x0050}, Vr::DS, "2.50")
                                .text(tags::kSeriesNumber, Vr::IS, "+7")
                                .add({0x0028, 0x0010}, Vr::US, std::string("\0\2", 2))
                                .sequence(kRequests, {test::DataSet().text(kStep, Vr::SH, "A"),
                                                      test::DataSet().text(kStep, Vr::SH, "B")});
  std::string more_;
  std::string bytes_;
  dicom::Header header_;
  // 2024-01-21 23:30 UTC, a Sunday
  Provenance provenance_{
      "id",     "CT1",
      "SLUICE", "10.1.2.3",
      "north",  "1.2.840.10008.5.1.4.1.1.2",
      "",       std::chrono::system_clock::time_point(std::chrono::seconds(1'705'879'800))};
};

TEST_F(ConditionHolds, LooksAtNothingThatIsTooLongToBeRead) {
  data_set_.text({0x0040, 0xA160}, Vr::UT, std::string(20'000, 'r'));
  EXPECT_TRUE(holds("TextValue = { exists = true }"));
  EXPECT_TRUE(holds("TextValue = { empty = false }"));
  EXPECT_FALSE(holds("TextValue = { empty = true }"));
  EXPECT_FALSE(holds("TextValue = '*'"));
  const Finding found = condition("TextValue = '*'").explain(instance());
  ASSERT_EQ(found.parts.size(), 1U);
  EXPECT_EQ(found.parts[0].found, "too long to be looked at");
}

TEST_F(ConditionHolds, AlwaysWhenItAsksForNothing) {
  EXPECT_TRUE(holds(""));
  EXPECT_TRUE(condition("").is_always());
  EXPECT_FALSE(condition("Modality = 'CT'").is_always());
}

TEST_F(ConditionHolds, ByAttributeKeywordOrTag) {
  EXPECT_TRUE(holds("Modality = 'CT'"));
  EXPECT_TRUE(holds("'(0008,0060)' = ['MR', 'C*']"));
  EXPECT_FALSE(holds("Modality = ['MR', 'US']"));
  EXPECT_TRUE(holds("'(0009,0010)' = 'ACME'"));
  EXPECT_TRUE(holds("Rows = '512'"));
  EXPECT_FALSE(holds("Modality = 'CT'\nRows = '256'"));
}

TEST_F(ConditionHolds, ByOneOfSeveralValues) {
  EXPECT_TRUE(holds("ImageType = 'PRIMARY'"));
  EXPECT_FALSE(holds("ImageType = 'SECONDARY'"));
}

// Whichever of the two a filter or a PACS reads, no condition is dodged by the other.
TEST_F(ConditionHolds, ByEitherOfTwoElementsWithOneTag) {
  more_ = test::DataSet().text(tags::kModality, Vr::CS, "MR").bytes();
  EXPECT_TRUE(holds("Modality = 'CT'"));
  EXPECT_TRUE(holds("Modality = 'MR'"));
  EXPECT_FALSE(holds("Modality = 'US'"));
  EXPECT_TRUE(holds("Rows = '512'\nImageType = 'PRIMARY'"));
  EXPECT_FALSE(holds("Modality = ''"));
}

TEST_F(ConditionHolds, ByAnAttributeOutOfOrder) {
  more_ = test::DataSet().text({0x0008, 0x0070}, Vr::LO, "ACME").bytes();
  EXPECT_TRUE(holds("Manufacturer = 'ACME'\nModality = 'CT'"));
  EXPECT_FALSE(holds("Manufacturer = 'OTHER'"));
}

TEST_F(ConditionHolds, AnAbsentAttributeAsAnEmptyValue) {
  EXPECT_FALSE(holds("PatientID = '?*'"));
  EXPECT_TRUE(holds("PatientID = ''"));
}

TEST_F(ConditionHolds, ByWhatIsInSequences) {
  EXPECT_TRUE(holds("'RequestAttributesSequence[*].ScheduledProcedureStepID' = 'B'"));
  EXPECT_TRUE(holds("'RequestAttributesSequence[0].ScheduledProcedureStepID' = 'A'"));
  EXPECT_FALSE(holds("'RequestAttributesSequence[0].ScheduledProcedureStepID' = 'B'"));
  EXPECT_FALSE(
      holds("'RequestAttributesSequence[2].ScheduledProcedureStepID' = { exists = true }"));
  EXPECT_TRUE(holds("RequestAttributesSequence = { exists = true }"));
}

TEST_F(ConditionHolds, ByAPrivateAttributeInWhateverBlockItsCreatorHas) {
  EXPECT_TRUE(holds("'(0009,xx08,ACME 2.0)' = 'raw'"));
  EXPECT_FALSE(holds("'(0009,xx08,ACME)' = 'raw'"));
  EXPECT_FALSE(holds("'(0009,xx08,NOBODY)' = { exists = true }"));
}

TEST_F(ConditionHolds, ByTheVeryText) {
  provenance_.calling_ae_title = "A*1";
  EXPECT_TRUE(holds("calling_ae_title = { equals = 'A*1' }"));
  provenance_.calling_ae_title = "AB1";
  EXPECT_FALSE(holds("calling_ae_title = { equals = ['x', 'A*1'] }"));
}

TEST_F(ConditionHolds, ByRegularExpressionOfTheWholeText) {
  EXPECT_TRUE(holds("calling_ae_title = { regex = 'CT\\d+' }"));
  EXPECT_FALSE(holds("calling_ae_title = { regex = 'C' }"));
  EXPECT_TRUE(holds("calling_ae_title = { regex = ['x', '(?i)ct.'] }"));
}

TEST_F(ConditionHolds, ByNumbers) {
  EXPECT_TRUE(holds("SliceThickness = { at_least = 2.5, less = 3 }"));
  EXPECT_FALSE(holds("SliceThickness = { greater = 2.5 }"));
  EXPECT_TRUE(holds("SliceThickness = { at_most = 2.5 }"));
  EXPECT_TRUE(holds("SeriesNumber = { at_least = 7, at_most = 7 }"));
  EXPECT_TRUE(holds("Rows = { greater = 511 }"));
  EXPECT_FALSE(holds("PatientName = { less = 5 }"));
  EXPECT_FALSE(holds("PatientID = { less = 5 }"));
  EXPECT_FALSE(holds("Modality = { less = 5 }"));
}

TEST_F(ConditionHolds, ByDates) {
  EXPECT_TRUE(holds("StudyDate = { since = '2024-01-15' }"));
  EXPECT_FALSE(holds("StudyDate = { before = '2024-01-15' }"));
  EXPECT_TRUE(holds("StudyDate = { since = '20240101', before = '20240201' }"));
  EXPECT_TRUE(holds("StudyDate = { older_than = '6d' }"));
  EXPECT_FALSE(holds("StudyDate = { older_than = '7d' }"));
  EXPECT_TRUE(holds("StudyDate = { newer_than = '7d' }"));
  EXPECT_FALSE(holds("PatientBirthDate = { newer_than = '36500d' }"));
}

TEST_F(ConditionHolds, ByWhetherThereIsSomething) {
  EXPECT_TRUE(holds("PatientName = { exists = true, empty = true }"));
  EXPECT_TRUE(holds("PatientID = { exists = false }"));
  EXPECT_TRUE(holds("PatientID = { empty = true }"));
  EXPECT_FALSE(holds("Modality = { empty = true }"));
  EXPECT_TRUE(holds("Modality = { empty = false }"));
}

TEST_F(ConditionHolds, WhenTheContraryDoesNot) {
  EXPECT_TRUE(holds("Modality = { not = ['MR', 'US'] }"));
  EXPECT_FALSE(holds("Modality = { not = 'C*' }"));
  EXPECT_FALSE(holds("ImageType = { not = 'PRIMARY' }"));
  EXPECT_TRUE(holds("SeriesNumber = { not = { less = 5 } }"));
  EXPECT_TRUE(holds("not = { Modality = 'CT', Rows = '256' }"));
  EXPECT_FALSE(holds("not = { Modality = 'CT', Rows = '512' }"));
}

TEST_F(ConditionHolds, ByAnyAndAllOfSeveral) {
  EXPECT_TRUE(holds("any = [ { Modality = 'MR' }, { Rows = '512' } ]"));
  EXPECT_FALSE(holds("any = [ { Modality = 'MR' }, { Rows = '256' } ]"));
  EXPECT_TRUE(
      holds("Modality = 'CT'\nall = [ { Rows = '512' }, { any = [ { label = 'x' }, "
            "{ label = 'urgent' } ] } ]"));
}

TEST_F(ConditionHolds, ByWhereItCameFrom) {
  EXPECT_TRUE(
      holds("calling_ae_title = 'CT*'\ncalled_ae_title = 'SLUICE'\npeer_address = '10.1.*'\n"
            "listener = 'north'"));
  EXPECT_FALSE(holds("calling_ae_title = 'CT*'\nlistener = 'south'"));
  EXPECT_TRUE(holds("peer_address = ['192.168.0.0/16', '10.0.0.0/8']"));
  EXPECT_FALSE(holds("peer_address = '10.2.0.0/16'"));
  EXPECT_TRUE(holds("peer_address = { not = '10.2.0.0/16' }"));
}

TEST_F(ConditionHolds, ByWhatItIsByNameOrUid) {
  EXPECT_TRUE(holds("sop_class = 'CTImageStorage'"));
  EXPECT_TRUE(holds("sop_class = ['*PresentationState*', '1.2.840.10008.5.1.4.1.1.2']"));
  EXPECT_FALSE(holds("sop_class = 'MRImageStorage'"));
  EXPECT_TRUE(holds("transfer_syntax = 'Little Endian Explicit'"));
  EXPECT_FALSE(holds("transfer_syntax = 'JPEG*'"));
}

TEST_F(ConditionHolds, ByLabel) {
  EXPECT_TRUE(holds("label = 'urgent'"));
  EXPECT_FALSE(holds("label = 'research'"));
  EXPECT_TRUE(holds("label = { not = 'research' }"));
}

TEST_F(ConditionHolds, ByTheTimeOfReceiptInAZone) {
  // Monday 00:30 in Berlin.
  EXPECT_TRUE(holds("time = { from = '22:00', to = '06:00', zone = 'Europe/Berlin' }"));
  EXPECT_TRUE(holds("time = { days = ['mon'], zone = 'Europe/Berlin' }"));
  EXPECT_TRUE(holds("time = { days = ['sun'], zone = 'UTC' }"));
  // A night that began on Sunday.
  EXPECT_TRUE(
      holds("time = { days = ['sun'], from = '22:00', to = '06:00', zone = 'Europe/Berlin' }"));
  EXPECT_FALSE(
      holds("time = { days = ['mon'], from = '22:00', to = '06:00', zone = 'Europe/Berlin' }"));
  EXPECT_FALSE(holds("time = { from = '07:00', to = '18:00', zone = 'Europe/Berlin' }"));
}

TEST_F(ConditionHolds, ComparingTextInUnicode) {
  data_set_ = test::DataSet()
                  .text(tags::kSpecificCharacterSet, Vr::CS, "ISO_IR 100")
                  .text(tags::kPatientName, Vr::PN, "M\xFCller^Eva");
  EXPECT_TRUE(holds("PatientName = 'Müller*'"));
  EXPECT_TRUE(holds("PatientName = { regex = 'M.ller\\^.*' }"));
}

TEST(Condition, TellsAllMistakesAtOnce) {
  EXPECT_THAT(mistakes_in("Modalty = 'CT'"), HasSubstr("'Modality'"));
  EXPECT_THAT(mistakes_in("PixelData = 'x'"), HasSubstr("pixel data"));
  EXPECT_THAT(mistakes_in("'(0008,0000)' = '1'"), HasSubstr("group length"));
  EXPECT_THAT(mistakes_in("Modality = []"), HasSubstr("names no value"));
  EXPECT_THAT(mistakes_in("Modality = {}"), HasSubstr("asks for nothing"));
  EXPECT_EQ(mistakes_in("SeriesNumber = 3\nModality = ['CT', true]"),
            "f:1: SeriesNumber must be a string or an array of strings, not an integer; write "
            "\"3\"\n"
            "f:2: Modality must hold strings, not a boolean; write \"true\"\n");
  EXPECT_THAT(mistakes_in("Modality = { regex = '(' }"), HasSubstr("RE2"));
  EXPECT_THAT(mistakes_in("Modality = { equal = 'x' }"), HasSubstr("did you mean 'equals'"));
  EXPECT_THAT(mistakes_in("StudyDate = { since = 'May' }"), HasSubstr("must be a date"));
  EXPECT_THAT(mistakes_in("StudyDate = { since = '2024-02-30' }"), HasSubstr("must be a date"));
  EXPECT_THAT(mistakes_in("peer_address = '10.0.0.0/33'"), HasSubstr("10.0.0.0/33"));
  EXPECT_THAT(mistakes_in("time = { from = '7:00' }"), HasSubstr("07:30"));
  EXPECT_THAT(mistakes_in("time = { from = '07:00', to = '07:00' }"), HasSubstr("never"));
  EXPECT_THAT(mistakes_in("time = { days = ['monday'] }"), HasSubstr("monday"));
  EXPECT_THAT(mistakes_in("time = { zone = 'Europe/Berlim' }"), HasSubstr("Europe/Berlim"));
  EXPECT_THAT(mistakes_in("any = []"), HasSubstr("must hold a table"));
  EXPECT_THAT(mistakes_in("'RequestAttributesSequence.StudyID' = 'x'"), HasSubstr("[0]"));
  EXPECT_THAT(mistakes_in("'Modality[0].StudyID' = 'x'"), HasSubstr("no sequence"));
}

TEST(Condition, TellsWhatCanNeverBe) {
  EXPECT_THAT(mistakes_in("Rows = { at_least = 5, less = 5 }"), HasSubstr("no number"));
  EXPECT_THAT(mistakes_in("StudyDate = { since = '2024-01-01', before = '2023-01-01' }"),
              HasSubstr("no date"));
  EXPECT_THAT(mistakes_in("StudyDate = { older_than = '2d', newer_than = '1d' }"),
              HasSubstr("no date"));
  EXPECT_THAT(mistakes_in("StudyDate = { exists = false, equals = 'x' }"), HasSubstr("not there"));
  const Surroundings here{{"north"}, {"urgent"}};
  EXPECT_EQ(condition("listener = 'n*'\nlabel = 'urgent'").why_never(here), "");
  EXPECT_THAT(condition("listener = 'south'").why_never(here), HasSubstr("south"));
  EXPECT_THAT(condition("label = 'research'").why_never(here), HasSubstr("research"));
  EXPECT_EQ(condition("not = { label = 'research' }").why_never(here), "");
  EXPECT_EQ(condition("any = [ { label = 'research' }, { Modality = 'CT' } ]").why_never(here), "");
  EXPECT_NE(condition("any = [ { label = 'research' }, { listener = 'x' } ]").why_never(here), "");
}

TEST_F(ConditionHolds, AndSaysWhy) {
  const Finding finding =
      condition("Modality = ['CT', 'MR']\nany = [ { PatientID = 'x' }, { label = 'y' } ]")
          .explain(instance());
  EXPECT_FALSE(finding.holds);
  ASSERT_EQ(finding.parts.size(), 2U);
  EXPECT_TRUE(finding.parts[0].holds);
  EXPECT_EQ(finding.parts[0].text, "Modality: CT, MR; it is \"CT\"");
  EXPECT_FALSE(finding.parts[1].holds);
  ASSERT_EQ(finding.parts[1].parts.size(), 2U);
  EXPECT_EQ(finding.parts[1].parts[0].text, "PatientID: x; it is not there");
}

TEST(Condition, TellsTheAttributesThatItLooksAt) {
  EXPECT_THAT(condition("Modality = 'CT'\nnot = { 'RequestAttributesSequence[*].StudyID' = 'x' }")
                  .attributes(),
              testing::UnorderedElementsAre("Modality", "RequestAttributesSequence[*].StudyID"));
}

}  // namespace
}  // namespace sluice
