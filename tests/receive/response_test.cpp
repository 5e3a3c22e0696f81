// Instances whose rows are durable later: another thread answers, while the association's own
// waits for the next message.
#include "gateway/receive/response.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "gateway/net/command_set.h"
#include "tests/receive/running.h"
#include "tests/support/process.h"

namespace sluice {
namespace {

using namespace sluice::test;
namespace command = net::command;

struct Waiting : Running {
  Waiting() { gateway.queue.answers_later = true; }

  // A peer that has sent an instance, and of that the rows are being written.
  [[nodiscard]] RawPeer store(const std::string& behind = "", std::size_t max_pdu = 16384) {
    RequestParts parts;
    parts.user = user_information("", max_pdu);
    RawPeer peer = associate(parts);
    const std::size_t before = gateway.queue.unanswered();
    peer.send(store_pdus(data_set()) + behind);
    EXPECT_TRUE(wait_until([&] { return gateway.queue.unanswered() == before + 1; }));
    return peer;
  }
};

TEST(Response, ComesFromWhoeverMadeTheRowsDurable) {
  Waiting running;
  const RawPeer peer = running.store();
  for (std::size_t message_id = 2; message_id < 5; ++message_id) {
    running.gateway.queue.answer_next();
    const auto set = response(peer);
    EXPECT_EQ(set.number(command::kStatus), 0);
    EXPECT_EQ(set.number(command::kMessageIdBeingRespondedTo), message_id - 1);
    EXPECT_EQ(set.text(command::kAffectedSopInstanceUid), kInstance);
    peer.send(store_pdus(data_set(), 3, message_id));
    EXPECT_TRUE(wait_until([&] { return running.gateway.queue.unanswered() == 1; }));
  }
  running.gateway.queue.answer_next();
  EXPECT_EQ(response(peer).number(command::kStatus), 0);
  peer.send(release_request());
  EXPECT_EQ(peer.receive_pdu(), release_response());
}

TEST(Response, SaysWhatHinderedTheRows) {
  Waiting running;
  const RawPeer peer = running.store();
  running.gateway.queue.answer_next(failure(ErrorCode::transient, "no disk"));
  const auto set = response(peer);
  EXPECT_EQ(set.number(command::kStatus), 0xA700);
  EXPECT_EQ(set.text(command::kErrorComment), "Out of resources: the queue cannot be written");
}

// Against PS3.7 D.3.3.3, but the responses stay in order.
TEST(Response, ComesBeforeThatToWhatWasSentBehind) {
  Waiting running;
  const RawPeer peer = running.store(data_pdu(pdv(1, true, true, echo_request(7))));
  running.gateway.queue.answer_next();
  EXPECT_EQ(response(peer).number(command::kMessageIdBeingRespondedTo), 1);
  EXPECT_EQ(response(peer).number(command::kMessageIdBeingRespondedTo), 7);
}

TEST(Response, ThatNoPduOfThePeerTakesComesInPieces) {
  Waiting running;
  const RawPeer peer = running.store("", 128);
  running.gateway.queue.answer_next();
  std::string set;
  for (bool last = false; !last;) {
    const std::string pdu = peer.receive_pdu();
    ASSERT_GE(pdu.size(), 12U);
    ASSERT_LE(pdu.size(), 128U + 6U);
    last = (pdu[11] & 2) != 0;
    set += pdu.substr(12);
  }
  const auto parsed = net::CommandSet::parse(std::as_bytes(std::span(set)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->number(command::kStatus), 0);
}

TEST(Response, ToAPeerThatHasLeftIsNobodys) {
  Waiting running;
  RawPeer reset = running.store();
  reset.reset();
  RawPeer aborted = running.store();
  aborted.send(abort_pdu(0, 0));
  running.gateway.queue.answer_next();
  running.gateway.queue.answer_next();
  EXPECT_EQ(response(aborted).number(command::kStatus), 0);
  const RawPeer next = running.store();
  running.gateway.queue.answer_next();
  EXPECT_EQ(response(next).number(command::kStatus), 0) << "the others are served";
}

TEST(Response, IsWaitedForByAStop) {
  Waiting running;
  const RawPeer peer = running.store();
  std::thread stopping([&] { running.server->stop(std::chrono::seconds(60)); });
  running.gateway.queue.answer_next();
  EXPECT_EQ(response(peer).number(command::kStatus), 0);
  stopping.join();
}

}  // namespace
}  // namespace sluice
