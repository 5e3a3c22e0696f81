#include "gateway/pipeline/route.h"

#include <gtest/gtest.h>

#include "tests/support/data_set.h"

namespace sluice {
namespace {

using dicom::Vr;

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

class RouteTakes : public testing::Test {
 protected:
  bool takes(std::vector<config::Condition> when) {
    config::Mistakes mistakes("test");
    config::Route route;
    route.name = "r";
    route.when = std::move(when);
    const Route made(route, mistakes);
    EXPECT_TRUE(mistakes.empty()) << mistakes.text();
    return made.takes(Instance(provenance_, header_));
  }
  test::DataSet data_set_ = test::DataSet()
                                .text({0x0008, 0x0008}, Vr::CS, "ORIGINAL\\PRIMARY")
                                .text(dicom::tags::kModality, Vr::CS, "CT")
                                .text({0x0009, 0x0010}, Vr::LO, "ACME")
                                .add({0x0028, 0x0010}, Vr::US, std::string("\0\2", 2));
  dicom::Header header_ = test::header_of(data_set_.bytes());
  Provenance provenance_{"id", "CT1", "SLUICE", "10.1.2.3", "north", "", "", {}};
};

TEST_F(RouteTakes, EverythingWithoutConditions) {
  EXPECT_TRUE(takes({}));
}

TEST_F(RouteTakes, ByAttributeKeywordOrTag) {
  EXPECT_TRUE(takes({{"Modality", {"CT"}}}));
  EXPECT_TRUE(takes({{"(0008,0060)", {"MR", "C*"}}}));
  EXPECT_FALSE(takes({{"Modality", {"MR", "US"}}}));
  EXPECT_TRUE(takes({{"(0009,0010)", {"ACME"}}}));
  EXPECT_TRUE(takes({{"Rows", {"512"}}}));
}

TEST_F(RouteTakes, ByOneOfSeveralValues) {
  EXPECT_TRUE(takes({{"ImageType", {"PRIMARY"}}}));
  EXPECT_FALSE(takes({{"ImageType", {"SECONDARY"}}}));
}

// Whichever of the two a filter or a PACS reads, no route is dodged by the other.
TEST_F(RouteTakes, ByEitherOfTwoElementsWithOneTag) {
  const std::string regular = data_set_.bytes();
  const std::string mr = test::DataSet().text(dicom::tags::kModality, Vr::CS, "MR").bytes();
  const std::string out_of_order = regular + mr;
  const std::string before = mr + regular;
  for (const std::string& bytes : {out_of_order, before}) {
    header_ = test::header_of(bytes);
    EXPECT_TRUE(takes({{"Modality", {"CT"}}}));
    EXPECT_TRUE(takes({{"Modality", {"MR"}}}));
    EXPECT_FALSE(takes({{"Modality", {"US"}}}));
    EXPECT_TRUE(takes({{"Rows", {"512"}}, {"ImageType", {"PRIMARY"}}}));
    EXPECT_FALSE(takes({{"Modality", {""}}}));
  }
}

TEST_F(RouteTakes, ByAnAttributeOutOfOrder) {
  const std::string bytes =
      data_set_.bytes() + test::DataSet().text({0x0008, 0x0070}, Vr::LO, "ACME").bytes();
  header_ = test::header_of(bytes);
  EXPECT_TRUE(takes({{"Manufacturer", {"ACME"}}, {"Modality", {"CT"}}}));
  EXPECT_FALSE(takes({{"Manufacturer", {"OTHER"}}}));
}

TEST_F(RouteTakes, AnAbsentAttributeAsAnEmptyValue) {
  EXPECT_FALSE(takes({{"PatientID", {"?*"}}}));
  EXPECT_TRUE(takes({{"PatientID", {""}}}));
}

TEST_F(RouteTakes, ByWhereItCameFrom) {
  EXPECT_TRUE(takes({{"calling_ae_title", {"CT*"}},
                     {"called_ae_title", {"SLUICE"}},
                     {"peer_address", {"10.1.*"}},
                     {"listener", {"north"}}}));
  EXPECT_FALSE(takes({{"calling_ae_title", {"CT*"}}, {"listener", {"south"}}}));
}

TEST(Route, RefusesConditionsThatCannotBeRead) {
  config::Mistakes mistakes("test");
  config::Route route;
  route.name = "r";
  route.when = {{"Modalty", {"CT"}}, {"PixelData", {"x"}}, {"(0008,0000)", {"1"}}};
  const Route made(route, mistakes);
  ASSERT_EQ(mistakes.list().size(), 3U);
  EXPECT_NE(mistakes.list()[0].message.find("Modality"), std::string::npos);
  EXPECT_NE(mistakes.list()[1].message.find("pixel data"), std::string::npos);
}

}  // namespace
}  // namespace sluice
