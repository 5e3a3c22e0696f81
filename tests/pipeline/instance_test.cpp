#include "gateway/pipeline/instance.h"

#include <gmock/gmock.h>

#include "gateway/dicom/vr.h"
#include "tests/support/data_set.h"

namespace sluice {
namespace {

using dicom::Tag;
using dicom::Vr;
namespace tags = dicom::tags;

constexpr Tag kReferencedStudySequence{0x0008, 0x1110};

class InstanceTest : public testing::Test {
 protected:
  // The data set after the edits and the record of them.
  dicom::Header finished(Instance& instance) {
    EXPECT_TRUE(instance.record_original_attributes());
    output_ = test::rendered(instance.patch(), bytes_);
    return test::header_of(output_);
  }
  static std::string text(const dicom::Header& header, Tag tag, dicom::ElementIndex parent) {
    const auto index = header.find(tag, parent);
    if (!index) return "(absent)";
    const auto value = header.value(*index);
    return value ? dicom::value_to_text(header[*index].vr, *value, false) : "(not kept)";
  }
  // The item of a sequence; fails the test when there is none.
  static dicom::ElementIndex item(const dicom::Header& header, Tag sequence,
                                  dicom::ElementIndex parent, dicom::ElementIndex number = 0) {
    const auto index = header.find(sequence, parent);
    if (!index) throw std::runtime_error("no " + dicom::keyword(sequence));
    dicom::ElementIndex at = *index + 1;
    for (; number > 0; --number) at = header.after(at);
    if (at >= header.elements().size() || !header[at].is_item()) {
      throw std::runtime_error("no item in " + dicom::keyword(sequence));
    }
    return at;
  }

  test::DataSet reference_ = test::DataSet().uid(tags::kReferencedSopInstanceUid, "1.02");
  std::string bytes_ = test::image("1.2.3", "1.2.4", "1.2.5", "3")
                           .sequence(kReferencedStudySequence, {test::DataSet(), reference_})
                           .bytes();
  std::string output_;
  dicom::Header header_ = test::header_of(bytes_);
  Provenance provenance_{
      "id",
      "CT1",
      "SLUICE",
      "10.1.2.3",
      "l",
      "1.2",
      "1.2.3",
      std::chrono::system_clock::time_point(std::chrono::microseconds(1'600'000'000'000'042))};
};

TEST_F(InstanceTest, KeepsAnAccountOfItsChanges) {
  Instance instance(provenance_, header_);
  instance.begin_step("first");
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "7", "because", Record::none));
  instance.begin_step("second");
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "8", "again", Record::none));
  ASSERT_EQ(instance.changes().size(), 2U);
  EXPECT_EQ(instance.changes()[0].filter, "first");
  EXPECT_EQ(instance.changes()[0].path, "SeriesNumber");
  EXPECT_EQ(instance.changes()[0].before, "3");
  EXPECT_EQ(instance.changes()[0].after, "7");
  EXPECT_EQ(instance.changes()[1].before, "7");
  EXPECT_EQ(instance.text(tags::kSeriesNumber), "8");
}

// Whatever the steps before and behind say of the same element.
TEST_F(InstanceTest, RecordsNoOriginalOfWhatIsNeverToBeTold) {
  Instance instance(provenance_, header_);
  const auto study = header_.find(tags::kStudyInstanceUid);
  const auto series = header_.find(tags::kSeriesInstanceUid);
  ASSERT_TRUE(study && series);
  ASSERT_TRUE(instance.change(*study, "1.2.40", "merged", Record::coerced));
  ASSERT_TRUE(instance.change(*study, "2.25.4", "remapped", Record::never));
  ASSERT_TRUE(instance.change(*series, "2.25.5", "remapped", Record::never));
  ASSERT_TRUE(instance.change(*series, "2.25.50", "merged", Record::nonconforming));
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "7", "collision", Record::coerced));
  const dicom::Header header = finished(instance);
  EXPECT_EQ(text(header, tags::kStudyInstanceUid, dicom::kRoot), "2.25.4");
  EXPECT_EQ(output_.find("1.2.4"), std::string::npos);
  EXPECT_EQ(output_.find("1.2.5"), std::string::npos);
  const auto original = item(header, tags::kOriginalAttributesSequence, dicom::kRoot);
  const auto modified = item(header, tags::kModifiedAttributesSequence, original);
  EXPECT_EQ(text(header, tags::kSeriesNumber, modified), "3");
  EXPECT_EQ(text(header, tags::kStudyInstanceUid, modified), "(absent)");
  EXPECT_EQ(text(header, tags::kSeriesInstanceUid, modified), "(absent)");
}

TEST_F(InstanceTest, TakesAnEqualValueForNoChange) {
  Instance instance(provenance_, header_);
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "3", "because", Record::coerced));
  EXPECT_TRUE(instance.changes().empty());
  ASSERT_TRUE(instance.record_original_attributes());
  EXPECT_TRUE(instance.patch().empty());
}

TEST_F(InstanceTest, RecordsCoercedValuesAsReceived) {
  Instance instance(provenance_, header_);
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "7", "", Record::coerced));
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "8", "", Record::coerced));
  ASSERT_TRUE(instance.change(tags::kStudyId, "new", "", Record::coerced));
  const dicom::Header after = finished(instance);
  EXPECT_EQ(text(after, tags::kSeriesNumber, dicom::kRoot), "8");
  const auto original = item(after, tags::kOriginalAttributesSequence, dicom::kRoot);
  EXPECT_EQ(text(after, {0x0400, 0x0562}, original), "20200913122640.000042+0000");
  EXPECT_EQ(text(after, {0x0400, 0x0563}, original), "SLUICE");
  EXPECT_EQ(text(after, {0x0400, 0x0564}, original), "CT1");
  EXPECT_EQ(text(after, {0x0400, 0x0565}, original), "COERCE");
  const auto modified = item(after, tags::kModifiedAttributesSequence, original);
  EXPECT_EQ(text(after, tags::kSeriesNumber, modified), "3");
  EXPECT_EQ(text(after, tags::kStudyId, modified), "");
}

TEST_F(InstanceTest, RecordsNonconformingValuesWithWhereTheyStood) {
  Instance instance(provenance_, header_);
  const auto second = item(header_, kReferencedStudySequence, dicom::kRoot, 1);
  const auto index = header_.find(tags::kReferencedSopInstanceUid, second);
  ASSERT_TRUE(index);
  ASSERT_TRUE(instance.change(*index, "1.2.99", "", Record::nonconforming));
  const dicom::Header after = finished(instance);
  const auto original = item(after, tags::kOriginalAttributesSequence, dicom::kRoot);
  EXPECT_EQ(text(after, {0x0400, 0x0565}, original), "CORRECT");
  const auto record = item(after, {0x0400, 0x0551}, original);
  EXPECT_EQ(text(after, {0x0072, 0x0026}, record), "0008,1155");
  EXPECT_EQ(text(after, {0x0072, 0x0052}, record), "0008,1110");
  EXPECT_EQ(text(after, {0x0074, 0x1057}, record), "2");
  EXPECT_EQ(after.value(*after.find({0x0400, 0x0552}, record)), "1.02");
}

TEST_F(InstanceTest, AppendsToTheRecordOfEarlierSystems) {
  test::DataSet earlier;
  earlier.text({0x0400, 0x0563}, Vr::LO, "OTHER");
  bytes_ += test::DataSet().sequence(tags::kOriginalAttributesSequence, {earlier}).bytes();
  header_ = test::header_of(bytes_);
  Instance instance(provenance_, header_);
  ASSERT_TRUE(instance.change(tags::kSeriesNumber, "7", "", Record::coerced));
  const dicom::Header after = finished(instance);
  EXPECT_EQ(text(after, {0x0400, 0x0563},
                 item(after, tags::kOriginalAttributesSequence, dicom::kRoot, 0)),
            "OTHER");
  EXPECT_EQ(text(after, {0x0400, 0x0563},
                 item(after, tags::kOriginalAttributesSequence, dicom::kRoot, 1)),
            "SLUICE");
}

TEST_F(InstanceTest, TellsEachOfTwoElementsWithOneTag) {
  const std::string twice = bytes_ + test::DataSet().uid(tags::kSopInstanceUid, "1.2.99").bytes();
  const dicom::Header header = test::header_of(twice);
  Instance instance(provenance_, header);
  EXPECT_THAT(instance.texts(tags::kSopInstanceUid), testing::ElementsAre("1.2.3", "1.2.99"));
  EXPECT_TRUE(instance.is_ambiguous(tags::kSopInstanceUid));
  EXPECT_TRUE(instance.has_uid_mismatch()) << "the second counts too";
  EXPECT_THAT(instance.texts(tags::kStudyInstanceUid), testing::ElementsAre("1.2.4"));
  EXPECT_THAT(instance.texts(tags::kPatientId), testing::IsEmpty());
  ASSERT_TRUE(instance.change(tags::kSopInstanceUid, "1.2.3", "test", Record::none));
  EXPECT_THAT(instance.texts(tags::kSopInstanceUid), testing::ElementsAre("1.2.3", "1.2.3"));
  ASSERT_TRUE(instance.change(tags::kPatientId, "P", "test", Record::none));
  EXPECT_THAT(instance.texts(tags::kPatientId), testing::ElementsAre("P"));
}

TEST_F(InstanceTest, TellsASopInstanceUidUnlikeTheCommands) {
  EXPECT_FALSE(Instance(provenance_, header_).has_uid_mismatch());
  provenance_.sop_instance_uid = "1.2.3.4";
  EXPECT_TRUE(Instance(provenance_, header_).has_uid_mismatch());
}

}  // namespace
}  // namespace sluice
