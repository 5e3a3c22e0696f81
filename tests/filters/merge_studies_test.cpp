#include <gtest/gtest.h>

#include "tests/support/filter_runner.h"

namespace sluice::test {
namespace {

using dicom::Tag;
using dicom::Vr;
namespace tags = dicom::tags;

constexpr Tag kStudyDescription{0x0008, 0x1030};
constexpr Tag kReferencedStudies{0x0008, 0x1110};

struct Slice {
  std::string study = "1.2.1";
  std::string patient_id = "P1";
  std::string accession = "A1";
  std::string issuer;
  std::string description = "Thorax";
  std::string character_set;
};

DataSet data_set(const Slice& slice) {
  DataSet made;
  if (!slice.character_set.empty())
    made.text(tags::kSpecificCharacterSet, Vr::CS, slice.character_set);
  made.uid(tags::kSopClassUid, "1.2.840.10008.5.1.4.1.1.2")
      .uid(tags::kSopInstanceUid, "1.2.3")
      .text(tags::kAccessionNumber, Vr::SH, slice.accession)
      .text(kStudyDescription, Vr::LO, slice.description)
      .text(tags::kPatientId, Vr::LO, slice.patient_id);
  if (!slice.issuer.empty()) made.text(tags::kIssuerOfPatientId, Vr::LO, slice.issuer);
  made.uid(tags::kStudyInstanceUid, slice.study).uid(tags::kSeriesInstanceUid, slice.study + ".9");
  return made;
}

class MergeStudies : public testing::Test {
 protected:
  // The Study Instance UID that the slice ends with.
  std::string study_of(const Slice& slice) {
    return run(slice).instance.text(tags::kStudyInstanceUid);
  }
  Case run(const Slice& slice) {
    Case one(data_set(slice));
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    return one;
  }
  std::unique_ptr<Filter> filter_ = make_filter("merge_studies", "");
  std::unique_ptr<Ledger> ledger_ = memory_ledger();
};

TEST_F(MergeStudies, GivesWhatAgreesTheStudyOfTheFirst) {
  EXPECT_EQ(study_of({.study = "1.2.1"}), "1.2.1");
  EXPECT_EQ(study_of({.study = "1.2.2"}), "1.2.1");
  EXPECT_EQ(study_of({.study = "1.2.2"}), "1.2.1");
  EXPECT_EQ(study_of({.study = "1.2.1"}), "1.2.1");
}

TEST_F(MergeStudies, KeepsApartWhatDiffersInAnyPartOfTheKey) {
  EXPECT_EQ(study_of({.study = "1.2.1"}), "1.2.1");
  EXPECT_EQ(study_of({.study = "1.2.2", .patient_id = "P2"}), "1.2.2");
  EXPECT_EQ(study_of({.study = "1.2.3", .accession = "A2"}), "1.2.3");
  EXPECT_EQ(study_of({.study = "1.2.4", .issuer = "OTHER"}), "1.2.4");
  // The same characters, parted otherwise.
  EXPECT_EQ(study_of({.study = "1.2.5", .patient_id = "P", .accession = "1A1"}), "1.2.5");
}

TEST_F(MergeStudies, NeverMergesByAnEmptyKey) {
  EXPECT_EQ(study_of({.study = "1.2.1", .accession = ""}), "1.2.1");
  EXPECT_EQ(study_of({.study = "1.2.2", .accession = ""}), "1.2.2");
  EXPECT_EQ(study_of({.study = "1.2.3", .patient_id = " "}), "1.2.3");
  EXPECT_EQ(study_of({.study = "1.2.4", .patient_id = " "}), "1.2.4");
}

// Nobody knows which of two a PACS takes: neither may lead into another patient's study.
TEST_F(MergeStudies, NeverMergesByAKeyThatComesTwiceWithDifferentValues) {
  EXPECT_EQ(study_of({.study = "1.2.1", .issuer = "H"}), "1.2.1");
  struct Second {
    Tag tag;
    std::string same;
    std::string other;
  };
  for (const Second& second :
       {Second{tags::kPatientId, "P1", "P2"}, Second{tags::kAccessionNumber, "A1", "A2"},
        Second{tags::kIssuerOfPatientId, "H", "K"}}) {
    for (const bool is_first : {false, true}) {
      const auto study = [&](const std::string& value) {
        const std::string slice = data_set({.study = "1.2.2", .issuer = "H"}).bytes();
        const std::string more = DataSet().text(second.tag, Vr::LO, value).bytes();
        Case one(is_first ? more + slice : slice + more);
        EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
        return one.instance.text(tags::kStudyInstanceUid);
      };
      EXPECT_EQ(study(second.other), "1.2.2") << dicom::keyword(second.tag);
      EXPECT_EQ(study(second.same), "1.2.1") << dicom::keyword(second.tag);
    }
  }
}

TEST_F(MergeStudies, GivesBothOfTwoElementsTheStudyAndItsAttributes) {
  EXPECT_EQ(study_of({.study = "1.2.1", .description = "Thorax"}), "1.2.1");
  for (const char* first : {"1.2.1", "1.2.2"}) {
    DataSet data = data_set({.study = first, .description = "Thorax"});
    data.uid(tags::kStudyInstanceUid, "1.2.3").text(kStudyDescription, Vr::LO, "Other");
    Case one(data);
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    const std::string output = one.output();
    const Case sent(output);
    EXPECT_EQ(sent.instance.texts(tags::kStudyInstanceUid),
              (std::vector<std::string>{"1.2.1", "1.2.1"}));
    EXPECT_EQ(sent.instance.texts(kStudyDescription),
              (std::vector<std::string>{"Thorax", "Thorax"}));
  }
}

TEST_F(MergeStudies, MergesByAKeyOutOfOrder) {
  EXPECT_EQ(study_of({.study = "1.2.1"}), "1.2.1");
  const DataSet key = DataSet().text(tags::kPatientId, Vr::LO, "P1");
  Case one(data_set({.study = "1.2.2", .patient_id = "P1"}).bytes() + key.bytes());
  EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_EQ(one.instance.text(tags::kStudyInstanceUid), "1.2.1");
  DataSet tail;
  tail.uid(tags::kStudyInstanceUid, "1.2.3").text(tags::kPatientId, Vr::LO, "P1");
  Case other(tail.text(tags::kAccessionNumber, Vr::SH, "A1"));
  EXPECT_TRUE(is_pass(other.apply(*filter_, *ledger_)));
  EXPECT_EQ(other.instance.text(tags::kStudyInstanceUid), "1.2.1");
}

TEST_F(MergeStudies, TakesOverTheStudyAttributesOfTheFirst) {
  (void)run({.study = "1.2.1", .description = "Thorax"});
  const Case second = run({.study = "1.2.2", .description = "Abdomen"});
  EXPECT_EQ(second.instance.text(kStudyDescription), "Thorax");
  const Case third = run({.study = "1.2.1", .description = "Head"});
  EXPECT_EQ(third.instance.text(kStudyDescription), "Thorax");
}

TEST_F(MergeStudies, ConvertsTextBetweenCharacterSets) {
  (void)run({.study = "1.2.1",
             .description = "H\xFC"
                            "fte",
             .character_set = "ISO_IR 100"});
  const Case utf8 = run({.study = "1.2.2", .description = "x", .character_set = "ISO_IR 192"});
  EXPECT_EQ(utf8.instance.text(kStudyDescription),
            "H\xC3\xBC"
            "fte");
  // Greek has no u umlaut: the own text stays.
  const Case greek = run({.study = "1.2.3", .description = "x", .character_set = "ISO_IR 126"});
  EXPECT_EQ(greek.instance.text(kStudyDescription), "x");
  EXPECT_EQ(greek.instance.text(tags::kStudyInstanceUid), "1.2.1");
}

TEST_F(MergeStudies, LetsReferencesToTheStudyFollow) {
  (void)run({.study = "1.2.1"});
  DataSet item;
  item.uid(tags::kReferencedSopInstanceUid, "1.2.2");
  DataSet made = data_set({.study = "1.2.2"});
  made.sequence(kReferencedStudies, {item});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  ASSERT_FALSE(one.instance.changes().empty());
  EXPECT_EQ(one.instance.changes().back().path,
            "ReferencedStudySequence[0].ReferencedSOPInstanceUID");
  EXPECT_EQ(one.instance.changes().back().after, "1.2.1");
}

TEST_F(MergeStudies, LetsReferencesToAnotherMergedStudyFollowFromItsMergeOn) {
  (void)run({.study = "1.2.1"});
  (void)run({.study = "1.2.2"});
  DataSet item;
  item.uid(tags::kReferencedSopInstanceUid, "1.2.2");
  DataSet made = data_set({.study = "1.5", .accession = "A9"});
  made.sequence(kReferencedStudies, {item});
  const auto header = header_of(made.bytes());
  Provenance provenance = provenance_for(header);
  const auto reference_after = [&] {
    Instance instance(provenance, header);
    EXPECT_TRUE(filter_->apply(instance, *ledger_));
    return instance.changes().empty() ? "" : instance.changes().back().after;
  };
  // Received before the merge: a retry must send what the first attempt sent.
  EXPECT_EQ(reference_after(), "");
  provenance.received_at = std::chrono::system_clock::now() + std::chrono::hours(1);
  EXPECT_EQ(reference_after(), "1.2.1");
}

TEST_F(MergeStudies, MakesANewStudyWhereAsked) {
  filter_ = make_filter("merge_studies", "study_instance_uid = \"new\"");
  const std::string made = study_of({.study = "1.2.1"});
  EXPECT_EQ(made.rfind("2.25.", 0), 0U);
  EXPECT_EQ(study_of({.study = "1.2.2"}), made);
}

TEST_F(MergeStudies, MergesByAnotherKeyWhereAsked) {
  filter_ =
      make_filter("merge_studies", "key = \"StudyDescription\"\nqualifiers = []\nattributes = []");
  EXPECT_EQ(study_of({.study = "1.2.1", .patient_id = "P1"}), "1.2.1");
  EXPECT_EQ(study_of({.study = "1.2.2", .patient_id = "P2"}), "1.2.1");
}

TEST_F(MergeStudies, RefusesKeysAndAttributesThatCannotBe) {
  EXPECT_THROW((void)make_filter("merge_studies", "key = \"PatinetID\""), std::invalid_argument);
  EXPECT_THROW((void)make_filter("merge_studies", "key = []"), std::invalid_argument);
  EXPECT_THROW((void)make_filter("merge_studies", "key = \"PixelData\""), std::invalid_argument);
  EXPECT_THROW((void)make_filter("merge_studies", "attributes = \"ReferencedStudySequence\""),
               std::invalid_argument);
  EXPECT_THROW((void)make_filter("merge_studies", "attributes = \"SOPInstanceUID\""),
               std::invalid_argument);
}

}  // namespace
}  // namespace sluice::test
