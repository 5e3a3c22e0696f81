// What no route takes, what a destination refuses, and what a person does about it on
// the command line.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string quarantine_routing(const StorescpProcess& pacs, const std::string& modality) {
  return "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs.address() +
         "\"\nretry_min = \"50ms\"\n\n[[route]]\nwhen = { Modality = \"" + modality +
         "\" }\ndestinations = [\"pacs\"]\n";
}

class Quarantine : public ::testing::Test {
 protected:
  void SetUp() override {
    pacs_.start();
    gateway_.start();
    ASSERT_TRUE(send_images(gateway_.port(), {fixture("CT_small.dcm")}));
    ASSERT_TRUE(gateway_.wait_for_counts({{"quarantined", 1}})) << gateway_.log();
    const auto listed = deliveries();
    ASSERT_THAT(listed, SizeIs(1));
    id_ = listed[0].at("id").get<std::string>();
  }

  [[nodiscard]] nlohmann::json deliveries() const {
    return gateway_.run({"queue", "list", "--json"}).json().at("deliveries");
  }
  [[nodiscard]] nlohmann::json shown() const {
    return gateway_.run({"queue", "show", id_, "--json"}).json().at(0);
  }

  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};
  GatewayProcess gateway_{folder_.path("gateway"), quarantine_routing(pacs_, "MR")};
  std::string id_;
};

TEST_F(Quarantine, TakesWhatNoRouteTakesAndSaysSo) {
  const nlohmann::json listed = deliveries().at(0);
  EXPECT_EQ(listed.at("state"), "quarantined");
  EXPECT_THAT(listed.at("reason").get<std::string>(), HasSubstr("route"));
  EXPECT_EQ(listed.at("calling_ae_title"), "MODALITY");
  EXPECT_EQ(listed.at("listener"), "modalities");
  EXPECT_THAT(listed.at("advice").get<std::string>(), HasSubstr("retry"));
  const nlohmann::json one = shown();
  EXPECT_EQ(one.at("id"), id_);
  EXPECT_EQ(one.at("sop_instance_uid"), text_of(fixture("CT_small.dcm"), DCM_SOPInstanceUID));
  EXPECT_EQ(one.at("transfer_syntax_uid"), UID_LittleEndianExplicitTransferSyntax);
  EXPECT_THAT(gateway_.spooled(), SizeIs(1));
  EXPECT_THAT(pacs_.files(), IsEmpty());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Quarantine, IsDeliveredByRetryOnceARouteTakesIt) {
  ASSERT_EQ(gateway_.stop(), 0);
  gateway_.configure(quarantine_routing(pacs_, "CT"));
  gateway_.start();

  const Finished retried = gateway_.run({"queue", "retry", id_, "--json"});
  EXPECT_EQ(retried.exit_code, 0) << retried.err;
  EXPECT_EQ(retried.json().at("retried"), 1);

  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}}, "pacs")) << gateway_.log();
  EXPECT_THAT(pacs_.files(), SizeIs(1));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Quarantine, ReturnsWhenStillNoRouteTakesIt) {
  EXPECT_EQ(gateway_.run({"queue", "retry", id_}).exit_code, 0);
  EXPECT_TRUE(gateway_.wait_for_lines("routed anew", 1)) << gateway_.log();
  EXPECT_TRUE(gateway_.wait_for_counts({{"quarantined", 1}})) << gateway_.log();
  EXPECT_THAT(gateway_.spooled(), SizeIs(1));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Quarantine, DiscardedLeavesARecordAndNoFile) {
  const Finished without_reason = gateway_.run({"queue", "discard", id_});
  EXPECT_EQ(without_reason.exit_code, 2);
  EXPECT_EQ(gateway_.run({"queue", "discard", id_, "--reason", " "}).exit_code, 2);
  ASSERT_THAT(gateway_.spooled(), SizeIs(1));

  const Finished discarded =
      gateway_.run({"queue", "discard", id_, "--reason", "sent by mistake", "--json"});
  EXPECT_EQ(discarded.exit_code, 0) << discarded.err;
  EXPECT_EQ(discarded.json().at("discarded"), 1);

  const nlohmann::json one = shown();
  EXPECT_EQ(one.at("state"), "discarded");
  EXPECT_THAT(one.at("reason").get<std::string>(), HasSubstr("sent by mistake"));
  EXPECT_THAT(one.at("reason").get<std::string>(), HasSubstr("uid "));
  EXPECT_TRUE(gateway_.wait_for_empty_spool()) << gateway_.log();
  EXPECT_THAT(deliveries(), IsEmpty());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Quarantine, NeedsAFilterAndAKnownInstance) {
  EXPECT_EQ(gateway_.run({"queue", "retry"}).exit_code, 2);
  const Finished unknown = gateway_.run({"queue", "retry", "--destination", "pacd"});
  EXPECT_EQ(unknown.exit_code, 3);
  EXPECT_THAT(unknown.err, HasSubstr("called 'pacd'; did you mean 'pacs'?"));
  EXPECT_THAT(gateway_.run({"queue", "list", "--destination", "pacd"}).err, HasSubstr("pacd"));
  EXPECT_EQ(gateway_.run({"queue", "discard", "--reason", "x"}).exit_code, 2);
  EXPECT_EQ(gateway_.run({"queue", "retry", "no-such-id"}).exit_code, 3);
  EXPECT_EQ(gateway_.run({"queue", "discard", "no-such-id", "--reason", "x"}).exit_code, 3);
  EXPECT_EQ(gateway_.run({"queue", "show", "no-such-id"}).exit_code, 3);
  EXPECT_EQ(gateway_.run({"queue", "list", "--state", "lost"}).exit_code, 2);
  EXPECT_TRUE(gateway_.wait_for_counts({{"quarantined", 1}}));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Quarantine, IsDecidedOnWhileTheFileOfAFilterIsGone) {
  gateway_.configure(quarantine_routing(pacs_, "MR") +
                     "[[filter]]\nname = \"orders\"\ntype = \"lookup\"\nfile = \"" +
                     folder_.path("gone.csv") +
                     "\"\nkey = { PatientID = \"id\" }\nset = { StudyID = \"study\" }\n");
  EXPECT_EQ(gateway_.run({"explain", fixture("CT_small.dcm")}).exit_code, 1);
  EXPECT_THAT(deliveries(), SizeIs(1));
  EXPECT_EQ(shown().at("id"), id_);
  EXPECT_EQ(gateway_.run({"queue", "discard", id_, "--reason", "x"}).exit_code, 0);
  EXPECT_THAT(deliveries(), IsEmpty());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST(Unrouted, IsReleasedToAGroup) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  pacs.start();
  GatewayProcess gateway(
      folder.path("gateway"),
      quarantine_routing(pacs, "MR") + "[[destination]]\nname = \"second\"\naddress = \"" +
          pacs.address() +
          "\"\n[[group]]\nname = \"archive\"\ndestinations = [\"pacs\", \"second\"]\n");
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  ASSERT_TRUE(gateway.wait_for_counts({{"quarantined", 1}})) << gateway.log();
  const auto listed = gateway.run({"queue", "list", "--json"}).json().at("deliveries");
  ASSERT_THAT(listed, SizeIs(1));
  const auto release = [&](const std::string& destination) {
    return gateway.run({"queue", "release", listed.at(0).at("id").get<std::string>(), "--reason",
                        "x", "--destination", destination});
  };
  const Finished misspelt = release("archvie");
  EXPECT_EQ(misspelt.exit_code, 2);
  EXPECT_THAT(misspelt.err, HasSubstr("archive"));
  const Finished released = release("archive");
  EXPECT_EQ(released.exit_code, 0) << released.err;
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 1}}, "archive")) << gateway.log();
  EXPECT_THAT(pacs.files(), SizeIs(1));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Unrouted, IsRejectedOrDroppedWhenConfiguredSo) {
  const TemporaryFolder folder;
  const StorescpProcess pacs(folder.path("pacs"));
  GatewayProcess rejecting(folder.path("rejecting"), quarantine_routing(pacs, "MR"),
                           "unrouted = \"reject\"");
  rejecting.start();
  EXPECT_FALSE(send_images(rejecting.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(rejecting.counts().empty());
  EXPECT_THAT(rejecting.spooled(), IsEmpty());
  EXPECT_EQ(rejecting.stop(), 0) << rejecting.log();

  GatewayProcess dropping(folder.path("dropping"), quarantine_routing(pacs, "MR"),
                          "unrouted = \"drop\"");
  dropping.start();
  EXPECT_TRUE(send_images(dropping.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(dropping.wait_for_counts({{"dropped", 1}})) << dropping.log();
  EXPECT_TRUE(dropping.wait_for_empty_spool());
  EXPECT_EQ(dropping.stop(), 0) << dropping.log();
}

}  // namespace
}  // namespace sluice::test
