#include "gateway/receive/intake.h"

#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "tests/receive/fakes.h"
#include "tests/support/fixtures.h"
#include "tests/support/raw_peer.h"

namespace sluice {
namespace {

using namespace sluice::test;

const std::string kInstance = "1.2.3.4.5";

Provenance provenance(const std::string& sop_class = kCtStorage,
                      const std::string& sop_instance = kInstance) {
  Provenance made;
  made.calling_ae_title = "CT01";
  made.called_ae_title = "SLUICE";
  made.peer_address = "127.0.0.1";
  made.listener = "listener-104";
  made.sop_class_uid = sop_class;
  made.sop_instance_uid = sop_instance;
  made.received_at =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  return made;
}

// Waits for the reply.
Reply finish(Intake& intake) {
  const auto given = std::make_shared<std::promise<Reply>>();
  intake.finish([given](Reply reply) { given->set_value(std::move(reply)); });
  return given->get_future().get();
}

// In PDVs of this many bytes.
Reply take(Gateway& gateway, const std::string& data_set, const Provenance& from = provenance(),
           std::size_t piece = 11, const std::string& syntax = kImplicit) {
  Intake intake(gateway.services(), gateway.config.gateway, from, syntax);
  for (std::size_t place = 0; place < data_set.size(); place += piece) {
    const std::string pdv = data_set.substr(place, piece);
    intake.append(std::as_bytes(std::span(pdv)));
  }
  return finish(intake);
}

std::string data_set() {
  return small_data_set(kCtStorage, kInstance);
}

TEST(Intake, KeepsAnInstanceAndItsRows) {
  Gateway gateway("[[route]]\nname = \"all\"\ndestinations = [\"pacs\", \"archive\"]\n");
  const Provenance from = provenance();
  const auto before = counted("sluice_received_total", {{"outcome", "stored"}});
  const Reply reply = take(gateway, data_set(), from);
  EXPECT_EQ(reply.status, 0);
  EXPECT_EQ(reply.comment, "");
  EXPECT_EQ(counted("sluice_received_total", {{"outcome", "stored"}}), before + 1);
  EXPECT_EQ(gateway.ledger.commits, 1);
  ASSERT_EQ(gateway.queue.added().size(), 1U);
  const auto added = gateway.queue.added()[0];
  const InstanceRow& row = added.instance;
  EXPECT_EQ(row.received_at, from.received_at);
  EXPECT_EQ(row.calling_ae_title, "CT01");
  EXPECT_EQ(row.called_ae_title, "SLUICE");
  EXPECT_EQ(row.peer_address, "127.0.0.1");
  EXPECT_EQ(row.listener, "listener-104");
  EXPECT_EQ(row.sop_class_uid, kCtStorage);
  EXPECT_EQ(row.sop_instance_uid, kInstance);
  EXPECT_EQ(row.study_instance_uid, "1.2.3.1");
  EXPECT_EQ(row.series_instance_uid, "1.2.3.2");
  EXPECT_EQ(row.transfer_syntax_uid, kImplicit);
  EXPECT_EQ(row.data_set_length, data_set().size());
  const std::string file = read_file(gateway.spool->path(row.id));
  EXPECT_EQ(file.substr(row.data_set_offset), data_set());
  EXPECT_EQ(row.digest.size(), 32U);
  ASSERT_EQ(added.deliveries.size(), 2U);
  for (const DeliveryRow& delivery : added.deliveries) {
    EXPECT_EQ(delivery.instance_id, row.id);
    EXPECT_EQ(delivery.route, "all");
    EXPECT_EQ(delivery.state, DeliveryState::ready);
  }
  EXPECT_EQ(added.deliveries[0].destination, "pacs");
  EXPECT_EQ(added.deliveries[1].destination, "archive");
}

TEST(Intake, ARouteWhoseDestinationsAreServedAddsNoRow) {
  Gateway gateway(
      "[[route]]\nname = \"a\"\ndestinations = [\"pacs\"]\n"
      "[[route]]\nname = \"b\"\ndestinations = [\"pacs\"]\n");
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  const auto added = gateway.queue.added().at(0);
  ASSERT_EQ(added.deliveries.size(), 1U);
  EXPECT_EQ(added.deliveries[0].route, "a");
}

TEST(Intake, GivesEachDeliveryThePriorityOfTheRouteThatTakesIt) {
  Gateway gateway(
      "[[route]]\nname = \"a\"\ndestinations = [\"pacs\"]\npriority = \"low\"\n"
      "[[route]]\nname = \"b\"\ndestinations = [\"pacs\", \"archive\"]\npriority = \"high\"\n"
      "[[route]]\nname = \"c\"\nfilters = [\"quarantines\"]\ndestinations = [\"archive\"]\n"
      "priority = \"high\"\n");
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  const auto added = gateway.queue.added().at(0);
  ASSERT_EQ(added.deliveries.size(), 3U);
  EXPECT_EQ(added.deliveries[0].destination, "pacs");
  EXPECT_EQ(added.deliveries[0].priority, config::Priority::low) << "the first route has it";
  EXPECT_EQ(added.deliveries[1].destination, "archive");
  EXPECT_EQ(added.deliveries[1].priority, config::Priority::high);
  EXPECT_EQ(added.deliveries[2].state, DeliveryState::quarantined);
  EXPECT_EQ(added.deliveries[2].priority, config::Priority::high) << "for when it is released";
}

TEST(Intake, KeepsDroppedAndQuarantinedRoutesApart) {
  Gateway gateway(
      "[[route]]\nname = \"a\"\nfilters = [\"drops\"]\ndestinations = [\"pacs\"]\n"
      "[[route]]\nname = \"b\"\nfilters = [\"quarantines\"]\ndestinations = [\"archive\"]\n");
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  const auto added = gateway.queue.added().at(0);
  ASSERT_EQ(added.deliveries.size(), 2U);
  EXPECT_EQ(added.deliveries[0].state, DeliveryState::dropped);
  EXPECT_EQ(added.deliveries[0].destination, "");
  EXPECT_EQ(added.deliveries[0].reason, "drops: not wanted");
  EXPECT_EQ(added.deliveries[1].state, DeliveryState::quarantined);
  EXPECT_EQ(added.deliveries[1].reason, "quarantines: looks odd");
  EXPECT_EQ(gateway.files(), 1U);
}

// The queue then has the file removed, as after any last delivery.
TEST(Intake, AnInstanceThatEveryRouteDropsLeavesAFinalRow) {
  Gateway gateway("[[route]]\nfilters = [\"drops\"]\ndestinations = [\"pacs\"]\n");
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  ASSERT_EQ(gateway.queue.added().size(), 1U);
  ASSERT_EQ(gateway.queue.added()[0].deliveries.size(), 1U);
  EXPECT_EQ(gateway.queue.added()[0].deliveries[0].state, DeliveryState::dropped);
}

TEST(Intake, ARejectionLeavesNothing) {
  Gateway gateway(
      "[[route]]\ndestinations = [\"pacs\"]\n"
      "[[route]]\nfilters = [\"rejects\"]\ndestinations = [\"archive\"]\n");
  const Reply reply = take(gateway, data_set());
  EXPECT_EQ(reply.status, 0xC123);
  EXPECT_EQ(reply.comment, "not taken: bad UID");
  EXPECT_TRUE(gateway.queue.added().empty());
  EXPECT_EQ(gateway.files(), 0U);
}

TEST(Intake, AnInstanceWithoutARouteIsTreatedAsConfigured) {
  const std::string route = "[[route]]\nwhen = { Modality = \"XX\" }\ndestinations = [\"pacs\"]\n";
  Gateway keep(route);
  EXPECT_EQ(take(keep, data_set()).status, 0);
  EXPECT_EQ(keep.queue.added().at(0).deliveries.at(0).state, DeliveryState::quarantined);
  EXPECT_EQ(keep.queue.added().at(0).deliveries.at(0).reason, "no route matches");
  EXPECT_EQ(keep.files(), 1U);

  Gateway reject(route, "unrouted = \"reject\"\n");
  const Reply reply = take(reject, data_set());
  EXPECT_EQ(reply.status, 0xC000);
  EXPECT_EQ(reply.comment, "no route takes this instance");
  EXPECT_EQ(reject.files(), 0U);

  Gateway drop(route, "unrouted = \"drop\"\n");
  EXPECT_EQ(take(drop, data_set()).status, 0);
  EXPECT_EQ(drop.queue.added().at(0).deliveries.at(0).state, DeliveryState::dropped);
}

TEST(Intake, ADuplicateIsAnsweredWithSuccessAndLeavesNothing) {
  Gateway gateway;
  ASSERT_EQ(take(gateway, data_set()).status, 0);
  const std::string first = gateway.queue.added().at(0).instance.id;
  const auto before = counted("sluice_received_total", {{"outcome", "duplicate"}});
  gateway.queue.will_answer({{.to_check = {first}}, {.is_duplicate = true, .same_as = first}});
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  EXPECT_EQ(counted("sluice_received_total", {{"outcome", "duplicate"}}), before + 1);
  EXPECT_EQ(gateway.queue.added().size(), 1U);
  EXPECT_EQ(gateway.files(), 1U) << "that of the first";
  EXPECT_EQ(gateway.queue.rules().back().sound, std::vector<std::string>{first});
  EXPECT_EQ(gateway.queue.rules().back().window, std::chrono::hours(24));
}

TEST(Intake, AFirstWhoseFileIsDamagedIsNotReliedOn) {
  Gateway gateway;
  ASSERT_EQ(take(gateway, data_set()).status, 0);
  const std::string first = gateway.queue.added().at(0).instance.id;
  std::ofstream(gateway.spool->path(first), std::ios::app) << "x";
  gateway.queue.will_answer({{.to_check = {first}}});
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  EXPECT_EQ(gateway.queue.rules().back().unsound, std::vector<std::string>{first});
  EXPECT_EQ(gateway.queue.added().size(), 2U);
  EXPECT_EQ(gateway.files(), 2U);
}

TEST(Intake, OffersANewUidOnlyWhereOtherBytesGetOne) {
  Gateway plain;
  EXPECT_EQ(take(plain, data_set()).status, 0);
  EXPECT_EQ(plain.queue.rules().at(0).other_bytes, OtherBytes::quarantine);
  EXPECT_EQ(plain.queue.rules().at(0).new_uid, "");
  Gateway gateway("[[route]]\ndestinations = [\"pacs\"]\n", "other_bytes = \"new_uid\"\n");
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  EXPECT_EQ(take(gateway, data_set()).status, 0);
  const auto rules = gateway.queue.rules();
  EXPECT_TRUE(rules.at(0).new_uid.starts_with("2.25."));
  EXPECT_EQ(rules.at(1).new_uid, rules.at(0).new_uid) << "the same for the same bytes";
  EXPECT_FALSE(rules.at(0).had_new_uid);
}

TEST(Intake, FlagsIrregularTagsWhateverBecomesOfTheInstance) {
  const std::string irregular = data_set() + std::string("\x08\0\x70\0\2\0\0\0AB", 10);
  for (const char* policy : {"deliver", "quarantine", "reject"}) {
    SCOPED_TRACE(policy);
    Gateway gateway("[[route]]\ndestinations = [\"pacs\"]\n",
                    "irregular_tags = \"" + std::string(policy) + "\"\n");
    const Labels label{{"policy", policy}};
    const auto before = counted("sluice_irregular_tags_total", label);
    EXPECT_EQ(take(gateway, data_set()).status, 0);
    EXPECT_EQ(counted("sluice_irregular_tags_total", label), before);
    EXPECT_EQ(gateway.queue.added().at(0).instance.irregular_tags, "");
    const Reply reply = take(gateway, irregular);
    EXPECT_EQ(counted("sluice_irregular_tags_total", label), before + 1);
    if (std::string_view(policy) == "reject") {
      EXPECT_EQ(reply.status, 0xC000);
      EXPECT_EQ(reply.comment, "tags (0008,0070) out of order");
      EXPECT_EQ(gateway.queue.added().size(), 1U);
      EXPECT_EQ(gateway.files(), 1U) << "that of the regular one";
      continue;
    }
    EXPECT_EQ(reply.status, 0);
    const auto added = gateway.queue.added().at(1);
    EXPECT_EQ(added.instance.irregular_tags, "(0008,0070) out of order");
    EXPECT_EQ(added.deliveries.at(0).state, std::string_view(policy) == "deliver"
                                                ? DeliveryState::ready
                                                : DeliveryState::quarantined);
  }
}

TEST(Intake, TakesSequencesAsDeepAsConfiguredAndNoDeeper) {
  const auto nested = [](int depth) {
    std::string open;
    std::string close;
    for (int i = 0; i < depth; ++i) {
      open += std::string("\x40\0\x30\xA7\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", 16);
      close += std::string("\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0", 16);
    }
    return data_set() + open + close;
  };
  for (const int limit : {8, 64, 120}) {
    Gateway gateway("[[route]]\ndestinations = [\"pacs\"]\n",
                    "max_nesting = " + std::to_string(limit) + "\n");
    EXPECT_EQ(take(gateway, nested(limit)).status, 0) << limit;
    const Reply reply = take(gateway, nested(limit + 1));
    EXPECT_EQ(reply.status, 0xC000) << limit;
    EXPECT_NE(reply.comment.find("nested more than " + std::to_string(limit)), std::string::npos);
    EXPECT_EQ(gateway.files(), 1U);
  }
}

TEST(Intake, ListsWhatItRejectsAndNotWhatItHasNoRoomFor) {
  Gateway gateway("[[route]]\nfilters = [\"rejects\"]\ndestinations = [\"pacs\"]\n");
  EXPECT_EQ(take(gateway, data_set()).status, 0xC123);
  EXPECT_EQ(take(gateway, data_set(), provenance(kMrStorage)).status, 0xA900);
  EXPECT_EQ(take(gateway, data_set().substr(0, 50)).status, 0xC000);
  const auto listed = *gateway.queue.rejections({});
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[0].status, "C123");
  EXPECT_EQ(listed[0].reason, "not taken: bad UID");
  EXPECT_EQ(listed[0].calling_ae_title, "CT01");
  EXPECT_EQ(listed[0].sop_instance_uid, kInstance);
  EXPECT_EQ(listed[0].data_set_length, data_set().size());
  EXPECT_FALSE(listed[0].id.empty());
  Gateway full;
  full.queue.failing = true;
  EXPECT_EQ(take(full, data_set()).status, 0xA700);
  EXPECT_TRUE(full.queue.rejections({})->empty());
}

TEST(Intake, RefusesADataSetUnlikeItsCommand) {
  Gateway gateway;
  for (const auto& [sop_class, sop_instance] :
       {std::pair{kMrStorage, kInstance}, std::pair{kCtStorage, std::string("1.2.3.4.6")}}) {
    const Reply reply = take(gateway, data_set(), provenance(sop_class, sop_instance));
    EXPECT_EQ(reply.status, 0xA900);
    EXPECT_NE(reply.comment.find("command"), std::string::npos);
    EXPECT_LE(reply.comment.size(), 64U);
  }
  EXPECT_EQ(take(gateway, small_data_set(kCtStorage, "")).status, 0xA900);
  EXPECT_EQ(take(gateway, "").status, 0xA900);
  EXPECT_EQ(gateway.files(), 0U);
  EXPECT_TRUE(gateway.queue.added().empty());
}

TEST(Intake, ASecondUidBehindAnEmptyOneIsSeenToo) {
  Gateway gateway;
  const Reply reply = take(gateway, small_data_set(kCtStorage, "") + data_set());
  EXPECT_EQ(reply.status, 0xA900);
  EXPECT_EQ(reply.comment, "two SOP Instance UIDs (0008,0018)");
}

TEST(Intake, ASecondUidUnlikeTheCommandsIsSeenToo) {
  Gateway gateway;
  const std::string second = small_data_set(kCtStorage, "9.9.9");
  const Reply reply = take(gateway, data_set() + second);
  EXPECT_EQ(reply.status, 0xA900);
  EXPECT_EQ(reply.comment, "two SOP Instance UIDs (0008,0018)");
}

TEST(Intake, PaddingIsNoDifference) {
  Gateway gateway;
  EXPECT_EQ(
      take(gateway, small_data_set(kCtStorage + " ", kInstance + std::string(3, '\0'))).status, 0);
}

TEST(Intake, SaysWhatIsWrongWithACorruptDataSet) {
  Gateway gateway;
  const std::string huge = little16(0x10) + little16(0x10) + little32(0xFFFFFFF0U) + "short";
  const Reply reply = take(gateway, data_set().substr(0, 30) + huge);
  EXPECT_EQ(reply.status, 0xC000);
  EXPECT_FALSE(reply.comment.empty());
  const Reply cut = take(gateway, data_set().substr(0, data_set().size() - 3));
  EXPECT_EQ(cut.status, 0xC000);
  EXPECT_EQ(gateway.files(), 0U);
  EXPECT_TRUE(gateway.queue.added().empty());
}

TEST(Intake, AFailingLedgerQueueOrFilterLeavesNothing) {
  Gateway gateway;
  gateway.ledger.failing = true;
  EXPECT_EQ(take(gateway, data_set()).status, 0xA700);
  gateway.ledger.failing = false;
  gateway.queue.failing = true;
  EXPECT_EQ(take(gateway, data_set()).status, 0xA700);
  EXPECT_EQ(gateway.files(), 0U);
  Gateway later("[[route]]\nfilters = [\"fails\"]\ndestinations = [\"pacs\"]\n");
  EXPECT_EQ(take(later, data_set()).status, 0xA700);
  EXPECT_EQ(later.files(), 0U);
  Gateway never("[[route]]\nfilters = [\"breaks\"]\ndestinations = [\"pacs\"]\n");
  EXPECT_EQ(take(never, data_set()).status, 0xC000);
  EXPECT_EQ(never.files(), 0U);
}

TEST(Intake, WhatTheDiskHasNoRoomForIsNotDecided) {
  Gateway gateway;
  gateway.queue.room = false;
  gateway.ledger.failing = true;
  const Reply reply = take(gateway, data_set());
  EXPECT_EQ(reply.status, 0xA700);
  EXPECT_EQ(reply.comment, "gateway disk full, send again later");
  EXPECT_EQ(gateway.files(), 0U);
}

TEST(Intake, ATooLargeInstanceIsTakenToItsEndAndRefused) {
  Gateway gateway("[[route]]\ndestinations = [\"pacs\"]\n", "max_instance_size = \"100 B\"\n");
  Intake intake(gateway.services(), gateway.config.gateway, provenance(), kImplicit);
  const std::string bytes(90, 'x');
  intake.append(std::as_bytes(std::span(bytes)));
  intake.append(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(gateway.files(), 0U);
  intake.append(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(finish(intake).status, 0xA700);
}

TEST(Intake, LeavesNothingWhenItIsGivenUp) {
  Gateway gateway;
  {
    Intake intake(gateway.services(), gateway.config.gateway, provenance(), kImplicit);
    const std::string bytes = large_data_set(kCtStorage, kInstance);
    intake.append(std::as_bytes(std::span(bytes)));
    EXPECT_EQ(gateway.files(), 1U);
  }
  EXPECT_EQ(gateway.files(), 0U);
}

}  // namespace
}  // namespace sluice
