#include <gtest/gtest.h>

#include "tests/pipeline/pipeline_fixture.h"

namespace sluice::test {
namespace {

TEST_F(PipelineTest, AppliesEveryRouteThatMatchesInOrder) {
  build(R"(
[[route]]
filters = ["set"]
destinations = ["a"]
[[route]]
when = { StudyID = "other" }
destinations = ["a"]
[[route]]
destinations = ["b"]
)");
  const Decision decision = decide();
  ASSERT_EQ(decision.routes.size(), 2U);
  EXPECT_EQ(decision.routes[0].route, "route-1");
  EXPECT_EQ(decision.routes[0].destinations, std::vector<std::string>{"a"});
  ASSERT_EQ(decision.routes[0].changes.size(), 1U);
  EXPECT_EQ(decision.routes[0].changes[0].filter, "set");
  EXPECT_EQ(decision.routes[1].route, "route-3");
  EXPECT_TRUE(decision.routes[1].changes.empty());
}

TEST_F(PipelineTest, StopsAtAFinalRoute) {
  build("[[route]]\nfinal = true\ndestinations = [\"a\"]\n[[route]]\ndestinations = [\"b\"]\n");
  EXPECT_EQ(decide().routes.size(), 1U);
}

TEST_F(PipelineTest, ServesADestinationOnceByTheFirstRouteThatPasses) {
  build(R"(
[[route]]
filters = ["quarantine"]
destinations = ["a"]
[[route]]
destinations = ["a"]
[[route]]
destinations = ["a", "b"]
)");
  const Decision decision = decide();
  ASSERT_EQ(decision.routes.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<Quarantine>(decision.routes[0].verdict));
  EXPECT_EQ(decision.routes[0].filter, "quarantine");
  EXPECT_TRUE(decision.routes[0].destinations.empty());
  EXPECT_EQ(decision.routes[1].destinations, std::vector<std::string>{"a"});
  EXPECT_EQ(decision.routes[2].destinations, std::vector<std::string>{"b"});
}

TEST_F(PipelineTest, TellsTheFirstRejection) {
  build(
      "[[route]]\ndestinations = [\"a\"]\n[[route]]\nfilters = [\"reject\"]\ndestinations = "
      "[\"b\"]\n");
  const Decision decision = decide();
  ASSERT_NE(decision.rejected(), nullptr);
  EXPECT_EQ(decision.rejected()->status, 0xC123);
}

TEST_F(PipelineTest, EndsAChainAtTheFirstVerdict) {
  build("[[route]]\nfilters = [\"drop\", \"reject\"]\ndestinations = [\"a\"]\n");
  EXPECT_TRUE(std::holds_alternative<Drop>(decide().routes[0].verdict));
}

TEST_F(PipelineTest, PassesOnTheErrorOfAFilterWithItsName) {
  build("[[route]]\nfilters = [\"fail\"]\ndestinations = [\"a\"]\n");
  const auto decision = pipeline_->decide(provenance_, header_, ledger_);
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().code, ErrorCode::transient);
  EXPECT_EQ(decision.error().message, "fail: the ledger is away");
}

TEST_F(PipelineTest, TellsOfAnEditThatCannotBeWrittenBeforeItIsToBeSent) {
  const std::string long_text(70'000, 'x');  // SH has a length of 16 bits
  build("[[filter]]\ntype = \"set\"\ntext = \"" + long_text +
        "\"\n[[route]]\nfilters = [\"set\"]\ndestinations = [\"a\"]\n");
  EXPECT_TRUE(mistakes_.empty()) << mistakes_.text();
  const auto decision = pipeline_->decide(provenance_, header_, ledger_);
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().code, ErrorCode::permanent);
  EXPECT_NE(decision.error().message.find("does not fit"), std::string::npos);
}

TEST_F(PipelineTest, RejectsAnUnsettledUidMismatchWithOrWithoutRoutes) {
  provenance_.sop_instance_uid = "1.9";
  build("[[route]]\ndestinations = [\"a\"]\n");
  ASSERT_NE(decide().rejected(), nullptr);
  EXPECT_EQ(decide().rejected()->status, 0xA900);
  mistakes_ = config::Mistakes("test");
  build("[[route]]\nwhen = { StudyID = \"other\" }\ndestinations = [\"a\"]\n");
  ASSERT_NE(decide().rejected(), nullptr);
  build("[[route]]\nfilters = [\"settle\"]\ndestinations = [\"a\"]\n");
  EXPECT_EQ(decide().rejected(), nullptr);
}

TEST_F(PipelineTest, DecidesAboutIrregularTagsAsConfigured) {
  const std::string route = "[[route]]\nname = \"main\"\ndestinations = [\"a\"]\n";
  const test::DataSet regular_image = test::image("1.2.3", "1.2.4", "1.2.5", "1");
  const std::string bytes =
      regular_image.bytes() + test::DataSet().text(tags::kSeriesNumber, Vr::IS, "2").bytes();
  header_ = test::header_of(regular_image.bytes());
  const auto verdict = [&](const std::string& options, const std::string& routes) {
    mistakes_ = config::Mistakes("test");
    build(routes, options);
    return decide();
  };
  for (const char* policy : {"deliver", "quarantine", "reject"}) {
    const std::string option = "irregular_tags = \"" + std::string(policy) + "\"\n";
    const Decision regular = verdict(option, route);
    EXPECT_TRUE(std::holds_alternative<Pass>(regular.routes.at(0).verdict)) << policy;
  }
  header_ = test::header_of(bytes);
  EXPECT_TRUE(std::holds_alternative<Pass>(verdict("", route).routes.at(0).verdict));
  const Decision rests = verdict("irregular_tags = \"quarantine\"\n", route);
  ASSERT_TRUE(std::holds_alternative<Quarantine>(rests.routes.at(0).verdict));
  EXPECT_EQ(std::get<Quarantine>(rests.routes[0].verdict).reason, "tags (0020,0011) twice");
  EXPECT_TRUE(rests.routes[0].destinations.empty());
  Instance released(provenance_, header_);
  const auto sent = pipeline_->apply("main", "a", released, ledger_);
  ASSERT_TRUE(sent);
  EXPECT_TRUE(std::holds_alternative<Pass>(*sent)) << "what was accepted before is still sent";
  const std::string reject = "irregular_tags = \"reject\"\n";
  for (const std::string& routes :
       {route,
        std::string("[[route]]\nwhen = { Modality = \"none\" }\ndestinations = [\"a\"]\n")}) {
    const Decision refused = verdict(reject, routes);
    ASSERT_NE(refused.rejected(), nullptr);
    EXPECT_EQ(refused.rejected()->status, 0xC000);
  }
  const Decision dropped =
      verdict(reject, "[[route]]\nfilters = [\"drop\"]\ndestinations = [\"a\"]\n");
  EXPECT_TRUE(std::holds_alternative<Drop>(dropped.routes.at(0).verdict)) << "the chain says first";
}

TEST_F(PipelineTest, AppliesWhatItDecided) {
  build("[[route]]\nname = \"main\"\nfilters = [\"set\"]\ndestinations = [\"a\"]\n");
  Instance instance(provenance_, header_);
  const auto verdict = pipeline_->apply("main", "a", instance, ledger_);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(instance.text(tags::kStudyId), "x");
  const auto gone = pipeline_->apply("renamed", "a", instance, ledger_);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::configuration);
}

TEST_F(PipelineTest, AnOverruledVerdictLetsTheRestOfTheChainRun) {
  build(
      "[[route]]\nname = \"main\"\nfilters = [\"quarantine\", \"reject\", \"set\"]\n"
      "destinations = [\"a\"]\n");
  Instance stopped(provenance_, header_);
  const auto binding = pipeline_->apply("main", "a", stopped, ledger_);
  ASSERT_TRUE(binding);
  EXPECT_TRUE(std::holds_alternative<Quarantine>(*binding));
  EXPECT_NE(stopped.text(tags::kStudyId), "x");
  Instance released(provenance_, header_);
  const auto overruled = pipeline_->apply("main", "a", released, ledger_, Verdicts::overruled);
  ASSERT_TRUE(overruled);
  EXPECT_TRUE(std::holds_alternative<Pass>(*overruled));
  EXPECT_EQ(released.text(tags::kStudyId), "x");
  Instance unrouted(provenance_, header_);
  EXPECT_TRUE(pipeline_->apply("", "a", unrouted, ledger_, Verdicts::overruled));
  EXPECT_TRUE(unrouted.patch().empty());
  EXPECT_FALSE(pipeline_->apply("renamed", "a", unrouted, ledger_, Verdicts::overruled))
      << "without its chain it would go out unrepaired";
}

TEST_F(PipelineTest, GivesTheNewUidBehindTheLastFilterAndRemembersTheOldOne) {
  const auto ledger = preview_ledger("no such file");
  ASSERT_TRUE(ledger);
  build("[[route]]\nname = \"main\"\nfilters = [\"set\"]\ndestinations = [\"a\"]\n");
  const std::string uid = pipeline_->uid_for_other_bytes(provenance_.sop_instance_uid, "digest");
  EXPECT_TRUE(uid.starts_with("2.25."));
  EXPECT_EQ(uid, pipeline_->uid_for_other_bytes(provenance_.sop_instance_uid, "digest"));
  EXPECT_NE(uid, pipeline_->uid_for_other_bytes(provenance_.sop_instance_uid, "other"));
  EXPECT_FALSE(*Pipeline::was_used(uid, **ledger));

  Provenance given = provenance_;
  given.new_sop_instance_uid = uid;
  Instance instance(given, header_);
  ASSERT_TRUE(pipeline_->apply("main", "a", instance, **ledger));
  EXPECT_EQ(instance.text(tags::kSopInstanceUid), uid);
  EXPECT_EQ(instance.text(tags::kStudyId), "x");
  EXPECT_EQ(instance.changes().back().path, "SOPInstanceUID");
  EXPECT_EQ(instance.changes().back().before, provenance_.sop_instance_uid);
  EXPECT_TRUE(*Pipeline::was_used(uid, **ledger));
  const auto found = (*ledger)->lookup(provenance_.sop_instance_uid);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().after, uid);
}

TEST_F(PipelineTest, NotesUnknownFiltersTypesAndOptions) {
  build(R"(
[[filter]]
type = "sya"
[[filter]]
name = "n"
type = "say"
verdcit = "drop"
[[route]]
filters = ["nobody", "sya"]
destinations = ["a"]
)");
  const std::string text = mistakes_.text();
  EXPECT_EQ(mistakes_.list().size(), 3U) << text;
  EXPECT_NE(text.find("unknown type 'sya'"), std::string::npos) << text;
  EXPECT_NE(text.find("verdcit"), std::string::npos) << text;
  EXPECT_NE(text.find("no filter is called 'nobody'"), std::string::npos) << text;
}

TEST_F(PipelineTest, ATypeWithoutDefaultsNeedsATableOfItsOwn) {
  build("[[route]]\nfilters = [\"asks\"]\ndestinations = [\"a\"]\n");
  const std::string text = mistakes_.text();
  EXPECT_EQ(mistakes_.list().size(), 1U) << text;
  EXPECT_NE(text.find("filter type 'asks' has options without a default"), std::string::npos)
      << text;
}

TEST_F(PipelineTest, ATypeWithoutDefaultsMayBearItsOwnName) {
  build(
      "[[filter]]\ntype = \"asks\"\nverdict = \"drop\"\n"
      "[[route]]\nfilters = [\"asks\"]\ndestinations = [\"a\"]\n");
  EXPECT_TRUE(std::holds_alternative<Drop>(decide().routes.at(0).verdict));
}

}  // namespace
}  // namespace sluice::test
