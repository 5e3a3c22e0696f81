// One SOP Instance UID twice: the same bytes are delivered once, other bytes are kept
// side by side; and what a person, or nobody for too long, does about what rests.
#include <chrono>
#include <memory>
#include <set>
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
using ::testing::StartsWith;

class SameInstance : public ::testing::Test {
 protected:
  static std::string routing(const std::string& address, const std::string& filters = "") {
    return "[[destination]]\nname = \"pacs\"\naddress = \"" + address +
           "\"\nretry_min = \"50ms\"\nretry_max = \"200ms\"\n\n[[route]]\nname = \"all\"\n"
           "filters = [" +
           filters + "]\ndestinations = [\"pacs\"]\n";
  }
  void start(const std::string& options = "") {
    gateway_.configure(routing(pacs_.address()), options);
    gateway_.start();
  }
  // The fixture, and the same UID with another patient's name.
  [[nodiscard]] std::string changed(const std::string& name = "CHANGED^NAME") const {
    std::string file = folder_.path("changed-" + name);
    copy_image(image_, file, {{DCM_PatientName, name}});
    return file;
  }
  [[nodiscard]] bool send(const std::string& image) const {
    return send_images(gateway_.port(), {image});
  }
  [[nodiscard]] nlohmann::json listed(const std::string& state) const {
    return gateway_.run({"queue", "list", "--state", state, "--json"}).json();
  }

  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};
  GatewayProcess gateway_{folder_.path("gateway"), routing(pacs_.address())};
  const std::string image_ = fixture("CT_small.dcm");
};

TEST_F(SameInstance, SameFileTwiceIsDeliveredOnceAndAnsweredTwice) {
  pacs_.start();
  start();
  ASSERT_TRUE(send(image_));
  ASSERT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  EXPECT_TRUE(send(image_)) << "answered with success again";
  const auto line = gateway_.wait_for_line("duplicate");
  ASSERT_TRUE(line);
  const nlohmann::json first = listed("delivered").at("deliveries").at(0);
  EXPECT_EQ(line->at("first"), first.at("id"));
  EXPECT_NE(line->at("id"), first.at("id"));
  EXPECT_EQ(first.at("sent_again"), 1);
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.counts(), (std::map<std::string, std::uint64_t>{{"delivered", 1}}));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_THAT(pacs_.files(), SizeIs(1));
}

TEST_F(SameInstance, WindowOfZeroDeliversEachTime) {
  pacs_.start();
  start("duplicate_window = \"0s\"\n");
  ASSERT_TRUE(send(image_));
  ASSERT_TRUE(send(image_));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(SameInstance, OfParallelSendersOneIsDelivered) {
  constexpr std::size_t kSenders = 6;
  start();
  std::vector<std::unique_ptr<Process>> senders;
  for (std::size_t i = 0; i < kSenders; ++i) {
    senders.push_back(
        std::make_unique<Process>(storescu_arguments(gateway_.port(), {image_, image_, image_})));
  }
  for (const auto& sender : senders) {
    EXPECT_EQ(sender->wait(kDeadline), 0);
    EXPECT_EQ(count_successes(sender->output()), 3U) << sender->output();
  }
  pacs_.start();
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_THAT(gateway_.lines("duplicate"), SizeIs(3 * kSenders - 1));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_THAT(pacs_.files(), SizeIs(1));
}

TEST_F(SameInstance, IsKnownAfterAKill) {
  start();
  ASSERT_TRUE(send(image_));
  gateway_.kill();
  gateway_.start();
  EXPECT_TRUE(send(image_));
  EXPECT_TRUE(gateway_.wait_for_line("duplicate")) << gateway_.log();
  gateway_.kill();
  gateway_.start();
  pacs_.start();
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_THAT(pacs_.files(), SizeIs(1));
}

TEST_F(SameInstance, ADamagedFileDoesNotSwallowAGoodOne) {
  start();
  ASSERT_TRUE(send(image_));
  const std::string damaged = gateway_.spooled().at(0);
  std::ofstream(damaged, std::ios::app) << "x";
  EXPECT_TRUE(send(image_));
  EXPECT_THAT(gateway_.spooled(), SizeIs(2));
  pacs_.start();
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}, {"held", 1}})) << gateway_.log();
  const nlohmann::json held = listed("held").at("deliveries").at(0);
  EXPECT_EQ(held.at("damaged"), true);
  EXPECT_THAT(held.at("advice").get<std::string>(), HasSubstr("send it again"));
  EXPECT_THAT(gateway_.spooled(), testing::ElementsAre(damaged));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(SameInstance, OtherBytesRestUntilTheyAreReleased) {
  pacs_.start();
  start();
  ASSERT_TRUE(send(image_));
  ASSERT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  ASSERT_TRUE(send(changed()));
  ASSERT_TRUE(gateway_.wait_for_line("other bytes under a known SOP Instance UID"));
  const std::string first = listed("delivered").at("deliveries").at(0).at("id");
  const nlohmann::json other = listed("quarantined").at("deliveries").at(0);
  const std::string id = other.at("id");
  EXPECT_EQ(other.at("other_bytes_of"), first);
  EXPECT_THAT(other.at("reason").get<std::string>(), HasSubstr(first));
  EXPECT_THAT(other.at("advice").get<std::string>(), HasSubstr(first));
  EXPECT_TRUE(send(changed()));
  EXPECT_THAT(listed("quarantined").at("deliveries"), SizeIs(1)) << "the same rests once";

  EXPECT_EQ(gateway_.run({"queue", "release", id}).exit_code, 2) << "must say why";
  EXPECT_EQ(
      gateway_.run({"queue", "release", id, "--reason", "x", "--destination", "pasc"}).exit_code,
      2);
  const Finished released =
      gateway_.run({"queue", "release", id, "--reason", "the name was wrong", "--json"});
  EXPECT_EQ(released.exit_code, 0) << released.err;
  EXPECT_EQ(released.json().at("released"), 1);
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  EXPECT_THAT(gateway_.run({"queue", "show", id}).out, HasSubstr("the name was wrong"));
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_EQ(sop_instance_uids(pacs_.files()).size(), 1U);
  EXPECT_THAT(pacs_.files(), SizeIs(2));
}

TEST_F(SameInstance, OtherBytesGoUnderAUidOfTheirOwnThatStays) {
  start("other_bytes = \"new_uid\"\n");
  ASSERT_TRUE(send(image_));
  ASSERT_TRUE(send(changed()));
  gateway_.kill();
  gateway_.start();
  ASSERT_TRUE(send(changed())) << "the same bytes once more";
  pacs_.start();
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();

  const std::string uid = text_of(image_, DCM_SOPInstanceUID);
  std::set<std::string> uids = sop_instance_uids(pacs_.files());
  ASSERT_THAT(uids, SizeIs(2));
  ASSERT_EQ(uids.erase(uid), 1U);
  EXPECT_THAT(*uids.begin(), StartsWith("2.25."));
  for (const std::string& file : pacs_.files()) {
    if (text_of(file, DCM_SOPInstanceUID) == uid) continue;
    const auto loaded = load_image(file);
    EXPECT_EQ(text_of(*loaded->getDataset(), DCM_PatientName), "CHANGED^NAME");
    DcmItem* item = nullptr;
    ASSERT_TRUE(
        loaded->getDataset()->findAndGetSequenceItem(DCM_OriginalAttributesSequence, item).good());
    DcmItem* modified = nullptr;
    ASSERT_TRUE(item->findAndGetSequenceItem(DCM_ModifiedAttributesSequence, modified).good());
    EXPECT_EQ(text_of(*modified, DCM_SOPInstanceUID), uid);
  }
  const Finished found = gateway_.run({"ledger", "lookup", uid, "--json"});
  EXPECT_EQ(found.json().at(0).at("after"), *uids.begin()) << found.out;
}

TEST_F(SameInstance, OtherBytesAreDeliveredWhenConfiguredSo) {
  pacs_.start();
  start("other_bytes = \"deliver\"\n");
  ASSERT_TRUE(send(image_));
  ASSERT_TRUE(send(changed()));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2}})) << gateway_.log();
  EXPECT_THAT(gateway_.lines("other bytes under a known SOP Instance UID"), SizeIs(1));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(SameInstance, ReleaseOverrulesAFilterAndMakesItsOtherEdits) {
  pacs_.start();
  gateway_.configure(
      "[[filter]]\nname = \"strict\"\ntype = \"remap_series_number\"\nempty = \"quarantine\"\n"
      "[[filter]]\nname = \"renumber\"\ntype = \"remap_series_number\"\n"
      "base = 7000\n" +
      routing(pacs_.address(), "\"strict\", \"renumber\""));
  gateway_.start();
  const std::string file = folder_.path("no-number.dcm");
  copy_image(image_, file, {{DCM_SeriesNumber, ""}});
  ASSERT_TRUE(send(file));
  const nlohmann::json rests = listed("quarantined").at("deliveries");
  ASSERT_THAT(rests, testing::Not(IsEmpty())) << gateway_.log();
  const std::string id = rests.at(0).at("id");
  ASSERT_EQ(gateway_.run({"queue", "release", id, "--reason", "urgent"}).exit_code, 0);
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  ASSERT_THAT(pacs_.files(), SizeIs(1));
  EXPECT_EQ(text_of(*pacs_.files().begin(), DCM_SeriesNumber), "7000");
}

TEST_F(SameInstance, WhatWasRejectedIsListedAndCannotBeRetried) {
  gateway_.configure(
      "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs_.address() +
          "\"\n\n[[route]]\nwhen = { Modality = \"XX\" }\ndestinations = [\"pacs\"]\n",
      "unrouted = \"reject\"\n");
  gateway_.start();
  EXPECT_FALSE(send(image_));
  EXPECT_FALSE(send(image_));
  ASSERT_TRUE(wait_until([&] {
    const auto found = listed("rejected").at("rejections");
    return found.size() == 1 && found.at(0).at("times") == 2;
  })) << gateway_.log();
  const nlohmann::json one = listed("rejected").at("rejections").at(0);
  EXPECT_EQ(one.at("state"), "rejected");
  EXPECT_EQ(one.at("status"), "C000");
  EXPECT_EQ(one.at("reason"), "no route takes this instance");
  EXPECT_EQ(one.at("calling_ae_title"), "MODALITY");
  EXPECT_THAT(one.at("advice").get<std::string>(), HasSubstr("modality"));
  const std::string id = one.at("id");
  EXPECT_THAT(gateway_.run({"queue", "list"}).out, HasSubstr(id + "  rejected"));
  EXPECT_THAT(gateway_.run({"queue", "show", id}).out, HasSubstr("no route takes"));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"queue", "retry", id},
                                                  {"queue", "release", id, "--reason", "x"},
                                                  {"queue", "discard", id, "--reason", "x"},
                                                  {"queue", "retry", "--state", "rejected"}}) {
    const Finished refused = gateway_.run(command);
    EXPECT_EQ(refused.exit_code, 3);
    EXPECT_THAT(refused.err, HasSubstr("nothing")) << testing::PrintToString(command);
  }
  EXPECT_TRUE(gateway_.counts().empty());
  EXPECT_THAT(gateway_.spooled(), IsEmpty());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(SameInstance, WhatIsTooOldIsToldAndDiscardedOnlyWhereConfigured) {
  start("alarm_waiting = \"100ms\"\n");  // and the PACS is away
  ASSERT_TRUE(send(image_));
  const auto told = gateway_.wait_for_line("too old");
  ASSERT_TRUE(told) << gateway_.log();
  EXPECT_EQ(told->at("destination"), "pacs");
  EXPECT_EQ(told->at("state"), "waiting");
  EXPECT_EQ(gateway_.run({"queue", "list", "--json"}).json().at("deliveries").at(0).at("overdue"),
            true);
  EXPECT_THAT(gateway_.run({"queue", "list"}).out, HasSubstr("!"));
  ASSERT_TRUE(send(changed()));  // rests in quarantine
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();

  gateway_.configure(routing(pacs_.address()), "discard_quarantined_after = \"1s\"\n");
  gateway_.start();
  EXPECT_TRUE(gateway_.wait_for_line("old quarantined deliveries discarded")) << gateway_.log();
  const nlohmann::json gone = listed("discarded").at("deliveries").at(0);
  EXPECT_THAT(gone.at("reason").get<std::string>(), HasSubstr("by the gateway"));
  EXPECT_EQ(gateway_.lines("too old").size(), 0U);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

// Scripts read it: keys are only ever added.
TEST_F(SameInstance, QueueListKeepsItsKeysForScripts) {
  start();
  ASSERT_TRUE(send(image_));
  ASSERT_TRUE(wait_until([&] { return !gateway_.counts().empty(); }));
  const nlohmann::json all = gateway_.run({"queue", "list", "--json"}).json();
  for (const char* key : {"deliveries", "rejections", "counts"}) {
    EXPECT_TRUE(all.at(key).is_array()) << key;
  }
  const nlohmann::json one = all.at("deliveries").at(0);
  for (const char* key : {"id",
                          "state",
                          "route",
                          "destination",
                          "reason",
                          "status",
                          "attempts",
                          "failures",
                          "received_at",
                          "updated_at",
                          "age_seconds",
                          "overdue",
                          "advice",
                          "calling_ae_title",
                          "called_ae_title",
                          "peer_address",
                          "listener",
                          "sop_class_uid",
                          "sop_instance_uid",
                          "study_instance_uid",
                          "series_instance_uid",
                          "transfer_syntax_uid",
                          "bytes",
                          "digest",
                          "sent_again",
                          "other_bytes_of",
                          "new_sop_instance_uid",
                          "damaged",
                          "released"}) {
    EXPECT_TRUE(one.contains(key)) << key;
  }
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

}  // namespace
}  // namespace sluice::test
