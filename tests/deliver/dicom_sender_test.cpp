#include <gtest/gtest.h>

#include "gateway/deliver/sender.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/dicom/dcmtk_oracle.h"
#include "tests/support/data_set.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;

const std::string kSrStorage = "1.2.840.10008.5.1.4.1.1.88.11";

// A PACS, and a sender to it with instances to send.
struct Sending {
  explicit Sending(ScriptedPacs::React react = {}, const std::string& options = "")
      : pacs(std::move(react)),
        parts(dicom_destination("pacs", pacs.port(), options) + route("\"pacs\"")),
        sender(make_dicom_sender(parts.destination())) {}

  Attempt send(const std::string& uid, const std::string& sop_class = kCtStorage) {
    return send(small_instance(uid, sop_class));
  }
  Attempt send(const ReceivedData& data) {
    const auto id = parts.receive(data, {"pacs"});
    QueueEntry entry;
    entry.instance = parts.row(id);
    sender->prepare({&entry, 1});
    auto payload = parts.payload(id);
    if (!payload) throw std::runtime_error(payload.error().message);
    return sender->send(*payload);
  }

  ScriptedPacs pacs;
  GatewayParts parts;
  std::unique_ptr<Sender> sender;
};

TEST(DicomSender, KeepsOneAssociationForManyInstances) {
  Sending sending;
  for (int i = 0; i < 20; ++i) {
    const Attempt attempt = sending.send("1.2.3." + std::to_string(i));
    EXPECT_EQ(attempt.result, AttemptResult::delivered) << attempt.reason;
    EXPECT_EQ(attempt.status, "0000");
  }
  EXPECT_EQ(sending.pacs.associations(), 1);
  ASSERT_EQ(sending.pacs.stored().size(), 20U);
  EXPECT_EQ(sending.pacs.stored()[7].data_set, small_data_set(kCtStorage, "1.2.3.7"));
}

TEST(DicomSender, ProposesWhatItSentBeforeToo) {
  Sending sending;
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  EXPECT_EQ(sending.send("1.2.2", kMrStorage).result, AttemptResult::delivered);
  EXPECT_EQ(sending.pacs.associations(), 2);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(sending.send("1.2.3", kCtStorage).result, AttemptResult::delivered);
    EXPECT_EQ(sending.send("1.2.4", kMrStorage).result, AttemptResult::delivered);
  }
  EXPECT_EQ(sending.pacs.associations(), 2);
  EXPECT_TRUE(wait_until([&] { return sending.pacs.releases() == 1; }));
}

// The user identity items that the PACS got, one for each association; "" where none.
std::vector<std::string> identities(const ScriptedPacs& pacs) {
  std::vector<std::string> all;
  for (const std::string& request : pacs.requests()) {
    const std::size_t at = request.find(std::string("\x58\0", 2), 74);
    all.push_back(at == std::string::npos ? "" : request.substr(at));
  }
  return all;
}

std::string user_item(const std::string& name) {
  return item(0x58, std::string{1, 0} + big16(name.size()) + name + big16(0));
}

TEST(DicomSender, TellsTheUsersNameAndOpensAnewWhenItChanges) {
  Sending sending({}, "user_identity = true\n");
  ReceivedData data = small_instance("1.2.3");
  for (const char* name : {"", "ann", "ann", "b\xC3\xB6rge", ""}) {
    data.user_name = name;
    EXPECT_EQ(sending.send(data).result, AttemptResult::delivered);
  }
  EXPECT_EQ(identities(sending.pacs),
            (std::vector<std::string>{"", user_item("ann"), user_item("b\xC3\xB6rge"), ""}));
}

TEST(DicomSender, TellsNoUserUnlessItIsAskedTo) {
  Sending sending;
  ReceivedData data = small_instance("1.2.3");
  for (const char* name : {"ann", "bob"}) {
    data.user_name = name;
    EXPECT_EQ(sending.send(data).result, AttemptResult::delivered);
  }
  EXPECT_EQ(identities(sending.pacs), std::vector<std::string>{""});
}

TEST(DicomSender, NegotiatesForTheWholeBatch) {
  Sending sending;
  std::vector<QueueEntry> batch(3);
  std::vector<std::string> ids;
  for (const std::string& sop_class : {kCtStorage, kMrStorage, kSrStorage}) {
    ids.push_back(sending.parts.receive(small_instance("1.2.3", sop_class), {"pacs"}));
    batch.at(ids.size() - 1).instance = sending.parts.row(ids.back());
  }
  sending.sender->prepare(batch);
  for (const std::string& id : ids) {
    auto payload = sending.parts.payload(id);
    ASSERT_TRUE(payload);
    EXPECT_EQ(sending.sender->send(*payload).result, AttemptResult::delivered);
  }
  EXPECT_EQ(sending.pacs.associations(), 1);
}

// 200 classes do not fit one association; each is sent all the same.
TEST(DicomSender, SendsMoreKindsThanOneAssociationHolds) {
  Sending sending;
  for (int i = 0; i < 200; ++i) {
    const auto attempt = sending.send("1.2.3", "1.2.840.10008.5.1.4.1.1." + std::to_string(i + 1));
    EXPECT_EQ(attempt.result, AttemptResult::delivered) << attempt.reason;
  }
}

TEST(DicomSender, HoldsAnInstanceWhoseClassCannotBeProposed) {
  Sending sending;
  const std::string long_uid = "1.2." + std::string(70, '3');
  EXPECT_EQ(sending.send("1.2.3", long_uid).result, AttemptResult::hold);
  EXPECT_EQ(sending.send("1.2.4").result, AttemptResult::delivered);
}

TEST(DicomSender, ReleasesAnIdleAssociation) {
  Sending sending;
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  sending.sender->idle(milliseconds(10));
  EXPECT_EQ(sending.pacs.releases(), 0);
  sending.sender->idle(milliseconds(3'600'000));
  EXPECT_TRUE(wait_until([&] { return sending.pacs.releases() == 1; }));
  EXPECT_EQ(sending.send("1.2.2").result, AttemptResult::delivered);
  EXPECT_EQ(sending.pacs.associations(), 2);
}

TEST(DicomSender, TriesAgainWhereTheOldAssociationWasClosed) {
  Sending sending([](const StoredByPacs&, int number) {
    Reaction reaction;
    reaction.close = number == 1;  // the second of every association
    return reaction;
  });
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  EXPECT_EQ(sending.send("1.2.2").result, AttemptResult::delivered);
  EXPECT_EQ(sending.pacs.associations(), 2);
}

TEST(DicomSender, OpensAnewWhereThePeerHasLeftMeanwhile) {
  Sending sending([](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.release_behind = true;
    return reaction;
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  EXPECT_EQ(sending.pacs.count_of("1.2.1"), 5U);
}

TEST(DicomSender, DoesNotTryAFreshAssociationTwice) {
  Sending sending([](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.close = true;
    return reaction;
  });
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::failed);
  EXPECT_EQ(sending.pacs.associations(), 1);
}

TEST(DicomSender, DoesNotWaitTwiceForASilentPeer) {
  Sending sending(
      [](const StoredByPacs&, int number) {
        Reaction reaction;
        reaction.silent = number > 0;
        return reaction;
      },
      "response_timeout = \"100ms\"\n");
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  EXPECT_EQ(sending.send("1.2.2").result, AttemptResult::failed);
  EXPECT_EQ(sending.pacs.associations(), 1);
  EXPECT_EQ(sending.pacs.count_of("1.2.2"), 1U);
}

TEST(DicomSender, CountsNoAnswerToSomethingElse) {
  for (const bool other_message : {true, false}) {
    Sending sending([&](const StoredByPacs&, int) {
      Reaction reaction;
      if (other_message) reaction.message_id_added = 1;
      if (!other_message) reaction.sop_instance_uid = "1.9.9";
      return reaction;
    });
    const Attempt attempt = sending.send("1.2.1");
    EXPECT_EQ(attempt.result, AttemptResult::failed);
    EXPECT_EQ(attempt.status, "");
    EXPECT_NE(attempt.reason.find("response"), std::string::npos) << attempt.reason;
  }
}

TEST(DicomSender, LeavesTheAssociationAfterAProtocolStatus) {
  for (const std::size_t status : {0x0210U, 0x0211U, 0x0212U}) {
    Sending sending([&](const StoredByPacs&, int) {
      Reaction reaction;
      reaction.status = status;
      return reaction;
    });
    EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::failed);
    EXPECT_TRUE(wait_until([&] { return sending.pacs.aborts() == 1; }));
    EXPECT_EQ(sending.send("1.2.2").result, AttemptResult::failed);
    EXPECT_EQ(sending.pacs.associations(), 2);
  }
}

TEST(DicomSender, TellsAwayFromRejectedForGood) {
  const std::vector<std::pair<Greeting, AttemptResult>> table = {
      {Greeting::reject_transient, AttemptResult::away},
      {Greeting::reject_permanent, AttemptResult::hold},
      {Greeting::close, AttemptResult::away},
      {Greeting::abort, AttemptResult::away},
      {Greeting::silence, AttemptResult::away}};
  for (const auto& [greeting, result] : table) {
    Sending sending({}, "response_timeout = \"200ms\"\n");
    sending.pacs.greet(greeting);
    const Attempt attempt = sending.send("1.2.1");
    EXPECT_EQ(attempt.result, result) << attempt.reason;
    EXPECT_FALSE(attempt.reason.empty());
  }
}

TEST(DicomSender, ConvertsForAPacsThatTakesAnotherSyntax) {
  for (const std::string name : {"CT_small.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"}) {
    const auto image = load_image(fixture(name));
    ASSERT_TRUE(image);
    for (const std::string& wanted : {kImplicit, kExplicit}) {
      Sending sending;
      sending.pacs.take_only({wanted});
      ReceivedData data = {kCtStorage, "", image->syntax.uid, image->data_set};
      const auto header = dicom::scan(std::as_bytes(std::span(image->data_set)), image->syntax);
      const auto index = header->find(dicom::tags::kSopInstanceUid);
      data.sop_instance_uid = std::string(header->value(*index).value_or(""));
      while (data.sop_instance_uid.ends_with('\0')) data.sop_instance_uid.pop_back();
      const Attempt attempt = sending.send(data);
      EXPECT_EQ(attempt.result, AttemptResult::delivered) << name << attempt.reason;
      ASSERT_EQ(sending.pacs.stored().size(), 1U);
      EXPECT_EQ(sending.pacs.stored()[0].transfer_syntax_uid, wanted);
      EXPECT_TRUE(sending.parts.left_over().empty());
    }
  }
}

TEST(DicomSender, SendsAsReceivedWhereThePacsTakesIt) {
  const auto image = load_image(fixture("MR_small_bigendian.dcm"));
  ASSERT_TRUE(image && image->syntax.big_endian);
  Sending sending;
  ReceivedData data = {kMrStorage, "1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457",
                       image->syntax.uid, image->data_set};
  const Attempt attempt = sending.send(data);
  ASSERT_EQ(attempt.result, AttemptResult::delivered) << attempt.reason;
  EXPECT_EQ(sending.pacs.stored()[0].transfer_syntax_uid, image->syntax.uid);
  EXPECT_TRUE(sending.pacs.stored()[0].data_set == image->data_set);
}

TEST(DicomSender, RefusesWhatThePacsDoesNotTakeAndAsksAnewLater) {
  Sending sending;
  sending.pacs.refuse_class(kMrStorage);
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  const Attempt refused = sending.send("1.2.2", kMrStorage);
  EXPECT_EQ(refused.result, AttemptResult::refused);
  EXPECT_NE(refused.reason.find(kMrStorage), std::string::npos);
  EXPECT_EQ(sending.send("1.2.3").result, AttemptResult::delivered);
  sending.pacs.refuse_class("");
  EXPECT_EQ(sending.send("1.2.2", kMrStorage).result, AttemptResult::delivered);
}

TEST(DicomSender, PostponesWhenItsOwnDiskFails) {
  Sending sending;
  sending.pacs.take_only({kExplicit});
  const auto id = sending.parts.receive(small_instance("1.2.1"), {"pacs"});
  auto payload = Payload::open(sending.parts.entry(id),
                               {sending.parts.spool(), sending.parts.pipeline(),
                                sending.parts.ledger(), sending.parts.path("missing")});
  ASSERT_TRUE(payload);
  EXPECT_EQ(sending.sender->send(*payload).result, AttemptResult::postponed);
}

TEST(DicomSender, HoldsAnInstanceThatIsCutShortUnderItsHands) {
  Sending sending;
  ReceivedData data = small_instance("1.2.1");
  data.data_set +=
      little16(0x7FE0) + little16(0x0010) + little32(1'000'000) + std::string(1'000'000, 'x');
  const auto id = sending.parts.receive(data, {"pacs"});
  auto payload = sending.parts.payload(id);
  ASSERT_TRUE(payload) << payload.error().message;
  std::filesystem::resize_file(sending.parts.spool_path(id), 500'000);
  const Attempt attempt = sending.sender->send(*payload);
  EXPECT_EQ(attempt.result, AttemptResult::hold) << attempt.reason;
  EXPECT_EQ(sending.pacs.count_of("1.2.1"), 0U);
  EXPECT_TRUE(wait_until([&] { return sending.pacs.aborts() == 1; }));
}

TEST(DicomSender, EndsWhatIsUnderWayWhenInterrupted) {
  std::atomic<bool> waiting = false;
  Sending sending([&](const StoredByPacs&, int number) {
    Reaction reaction;
    reaction.silent = number > 0;
    waiting = number > 0;
    return reaction;
  });
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  const auto begun = std::chrono::steady_clock::now();
  std::thread interrupter([&] {
    EXPECT_TRUE(wait_until([&] { return waiting.load(); }));
    for (int i = 0; i < 20; ++i) sending.sender->interrupt();
  });
  EXPECT_EQ(sending.send("1.2.2").result, AttemptResult::failed);
  interrupter.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
  EXPECT_EQ(sending.pacs.associations(), 1);
}

TEST(DicomSender, OffersOnlyTheTransferSyntaxesOfItsDestination) {
  Sending sending({}, "transfer_syntaxes = \"" + kExplicit + "\"\n");
  EXPECT_EQ(sending.send("1.2.1").result, AttemptResult::delivered);
  ASSERT_EQ(sending.pacs.stored().size(), 1U);
  EXPECT_EQ(sending.pacs.stored()[0].transfer_syntax_uid, kExplicit);
}

TEST(DicomSender, HoldsWhatItsDestinationIsNotOffered) {
  Sending sending({}, "transfer_syntaxes = \"" + kExplicit + "\"\n");
  const Attempt attempt = sending.send(
      {kCtStorage, "1.2.3", "1.2.840.10008.1.2.4.90", image("1.2.3", "1.2", "1.3", "1").bytes()});
  EXPECT_EQ(attempt.result, AttemptResult::hold);
  EXPECT_NE(attempt.reason.find("transfer_syntaxes"), std::string::npos) << attempt.reason;
  EXPECT_EQ(sending.pacs.associations(), 0);
}

}  // namespace
}  // namespace sluice::test
