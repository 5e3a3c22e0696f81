#include "gateway/dicom/tag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::dicom {
namespace {

using testing::HasSubstr;

TEST(Tag, IsOrderedByGroupThenElement) {
  EXPECT_LT((Tag{0x0008, 0xFFFF}), (Tag{0x0010, 0x0000}));
  EXPECT_LT((Tag{0x0010, 0x0010}), (Tag{0x0010, 0x0020}));
  EXPECT_EQ((Tag{0x0010, 0x0010}), (Tag{0x0010, 0x0010}));
}

TEST(Tag, KnowsPrivateGroupsAndGroupLengths) {
  EXPECT_TRUE((Tag{0x0029, 0x1010}).is_private());
  EXPECT_FALSE((Tag{0x0028, 0x1011}).is_private());
  EXPECT_TRUE((Tag{0x0008, 0x0000}).is_group_length());
  EXPECT_FALSE((Tag{0x0008, 0x0001}).is_group_length());
}

TEST(Tag, IsWrittenAsInTheStandard) {
  EXPECT_EQ(to_string(Tag{0x0020, 0x000D}), "(0020,000D)");
  EXPECT_EQ(to_string(Tag{0x7FE0, 0x0010}), "(7FE0,0010)");
  EXPECT_EQ(to_string(Tag{0xFFFE, 0xE00D}), "(FFFE,E00D)");
}

TEST(Tag, HasAKeywordOrItsNumbers) {
  EXPECT_EQ(keyword(tags::kStudyInstanceUid), "StudyInstanceUID");
  EXPECT_EQ(keyword(tags::kSeriesNumber), "SeriesNumber");
  EXPECT_EQ(keyword({0x0029, 0x1010}), "(0029,1010)");
  EXPECT_EQ(keyword({0x0009, 0x0010}), "(0009,0010)");
  EXPECT_EQ(keyword({0x0008, 0xFFF0}), "(0008,FFF0)");
  EXPECT_EQ(keyword({0x6000, 0x3000}), "OverlayData");
  EXPECT_EQ(keyword({0x6002, 0x3000}), "OverlayData");
}

TEST(Tag, IsReadInEveryForm) {
  for (const char* text :
       {"StudyInstanceUID", "(0020,000D)", "(0020,000d)", "0020,000D", "0020000D", "0020000d"}) {
    const auto tag = parse_tag(text);
    ASSERT_TRUE(tag) << text;
    EXPECT_EQ(*tag, tags::kStudyInstanceUid) << text;
  }
  EXPECT_EQ(parse_tag("00291010"), (Tag{0x0029, 0x1010}));
  EXPECT_EQ(parse_tag("OverlayData"), (Tag{0x6000, 0x3000}));
}

TEST(Tag, IsReadBackFromItsKeyword) {
  for (const Tag tag :
       {tags::kSpecificCharacterSet, tags::kSopClassUid, tags::kStudyDate, tags::kAccessionNumber,
        tags::kModality, tags::kPatientId, tags::kIssuerOfPatientId, tags::kStudyId,
        tags::kInstanceNumber, tags::kModifiedAttributesSequence, tags::kOriginalAttributesSequence,
        tags::kPixelData}) {
    EXPECT_EQ(parse_tag(keyword(tag)), tag);
    EXPECT_EQ(parse_tag(to_string(tag)), tag);
  }
}

TEST(Tag, ThatIsNoneIsAConfigurationErrorWithTheNearestKeyword) {
  const auto tag = parse_tag("studyinstanceuid");
  ASSERT_FALSE(tag);
  EXPECT_EQ(tag.error().code, ErrorCode::configuration);
  EXPECT_THAT(tag.error().message, HasSubstr("'studyinstanceuid'"));
  EXPECT_THAT(tag.error().message, HasSubstr("did you mean 'StudyInstanceUID'?"));
  EXPECT_THAT(parse_tag("SeriesNumbr").error().message, HasSubstr("'SeriesNumber'"));
  for (const char* text : {"", "(0020,000D", "0020-000D", "0020,00G0", "+020,000D", "-0200000",
                           "(0020 000D)", "002000", "0020,000D0", " 0020,000", "0x200010"}) {
    EXPECT_FALSE(parse_tag(text)) << text;
  }
  const auto long_one = parse_tag(std::string(100'000, 'x'));
  ASSERT_FALSE(long_one);
  EXPECT_LT(long_one.error().message.size(), 400U);
}

}  // namespace
}  // namespace sluice::dicom
