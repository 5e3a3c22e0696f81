// Labels, routes without destination, what is told of routes, destinations with filters.
#include <gtest/gtest.h>

#include "tests/pipeline/pipeline_fixture.h"

namespace sluice::test {
namespace {

TEST_F(PipelineTest, RoutesByTheLabelsOfEarlierRoutes) {
  build(R"(
[[route]]
when = { label = "urgent" }
destinations = ["b"]
[[route]]
filters = ["label"]
[[route]]
when = { label = "urgent" }
destinations = ["a"]
)");
  const Decision decision = decide();
  ASSERT_EQ(decision.routes.size(), 1U);
  EXPECT_EQ(decision.routes[0].route, "route-3");
  ASSERT_EQ(decision.asides.size(), 1U);
  EXPECT_EQ(decision.asides[0].route, "route-2");
  EXPECT_EQ(decision.labels, std::vector<std::string>{"urgent"});
}

TEST_F(PipelineTest, HasTheLabelsOfEarlierRoutesWhenSending) {
  build(R"(
[[route]]
filters = ["label"]
[[route]]
name = "main"
filters = ["drop_labelled"]
destinations = ["a"]
)");
  EXPECT_TRUE(std::holds_alternative<Drop>(decide().routes.at(0).verdict));
  Instance instance(provenance_, header_);
  const auto verdict = pipeline_->apply("main", "a", instance, ledger_);
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(std::holds_alternative<Drop>(*verdict));
}

TEST_F(PipelineTest, ARouteWithoutDestinationTakesNothingUnlessItHasAVerdict) {
  build("[[route]]\nfilters = [\"set\"]\n");
  EXPECT_TRUE(decide().routes.empty());
  build("[[route]]\nfilters = [\"drop\"]\nfinal = true\n[[route]]\ndestinations = [\"a\"]\n");
  const Decision dropped = decide();
  ASSERT_EQ(dropped.routes.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Drop>(dropped.routes[0].verdict));
}

TEST_F(PipelineTest, TellsWhyOfEachRouteAndWhichBytesChange) {
  build(R"(
[[route]]
when = { StudyID = "other" }
destinations = ["a"]
[[route]]
when = { StudyID = "S" }
filters = ["set"]
destinations = ["b"]
)");
  EXPECT_TRUE(decide().findings.empty());
  const auto decision = pipeline_->decide(provenance_, header_, ledger_, Detail::whole);
  ASSERT_TRUE(decision);
  ASSERT_EQ(decision->findings.size(), 2U);
  EXPECT_FALSE(decision->findings[0].finding.holds);
  EXPECT_EQ(decision->findings[0].finding.parts.at(0).text, "StudyID: other; it is \"S\"");
  EXPECT_TRUE(decision->findings[1].finding.holds);
  EXPECT_GE(decision->routes.at(0).pieces.size(), 2U);
}

TEST_F(PipelineTest, DecidesForADestinationWithFiltersOfItsOwn) {
  build(R"(
[[destination]]
name = "c"
address = "dicom://C@127.0.0.1:104"
filters = ["drop"]
[[destination]]
name = "d"
address = "dicom://D@127.0.0.1:104"
filters = ["set"]
[[route]]
name = "main"
destinations = ["a", "c", "d"]
)");
  const Decision decision = decide();
  ASSERT_EQ(decision.routes.size(), 3U);
  EXPECT_EQ(decision.routes[0].destinations, std::vector<std::string>{"a"});
  EXPECT_TRUE(decision.routes[0].changes.empty());
  EXPECT_TRUE(std::holds_alternative<Drop>(decision.routes[1].verdict));
  EXPECT_EQ(decision.routes[2].destinations, std::vector<std::string>{"d"});
  EXPECT_EQ(decision.routes[2].changes.size(), 1U);
  Instance plain(provenance_, header_);
  ASSERT_TRUE(pipeline_->apply("main", "a", plain, ledger_));
  EXPECT_TRUE(plain.changes().empty());
  Instance changed(provenance_, header_);
  ASSERT_TRUE(pipeline_->apply("main", "d", changed, ledger_));
  EXPECT_EQ(changed.text(tags::kStudyId), "x");
}

TEST_F(PipelineTest, NotesUnknownFiltersOfADestination) {
  build(
      "[[destination]]\nname = \"c\"\naddress = \"dicom://C@127.0.0.1:104\"\n"
      "filters = [\"nobody\"]\n[[route]]\ndestinations = [\"a\"]\n");
  EXPECT_NE(mistakes_.text().find("destination 'c': no filter is called 'nobody'"),
            std::string::npos)
      << mistakes_.text();
}

TEST_F(PipelineTest, WarnsOfRoutesThatTakeNothingAndOfConditionsOnWhatIsEdited) {
  build(R"(
[[route]]
when = { listener = "nowhere" }
destinations = ["a"]
[[route]]
when = { label = "urgent" }
destinations = ["a"]
[[route]]
filters = ["set"]
destinations = ["a"]
[[route]]
when = { StudyID = "x" }
destinations = ["a"]
[[route]]
destinations = ["a"]
final = true
[[route]]
destinations = ["b"]
)");
  EXPECT_TRUE(mistakes_.empty()) << mistakes_.text();
  const std::string text = mistakes_.text();
  EXPECT_EQ(mistakes_.warnings().size(), 4U) << text;
  EXPECT_NE(text.find("'route-1' never takes anything: no listener"), std::string::npos) << text;
  EXPECT_NE(text.find("'route-2' never takes anything: no route"), std::string::npos) << text;
  EXPECT_NE(text.find("'route-4' asks for StudyID"), std::string::npos) << text;
  EXPECT_NE(text.find("'route-6' is never asked"), std::string::npos) << text;
}

}  // namespace
}  // namespace sluice::test
