#include <gtest/gtest.h>

#include "gateway/dicom/uid.h"
#include "tests/support/filter_runner.h"

namespace sluice::test {
namespace {

using dicom::Tag;
using dicom::Vr;
namespace tags = dicom::tags;

constexpr Tag kFrameOfReferenceUid{0x0020, 0x0052};
constexpr Tag kReferencedStudySequence{0x0008, 0x1110};
constexpr Tag kReferencedSopClassUid{0x0008, 0x1150};
constexpr Tag kFailedSopInstanceUidList{0x0008, 0x0058};

DataSet with_frame_of_reference(std::string_view value) {
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.add(kFrameOfReferenceUid, Vr::UI, value);
  return made;
}

struct Defect {
  const char* name;
  std::string value;  // as in the data set
  const char* reason;
  const char* hashed_from;  // what the default hashes; nullptr: trimmed to `trimmed`
  const char* trimmed = "";
};

class SanitizeUidsDefect : public testing::TestWithParam<Defect> {};

TEST_P(SanitizeUidsDefect, IsRepairedByDefault) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  Case one(with_frame_of_reference(GetParam().value));
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  ASSERT_EQ(one.instance.changes().size(), 1U);
  const Change& change = one.instance.changes().front();
  EXPECT_EQ(change.path, "FrameOfReferenceUID");
  EXPECT_EQ(change.reason, GetParam().reason);
  const std::string expected = GetParam().hashed_from == nullptr
                                   ? GetParam().trimmed
                                   : dicom::hash_uid(kSiteKey, GetParam().hashed_from);
  EXPECT_EQ(one.instance.text(kFrameOfReferenceUid), expected);
  EXPECT_TRUE(dicom::is_valid_uid(expected));
}

INSTANTIATE_TEST_SUITE_P(
    All, SanitizeUidsDefect,
    testing::Values(
        Defect{"padding", std::string("1.2.9\0\0\0", 8), "padding", nullptr, "1.2.9"},
        Defect{"space_padding", "1.2.9 ", "padding", nullptr, "1.2.9"},
        Defect{"inner_white_space", "1.2. 9", "inner white space", "1.2. 9"},
        Defect{"illegal_character", "1.2.A9", "illegal character", "1.2.A9"},
        Defect{"empty_component", std::string("1..29\0", 6), "empty component", "1..29"},
        Defect{"leading_zero", "1.02.9", "leading zero", "1.02.9"},
        Defect{"too_long", "1.22222222222222222222222222222222222222222222222222222222222222.9",
               "too long", "1.22222222222222222222222222222222222222222222222222222222222222.9"}),
    [](const auto& test) { return test.param.name; });

TEST(SanitizeUids, LeavesRightUidsAlone) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  Case one(with_frame_of_reference(std::string("1.2.9\0", 6)));
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  EXPECT_TRUE(one.instance.patch().empty());
}

TEST(SanitizeUids, RepairsEveryValueAtEveryDepth) {
  const auto filter = make_filter("sanitize_uids", "record_original = false");
  const auto ledger = memory_ledger();
  DataSet item;
  item.uid(tags::kReferencedSopInstanceUid, "1.02.3");
  DataSet inner;
  inner.sequence(kReferencedStudySequence, {item});
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.uid(kFailedSopInstanceUidList, "1.2.3\\1.02.3\\1.2.4 ");
  made.sequence(kReferencedStudySequence, {DataSet(), inner});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  const std::string hashed = dicom::hash_uid(kSiteKey, "1.02.3");
  ASSERT_EQ(one.instance.changes().size(), 2U);
  EXPECT_EQ(one.instance.changes()[0].after, "1.2.3\\" + hashed + "\\1.2.4");
  EXPECT_EQ(one.instance.changes()[1].path,
            "ReferencedStudySequence[1].ReferencedStudySequence[0].ReferencedSOPInstanceUID");
  EXPECT_EQ(one.instance.changes()[1].after, hashed);
}

TEST(SanitizeUids, NeverReplacesClassesAndWellKnownUids) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  DataSet item;
  item.uid(kReferencedSopClassUid, "1.2.840.10008.05.1");
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.uid(kFrameOfReferenceUid, "1.2.840.10008.1.4.01.1");
  made.sequence(kReferencedStudySequence, {item});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  EXPECT_TRUE(one.instance.patch().empty());
}

TEST(SanitizeUids, SeesPaddingInsideAndAtTheEndOfSeveralValues) {
  const auto filter = make_filter("sanitize_uids", "record_original = false");
  const auto ledger = memory_ledger();
  for (const std::string& value :
       {std::string("1.2.3\0\\1.2.34\0", 14), std::string("1.23\\1.2.34\0\0\0", 14)}) {
    DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
    made.add(kFailedSopInstanceUidList, Vr::UI, value);
    Case one(made);
    ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
    ASSERT_EQ(one.instance.changes().size(), 1U);
    EXPECT_EQ(one.instance.changes()[0].reason, "padding");
    EXPECT_EQ(one.instance.changes()[0].after.find('\0'), std::string::npos);
  }
}

TEST(SanitizeUids, TrimsThePaddingOfAClassToo) {
  const auto filter = make_filter("sanitize_uids", "padding = \"hash\"");
  const auto ledger = memory_ledger();
  DataSet item;
  item.add(kReferencedSopClassUid, Vr::UI, "1.2.840.10008.5.1 ");
  DataSet made = image("1.2.3", "1.2.4", "1.2.5", "1");
  made.sequence(kReferencedStudySequence, {item});
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  ASSERT_EQ(one.instance.changes().size(), 1U);
  EXPECT_EQ(one.instance.changes()[0].after, "1.2.840.10008.5.1");
}

TEST(SanitizeUids, RejectsMissingAndEmptyIdentifiers) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto quarantining = make_filter("sanitize_uids", "missing = \"quarantine\"");
  const auto passing = make_filter("sanitize_uids", "missing = \"pass\"");
  const auto ledger = memory_ledger();
  for (const auto& data_set :
       {image("1.2.3", "", "1.2.5", "1"), image("1.2.3", "1.2.4", "", "1")}) {
    Case one(data_set);
    const Verdict verdict = one.apply(*filter, *ledger);
    ASSERT_TRUE(is_reject(verdict));
    EXPECT_EQ(std::get<Reject>(verdict).status, 0xC000);
    EXPECT_NE(reason_of(verdict).find("missing or empty"), std::string::npos);
    EXPECT_TRUE(is_quarantine(one.apply(*quarantining, *ledger)));
    EXPECT_TRUE(is_pass(one.apply(*passing, *ledger)));
  }
}

TEST(SanitizeUids, DecidesAboutASopInstanceUidUnlikeTheCommands) {
  const auto ledger = memory_ledger();
  const auto header = header_of(image("1.2.3", "1.2.4", "1.2.5", "1").bytes());
  Provenance provenance = provenance_for(header);
  provenance.sop_instance_uid = "1.2.99";
  const auto verdict = [&](std::string_view options) {
    Instance instance(provenance, header);
    const auto made = make_filter("sanitize_uids", options)->apply(instance, *ledger);
    EXPECT_TRUE(made);
    EXPECT_TRUE(instance.is_uid_mismatch_settled());
    return *made;
  };
  const Verdict rejected = verdict("");
  ASSERT_TRUE(is_reject(rejected));
  EXPECT_EQ(std::get<Reject>(rejected).status, 0xA900);
  EXPECT_TRUE(is_quarantine(verdict("mismatch = \"quarantine\"")));
  EXPECT_TRUE(is_pass(verdict("mismatch = \"pass\"")));
}

// A PACS may read the other one.
TEST(SanitizeUids, RepairsBothOfTwoElementsWithOneTag) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  for (const auto& [first, second] : {std::pair{"1.02", "1.2.4"}, std::pair{"1.2.4", "1.02"}}) {
    DataSet data = image("1.2.3", first, "1.2.5", "1");
    data.uid(tags::kStudyInstanceUid, second);
    Case one(data);
    ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
    const std::string output = one.output();
    const Case sent(output);
    const auto uids = sent.instance.texts(tags::kStudyInstanceUid);
    ASSERT_EQ(uids.size(), 2U);
    for (const std::string& uid : uids) EXPECT_TRUE(dicom::is_valid_uid(uid)) << uid;
    EXPECT_EQ(one.instance.changes().size(), 1U);
  }
}

TEST(SanitizeUids, RepairsWhatStandsOutOfOrder) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  DataSet data;
  data.uid(tags::kSeriesInstanceUid, "1.02").uid(tags::kStudyInstanceUid, "1.03");
  Case one(data.bytes() + DataSet().uid(tags::kSopInstanceUid, "1.2.3").bytes());
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  EXPECT_TRUE(dicom::is_valid_uid(one.instance.text(tags::kSeriesInstanceUid)));
  EXPECT_TRUE(dicom::is_valid_uid(one.instance.text(tags::kStudyInstanceUid)));
}

TEST(SanitizeUids, RejectsAnEmptyIdentifierBesideOneThatIsThere) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  for (const auto& [first, second] : {std::pair{"", "1.2.4"}, std::pair{"1.2.4", ""}}) {
    DataSet data = image("1.2.3", first, "1.2.5", "1");
    data.uid(tags::kStudyInstanceUid, second);
    EXPECT_TRUE(is_reject(Case(data).apply(*filter, *ledger)));
  }
}

TEST(SanitizeUids, StripsZerosWhereAsked) {
  const auto filter = make_filter("sanitize_uids", "leading_zero = \"strip_zeros\"");
  const auto ledger = memory_ledger();
  Case one(with_frame_of_reference("1.02.0.003"));
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  EXPECT_EQ(one.instance.text(kFrameOfReferenceUid), "1.2.0.3");
}

TEST(SanitizeUids, RejectsPassesOrQuarantinesWhereAsked) {
  const auto ledger = memory_ledger();
  Case one(with_frame_of_reference("1.02.9"));
  const Verdict rejected =
      one.apply(*make_filter("sanitize_uids", "leading_zero = \"reject\""), *ledger);
  EXPECT_TRUE(is_reject(rejected));
  EXPECT_EQ(reason_of(rejected), "FrameOfReferenceUID: leading zero");
  EXPECT_TRUE(is_quarantine(
      one.apply(*make_filter("sanitize_uids", "leading_zero = \"quarantine\""), *ledger)));
  EXPECT_TRUE(
      is_pass(one.apply(*make_filter("sanitize_uids", "leading_zero = \"pass\""), *ledger)));
  EXPECT_TRUE(one.instance.patch().empty());
}

TEST(SanitizeUids, HashesAsDcm4cheByName) {
  const auto filter = make_filter("sanitize_uids", "algorithm = \"dcm4che-md5\"");
  const auto ledger = memory_ledger();
  Case one(with_frame_of_reference("1.02.9"));
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  EXPECT_EQ(one.instance.text(kFrameOfReferenceUid), dicom::md5_uid("1.02.9"));
}

TEST(SanitizeUids, KeepsOldAndNewInTheLedger) {
  const auto filter = make_filter("sanitize_uids", "");
  const auto ledger = memory_ledger();
  Case one(with_frame_of_reference("1.02.9 "));
  ASSERT_TRUE(is_pass(one.apply(*filter, *ledger)));
  const auto found = ledger->lookup(one.instance.text(kFrameOfReferenceUid));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().before, "1.02.9");
  EXPECT_EQ(found->front().reason, "leading zero");
  EXPECT_EQ(ledger->lookup("1.02.9")->size(), 1U);
}

TEST(SanitizeUids, RefusesPoliciesThatMakeNoSense) {
  EXPECT_THROW((void)make_filter("sanitize_uids", "padding = \"strip_zeros\""),
               std::invalid_argument);
  EXPECT_THROW((void)make_filter("sanitize_uids", "missing = \"hash\""), std::invalid_argument);
  EXPECT_THROW((void)make_filter("sanitize_uids", "key = \"short\""), std::invalid_argument);
  EXPECT_THROW((void)make_filter("sanitize_uids", "leding_zero = \"hash\""), std::invalid_argument);
}

}  // namespace
}  // namespace sluice::test
