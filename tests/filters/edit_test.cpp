#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/filter_runner.h"

namespace sluice {
namespace {

using dicom::Vr;
using test::Case;
using test::DataSet;
using testing::HasSubstr;
namespace tags = dicom::tags;

constexpr dicom::Tag kInstitution{0x0008, 0x0080};
constexpr dicom::Tag kStation{0x0008, 0x1010};
constexpr dicom::Tag kRequests{0x0040, 0x0275};
constexpr dicom::Tag kProcedure{0x0040, 0x1001};
constexpr dicom::Tag kReport{0x0040, 0xA160};

class EditTest : public testing::Test {
 protected:
  DataSet data_set() const {
    DataSet made;
    if (!character_set_.empty()) made.text(tags::kSpecificCharacterSet, Vr::CS, character_set_);
    return made.text({0x0008, 0x0008}, Vr::CS, "ORIGINAL\\PRIMARY")
        .uid(tags::kSopClassUid, "1.2.840.10008.5.1.4.1.1.2")
        .uid(tags::kSopInstanceUid, "1.2.3.4")
        .text(tags::kAccessionNumber, Vr::SH, " ACC-12 ")
        .text(tags::kModality, Vr::CS, "CT")
        .text(kInstitution, Vr::LO, "")
        .text({0x0009, 0x0010}, Vr::LO, "ACME")
        .text({0x0009, 0x1001}, Vr::LO, "secret")
        .text(tags::kPatientName, Vr::PN, name_)
        .uid(tags::kStudyInstanceUid, "1.2.3")
        .uid(tags::kSeriesInstanceUid, "1.2.3.1")
        .sequence(kRequests, {DataSet().text(kProcedure, Vr::SH, "a"),
                              DataSet().text(kProcedure, Vr::SH, "b")})
        .text(kReport, Vr::UT, report_);
  }
  Case run(const std::string& rules, const std::string& options = "") {
    const auto filter = test::make_filter("edit", options + "\n" + rules);
    Case one(data_set());
    verdict_ = one.apply(*filter, *ledger_);
    return one;
  }
  // The text of one attribute behind the rule.
  std::string text_after(dicom::Tag tag, const std::string& rule) {
    const Case one = run("rule = [ " + rule + " ]");
    EXPECT_TRUE(test::is_pass(verdict_)) << test::reason_of(verdict_);
    const std::string bytes = one.output();
    const dicom::Header header = test::header_of(bytes);
    return dicom::Patch(header).text(tag);
  }
  static std::string mistakes(const std::string& rules) {
    try {
      (void)test::make_filter("edit", rules);
    } catch (const std::invalid_argument& found) {
      return found.what();
    }
    return "";
  }

  std::string character_set_;
  std::string name_ = "Doe^Jane";
  std::string report_ = "no finding";
  Verdict verdict_;
  std::unique_ptr<Ledger> ledger_ = test::memory_ledger();
};

TEST_F(EditTest, SetsWhatIsThereAndWhatIsNot) {
  EXPECT_EQ(text_after(tags::kModality, "{ attribute = 'Modality', set = 'MR' }"), "MR");
  EXPECT_EQ(text_after(kStation, "{ attribute = 'StationName', set = 'North' }"), "North");
  EXPECT_EQ(text_after(kInstitution, "{ attribute = '(0008,0080)', set = 'Here' }"), "Here");
}

TEST_F(EditTest, FillsInAttributesAndFacts) {
  EXPECT_EQ(text_after(kStation,
                       "{ attribute = 'StationName', set = '{Modality}-{calling_ae_title}"
                       "-{called_ae_title}' }"),
            "CT-CT1-SLUICE");
  EXPECT_EQ(text_after(kStation, "{ attribute = 'StationName', set = '{{{Modality}}}' }"), "{CT}");
  EXPECT_EQ(
      text_after({0x0008, 0x0022}, "{ attribute = 'AcquisitionDate', set = '{receive_date}' }")
          .size(),
      8U);
  EXPECT_EQ(text_after(kStation, "{ attribute = 'StationName', set = '{PatientID}' }"), "");
}

TEST_F(EditTest, DefaultsOnlyWhatIsAbsentOrEmpty) {
  EXPECT_EQ(text_after(kInstitution, "{ attribute = 'InstitutionName', default = 'x' }"), "x");
  EXPECT_EQ(text_after(kStation, "{ attribute = 'StationName', default = 'x' }"), "x");
  EXPECT_EQ(text_after(tags::kModality, "{ attribute = 'Modality', default = 'MR' }"), "CT");
}

TEST_F(EditTest, Copies) {
  EXPECT_EQ(text_after(kStation, "{ attribute = 'StationName', copy = 'Modality' }"), "CT");
  EXPECT_EQ(text_after(tags::kModality, "{ attribute = 'Modality', copy = 'InstitutionName' }"),
            "CT");
  EXPECT_EQ(text_after(kStation,
                       "{ attribute = 'StationName', copy = "
                       "'RequestAttributesSequence[1].RequestedProcedureID' }"),
            "b");
}

TEST_F(EditTest, Removes) {
  const Case one =
      run("rule = [ { attribute = 'RequestAttributesSequence', remove = true }, "
          "{ attribute = 'PatientName', remove = true }, "
          "{ attribute = '(0009,xx01,ACME)', remove = true } ]");
  const std::string bytes = one.output();
  const dicom::Header header = test::header_of(bytes);
  EXPECT_FALSE(header.find(kRequests));
  EXPECT_FALSE(header.find(tags::kPatientName));
  EXPECT_FALSE(header.find({0x0009, 0x1001}));
  EXPECT_TRUE(header.find({0x0009, 0x0010}));
}

TEST_F(EditTest, AddsToValues) {
  const dicom::Tag type{0x0008, 0x0008};
  EXPECT_EQ(text_after(type, "{ attribute = 'ImageType', append = 'AXIAL' }"),
            "ORIGINAL\\PRIMARY\\AXIAL");
  EXPECT_EQ(text_after(type, "{ attribute = 'ImageType', prefix = 'X_' }"),
            "X_ORIGINAL\\X_PRIMARY");
  EXPECT_EQ(text_after(type, "{ attribute = 'ImageType', suffix = '_X' }"),
            "ORIGINAL_X\\PRIMARY_X");
  EXPECT_EQ(text_after(kInstitution, "{ attribute = 'InstitutionName', prefix = 'x' }"), "");
  EXPECT_EQ(text_after(kInstitution, "{ attribute = 'InstitutionName', append = 'x' }"), "x");
}

TEST_F(EditTest, ReplacesByRegularExpression) {
  EXPECT_EQ(text_after(tags::kAccessionNumber,
                       "{ attribute = 'AccessionNumber', replace = { regex = '^ *ACC-(\\d+)', "
                       "with = 'A\\1' } }"),
            "A12");
  EXPECT_EQ(text_after({0x0008, 0x0008},
                       "{ attribute = 'ImageType', replace = { regex = 'ARY$', with = '' } }"),
            "ORIGINAL\\PRIM");
}

TEST_F(EditTest, TrimsTruncatesAndCapitalizes) {
  EXPECT_EQ(text_after(tags::kAccessionNumber, "{ attribute = 'AccessionNumber', trim = true }"),
            "ACC-12");
  EXPECT_EQ(text_after(tags::kPatientName, "{ attribute = 'PatientName', upper = true }"),
            "DOE^JANE");
  EXPECT_EQ(text_after(tags::kPatientName, "{ attribute = 'PatientName', truncate = 4 }"), "Doe^");
  EXPECT_EQ(text_after(kStation,
                       "{ attribute = 'StationName', set = '0123456789abcdef-too-long' },"
                       "{ attribute = 'StationName', truncate = true }"),
            "0123456789abcdef");
}

TEST_F(EditTest, CapitalizesLettersOfEveryScript) {
  character_set_ = "ISO_IR 192";
  name_ = "müller^жук";
  EXPECT_EQ(text_after(tags::kPatientName, "{ attribute = 'PatientName', upper = true }"),
            "MÜLLER^ЖУК");
}

TEST_F(EditTest, EditsEveryItemOfASequence) {
  const Case one = run(
      "rule = [ { attribute = 'RequestAttributesSequence[*].RequestedProcedureID', prefix = 'P' }, "
      "{ attribute = 'RequestAttributesSequence[1].ScheduledProcedureStepID', set = 'S' } ]");
  const std::string bytes = one.output();
  const dicom::Header header = test::header_of(bytes);
  const Instance after(test::provenance_for(header), header);
  const auto values = [&](const char* path) { return after.values(*AttributePath::parse(path)); };
  EXPECT_THAT(values("RequestAttributesSequence[*].RequestedProcedureID"),
              testing::ElementsAre("Pa", "Pb"));
  EXPECT_THAT(values("RequestAttributesSequence[*].ScheduledProcedureStepID"),
              testing::ElementsAre("S"));
}

TEST_F(EditTest, EachRuleSeesWhatThoseBeforeItDid) {
  EXPECT_EQ(text_after(kInstitution,
                       "{ attribute = 'StationName', set = 'a' }, "
                       "{ attribute = 'StationName', append = 'b' }, "
                       "{ attribute = 'InstitutionName', set = '{StationName}', "
                       "when = { StationName = 'b' } }"),
            "a\\b");
}

TEST_F(EditTest, HonoursItsConditions) {
  EXPECT_EQ(text_after(kStation,
                       "{ attribute = 'StationName', set = 'x', "
                       "when = { Modality = 'MR' } }"),
            "");
  EXPECT_EQ(text_after(kStation,
                       "{ attribute = 'StationName', set = 'x', "
                       "when = { Modality = 'CT', calling_ae_title = 'CT?' } }"),
            "x");
}

TEST_F(EditTest, WritesInTheCharacterSetOfTheInstance) {
  character_set_ = "ISO_IR 100";
  EXPECT_EQ(text_after(kInstitution, "{ attribute = 'InstitutionName', set = 'Süd' }"),
            "S\xFC"
            "d");
}

TEST_F(EditTest, ByPolicyRefusesWhatHasNoFormInIt) {
  const std::string rule = "rule = [ { attribute = 'InstitutionName', set = 'Ж' } ]";
  for (const char* const set : {"", "ISO_IR 100"}) {
    character_set_ = set;
    (void)run(rule);
    EXPECT_TRUE(test::is_quarantine(verdict_)) << set;
    EXPECT_THAT(test::reason_of(verdict_), HasSubstr("InstitutionName"));
    (void)run(rule, "characters = 'reject'");
    EXPECT_TRUE(test::is_reject(verdict_));
  }
}

TEST_F(EditTest, ByPolicyTurnsAllTextToUnicode) {
  character_set_ = "ISO_IR 100";
  name_ = "M\xFCller";
  const Case one =
      run("rule = [ { attribute = 'StationName', set = 'ü' }, "
          "{ attribute = 'InstitutionName', set = 'Ж' } ]",
          "characters = 'unicode'");
  ASSERT_TRUE(test::is_pass(verdict_)) << test::reason_of(verdict_);
  const std::string bytes = one.output();
  const dicom::Header header = test::header_of(bytes);
  const dicom::Patch after(header);
  EXPECT_EQ(after.text(tags::kSpecificCharacterSet), "ISO_IR 192");
  EXPECT_EQ(after.text(tags::kPatientName), "Müller");
  EXPECT_EQ(after.text(kInstitution), "Ж");
  EXPECT_EQ(after.text(kStation), "ü");
}

TEST_F(EditTest, DoesNotTurnTextThatIsWrong) {
  name_ = "M\xFCller";  // without a character set that has such a byte
  (void)run("rule = [ { attribute = 'InstitutionName', set = 'Ж' } ]", "characters = 'unicode'");
  EXPECT_TRUE(test::is_quarantine(verdict_));
}

TEST_F(EditTest, QuarantinesWhatTheVrDoesNotTake) {
  (void)run("rule = [ { attribute = 'AccessionNumber', set = '01234567890123456' } ]");
  EXPECT_TRUE(test::is_quarantine(verdict_));
  EXPECT_EQ(test::reason_of(verdict_),
            "AccessionNumber is no value of VR SH: more than 16 characters");
  (void)run("rule = [ { attribute = 'Modality', set = 'ct' } ]");
  EXPECT_TRUE(test::is_quarantine(verdict_));
  (void)run("rule = [ { attribute = 'StudyDate', set = '2024-01-01' } ]");
  EXPECT_TRUE(test::is_quarantine(verdict_));
}

TEST_F(EditTest, RecordsOldValuesUnlessToldNotTo) {
  const std::string rule = "rule = [ { attribute = 'PatientName', set = 'X' } ]";
  Case recorded = run(rule);
  ASSERT_TRUE(recorded.instance.record_original_attributes());
  EXPECT_THAT(recorded.output(), HasSubstr("Doe^Jane"));
  Case silent = run(rule, "record_original = false");
  ASSERT_TRUE(silent.instance.record_original_attributes());
  EXPECT_THAT(silent.output(), testing::Not(HasSubstr("Doe^Jane")));
}

// The value of an attribute as it is recorded; nullopt when it is not.
Text recorded(Case& one, const std::string& attribute) {
  EXPECT_TRUE(one.instance.record_original_attributes());
  const std::string bytes = one.output();
  const dicom::Header header = test::header_of(bytes);
  const Instance after({}, header);
  const auto path = AttributePath::parse(
      "OriginalAttributesSequence[0].ModifiedAttributesSequence[0]." + attribute);
  const auto values = after.values(*path);
  return values.empty() ? std::nullopt : values.front();
}

TEST_F(EditTest, RecordsInTheCharacterSetThatItNames) {
  name_ = "M\xFCller";
  const std::string rule =
      "rule = [ { attribute = 'PatientName', suffix = '^x' }, "
      "{ attribute = 'InstitutionName', set = 'Ж' } ]";
  character_set_ = "ISO_IR 100";
  Case turned = run(rule, "characters = 'unicode'");
  EXPECT_EQ(recorded(turned, "SpecificCharacterSet"), "ISO_IR 100");
  EXPECT_EQ(recorded(turned, "PatientName"), "Müller");
  Case same = run("rule = [ { attribute = 'PatientName', suffix = '^x' } ]");
  EXPECT_EQ(recorded(same, "SpecificCharacterSet"), std::nullopt);
  EXPECT_EQ(recorded(same, "PatientName"), "Müller");
}

TEST_F(EditTest, RecordsAPrivateAttributeWithItsCreator) {
  Case one = run("rule = [ { attribute = '(0009,xx01,ACME)', set = 'x' } ]");
  EXPECT_EQ(recorded(one, "(0009,xx01,ACME)"), "secret");
}

TEST_F(EditTest, TellsChangesInTheCharacterSetOfTheirItem) {
  character_set_ = "ISO_IR 192";
  const auto filter =
      test::make_filter("edit",
                        "rule = [ { attribute = "
                        "'RequestAttributesSequence[*].RequestedProcedureID', suffix = 'ä' } ]");
  Case one(DataSet()
               .text(tags::kSpecificCharacterSet, Vr::CS, character_set_)
               .sequence(kRequests, {DataSet()
                                         .text(tags::kSpecificCharacterSet, Vr::CS, "ISO_IR 100")
                                         .text(kProcedure, Vr::SH,
                                               "Sch\xE4"
                                               "del")}));
  EXPECT_TRUE(test::is_pass(one.apply(*filter, *ledger_)));
  ASSERT_EQ(one.instance.changes().size(), 1U);
  EXPECT_EQ(one.instance.changes()[0].before, "Schädel");
  EXPECT_EQ(one.instance.changes()[0].after, "Schädelä");
}

TEST_F(EditTest, TellsTextThatIsTurnedToUnicodeAsWhatItSays) {
  character_set_ = "ISO_IR 100";
  name_ = "M\xFCller";
  const Case one =
      run("rule = [ { attribute = 'InstitutionName', set = 'Ж' } ]", "characters = 'unicode'");
  const auto name = std::ranges::find(one.instance.changes(), "PatientName", &Change::path);
  ASSERT_NE(name, one.instance.changes().end());
  EXPECT_EQ(name->before, "Müller");
  EXPECT_EQ(name->after, "Müller");
}

// It is neither empty nor absent.
TEST_F(EditTest, WritesOverNothingThatIsTooLongToBeRead) {
  report_ = std::string(20'000, 'r');
  for (const char* const operation : {"suffix = 'x'", "upper = true", "trim = true",
                                      "truncate = 10", "replace = { regex = 'r', with = 's' }"}) {
    const Case one = run(std::string("rule = [ { attribute = 'TextValue', ") + operation + " } ]");
    EXPECT_TRUE(test::is_quarantine(verdict_)) << operation;
    EXPECT_THAT(test::reason_of(verdict_), HasSubstr("TextValue is too long for"));
    EXPECT_EQ(one.output(), one.bytes);
  }
  const Case kept = run("rule = [ { attribute = 'TextValue', default = 'x' } ]");
  EXPECT_TRUE(test::is_pass(verdict_));
  EXPECT_EQ(kept.output(), kept.bytes);
  (void)run("rule = [ { attribute = 'StationName', copy = 'TextValue' } ]");
  EXPECT_EQ(test::reason_of(verdict_), "TextValue is too long to be copied");
  (void)run("rule = [ { attribute = 'StationName', set = '{TextValue}' } ]");
  EXPECT_TRUE(test::is_quarantine(verdict_));
}

TEST_F(EditTest, SetsAndRemovesWhatIsTooLongWithoutARecordThatItWasEmpty) {
  report_ = std::string(20'000, 'r');
  EXPECT_EQ(text_after(kReport, "{ attribute = 'TextValue', set = 'x' }"), "x");
  Case set = run(
      "rule = [ { attribute = 'TextValue', set = 'x' }, { attribute = 'Modality', set = 'MR' } ]");
  EXPECT_EQ(recorded(set, "TextValue"), std::nullopt);
  EXPECT_EQ(recorded(set, "Modality"), "CT");
  Case removed = run("rule = [ { attribute = 'RequestAttributesSequence', remove = true } ]");
  ASSERT_TRUE(removed.instance.record_original_attributes());
  EXPECT_FALSE(test::header_of(removed.output()).find(tags::kOriginalAttributesSequence));
}

TEST_F(EditTest, GivesBothOfTwoElementsTheValue) {
  const std::string twice =
      data_set().bytes() + DataSet().text(tags::kModality, Vr::CS, "MR").bytes();
  Case one(twice);
  const auto filter =
      test::make_filter("edit", "rule = [ { attribute = 'Modality', set = 'CT' } ]");
  EXPECT_TRUE(test::is_pass(one.apply(*filter, *ledger_)));
  EXPECT_THAT(one.instance.texts(tags::kModality), testing::ElementsAre("CT", "CT"));
}

TEST_F(EditTest, TellsEveryMistake) {
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationNam', set = 'x' } ]"),
              HasSubstr("StationName"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName' } ]"),
              HasSubstr("exactly one of set"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName', set = 'x', trim = true } ]"),
              HasSubstr("exactly one"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName', sett = 'x' } ]"),
              HasSubstr("did you mean 'set'"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName', set = '{Stationame}' } ]"),
              HasSubstr("StationName"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName', set = '{x' } ]"),
              HasSubstr("without its }"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'SOPClassUID', set = '1.2' } ]"),
              HasSubstr("not edited"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'SOPInstanceUID', remove = true } ]"),
              HasSubstr("no instance can be without"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'RequestAttributesSequence', set = 'x' } ]"),
              HasSubstr("only be removed"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'PixelData', remove = true } ]"),
              HasSubstr("pixel data"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName', replace = { regex = '(' } } ]"),
              HasSubstr("RE2"));
  EXPECT_THAT(
      mistakes("rule = [ { attribute = 'StationName', replace = { regex = 'a', with = '\\2' } } ]"),
      HasSubstr("replace"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'TextValue', append = 'x' } ]"),
              HasSubstr("one value and no more"));
  EXPECT_THAT(mistakes("rule = [ { attribute = 'StationName', trim = false } ]"),
              HasSubstr("does nothing"));
}

}  // namespace
}  // namespace sluice
