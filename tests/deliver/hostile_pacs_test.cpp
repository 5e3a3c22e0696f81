// A PACS that does anything but what it should: no delivery counts without the right
// response, none is lost, and no other destination waits for it.
#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/deliver/dispatcher.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/support/wrong_answers.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kAlways = std::numeric_limits<int>::max();
constexpr int kPlayed = 2;  // associations on which it is hostile; then it is good
// One association, and a short patience: a good answer that is later still is asked for again.
const std::string kImpatient = "associations = 1\nresponse_timeout = \"500ms\"\n";

std::unique_ptr<Dispatcher> dispatch_to_tricks(GatewayParts& parts) {
  auto dispatcher =
      std::make_unique<Dispatcher>(parts.current(), parts.spool(), parts.queue(), parts.ledger());
  dispatcher->start();
  return dispatcher;
}

ReceivedData instance_of(std::size_t pixels, const std::string& uid = "1.2.3") {
  ReceivedData data = small_instance(uid);
  data.data_set +=
      little16(0x7FE0) + little16(0x0010) + little32(pixels) + std::string(pixels, 'x');
  return data;
}

// Until the other side has had enough, without reading.
bool sit_still(RawPeer& peer) {
  while (!peer.is_hung_up()) std::this_thread::sleep_for(milliseconds(5));
  return false;
}
// The same, reading a byte now and then.
bool read_slowly(RawPeer& peer) {
  while (!peer.receive(1).empty() && !peer.is_hung_up()) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  return false;
}
void answer_slowly(RawPeer& peer, const Asked& asked) {
  for (const char byte : right_answer(asked)) {
    if (!peer.send(std::string(1, byte)) || peer.has_answer(milliseconds(50))) return;
  }
}
void say_nothing(RawPeer& /*peer*/, const Asked& /*asked*/) {}

struct Trick {
  std::string name;
  Part part;
  std::size_t pixels = 100'000;  // more than a few PDUs of 16 KiB
};

class Tricked : public testing::TestWithParam<Trick> {};

// An instance that is tricked on two associations and delivered on the third.
void expect_delivery_after(const Part& part, std::size_t pixels) {
  ScriptedPacs pacs;
  pacs.play(part, kPlayed);
  GatewayParts parts(dicom_destination("pacs", pacs.port(), kImpatient) + route("\"pacs\""));
  const std::string id = parts.receive(instance_of(pixels), {"pacs"});
  const auto dispatcher = dispatch_to_tricks(parts);
  ASSERT_TRUE(wait_until([&] {
    const int right_answers = pacs.right_answers();  // before the look at the queue
    const bool is_delivered = parts.delivery(id, "pacs").state == DeliveryState::delivered;
    EXPECT_TRUE(!is_delivered || right_answers > 0 || pacs.right_answers() > 0);
    return is_delivered;
  })) << parts.delivery(id, "pacs").reason;
  const DeliveryRow row = parts.delivery(id, "pacs");
  EXPECT_GT(row.attempts, kPlayed);
  EXPECT_EQ(row.failures, 0) << "it was the destination's fault, not the instance's";
  EXPECT_EQ(row.status, "0000");
  EXPECT_GE(pacs.right_answers(), 1);
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  EXPECT_TRUE(parts.spool().list()->empty());
}

TEST_P(Tricked, NeverCountsADeliveryWithoutTheRightResponse) {
  expect_delivery_after(GetParam().part, GetParam().pixels);
}

std::vector<Trick> tricks() {
  constexpr std::size_t kMoreThanSocketsHold = 24U << 20U;
  return {
      {"AcceptsTcpOnly", {.connected = sit_still}},
      {"AcceptsAndReadsNothing", {.associated = sit_still}, kMoreThanSocketsHold},
      {"ReadsAByteNowAndThen", {.associated = read_slowly}, kMoreThanSocketsHold},
      {"AnswersAByteNowAndThen", {.answer = answer_slowly}},
      {"SaysNothing", {.answer = say_nothing}},
      {"AnswersAfterTheTimeOut",
       {.answer =
            [](RawPeer& peer, const Asked& asked) {
              sit_still(peer);
              peer.send(right_answer(asked));
            }}},
      {"AnswersBeforeTheDataSet",
       {.received =
            [](RawPeer& peer, int number, const std::string& pdu) {
              if (number != 1) return true;
              peer.send(right_answer({pdu[10], message_id_of(pdu), kCtStorage, "1.2.3"}));
              return true;
            },
        .answer = say_nothing},
       kMoreThanSocketsHold},
  };
}

INSTANTIATE_TEST_SUITE_P(Tricks, Tricked, testing::ValuesIn(tricks()),
                         [](const auto& test) { return test.param.name; });

std::vector<Trick> tricks_by_answer() {
  std::vector<Trick> made;
  for (const WrongAnswer& wrong : wrong_answers()) {
    made.push_back({wrong.name, {.answer = wrong.play}, 100});
  }
  return made;
}

INSTANTIATE_TEST_SUITE_P(Answers, Tricked, testing::ValuesIn(tricks_by_answer()),
                         [](const auto& test) { return test.param.name; });

// How it ends a connection, and at which of the PDUs that it gets: 0 is the association
// request, 1 the command, 2 to 8 the data set.
using Breach = std::tuple<std::string, int>;
class BreaksOff : public testing::TestWithParam<Breach> {};

TEST_P(BreaksOff, AtAPdu) {
  const auto& [way, at] = GetParam();
  const auto end = [way = way](RawPeer& peer) {
    if (way == "Abort") peer.send(abort_pdu(2, 0));
    if (way == "Release") peer.send(release_request());
    if (way == "HalfAnAbort") peer.send(abort_pdu(2, 0).substr(0, 5));
    if (way == "Reset") peer.reset();
  };
  const auto received = [end, at = at](RawPeer& peer, int number, const std::string&) {
    if (number != at) return true;
    end(peer);
    return false;
  };
  expect_delivery_after({.received = received}, 100'000);
}

INSTANTIATE_TEST_SUITE_P(EachPdu, BreaksOff,
                         testing::Combine(testing::Values("Abort", "Close", "Reset", "Release",
                                                          "HalfAnAbort"),
                                          testing::Range(0, 9)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + std::to_string(std::get<1>(test.param));
                         });

// Two instances, of which the PACS answers the first only, in a way that could be taken
// for an answer to the second.
class FirstOnly : public testing::TestWithParam<Trick> {};

TEST_P(FirstOnly, ItsAnswerDoesNotCountForTheNext) {
  ScriptedPacs pacs;
  pacs.play(GetParam().part, kAlways);
  GatewayParts parts(dicom_destination("pacs", pacs.port(), kImpatient) + route("\"pacs\""));
  const std::string first = parts.receive(instance_of(100, "1.2.1"), {"pacs"});
  const std::string second = parts.receive(instance_of(100, "1.2.2"), {"pacs"});
  const auto dispatcher = dispatch_to_tricks(parts);
  EXPECT_TRUE(wait_until([&] { return parts.delivery(second, "pacs").attempts >= 2; }));
  EXPECT_EQ(parts.delivery(first, "pacs").state, DeliveryState::delivered);
  EXPECT_NE(parts.delivery(second, "pacs").state, DeliveryState::delivered);
  EXPECT_TRUE(dispatcher->stop(milliseconds(10'000)));
  EXPECT_NE(parts.delivery(second, "pacs").state, DeliveryState::delivered);
}

// Remembers the first command, and answers it with each later PDU but that of the data.
Part answering_again() {
  const auto first = std::make_shared<std::optional<Asked>>();
  return {.received = [first](RawPeer& peer, int number, const std::string& pdu) {
    if (number == 0 || pdu[0] != 4) return true;
    const bool is_command = pdu[11] == 3;
    if (is_command && !*first) *first = Asked{pdu[10], message_id_of(pdu), kCtStorage, "1.2.1"};
    if (is_command != (message_id_of(pdu) == (*first)->message_id)) {
      peer.send(right_answer(**first));
    }
    return true;
  }};
}

INSTANTIATE_TEST_SUITE_P(Ways, FirstOnly,
                         testing::Values(Trick{"TwiceAtOnce",
                                               {.answer =
                                                    [](RawPeer& peer, const Asked& asked) {
                                                      if (asked.sop_instance_uid != "1.2.1") return;
                                                      peer.send(right_answer(asked) +
                                                                right_answer(asked));
                                                    }}},
                                         Trick{"AgainWhereTheNextIsAsked", answering_again()}),
                         [](const auto& test) { return test.param.name; });

// Asked on one association and answered, too late, on the next.
TEST(LateAnswer, DoesNotCountOnTheNextAssociation) {
  const auto mutex = std::make_shared<std::mutex>();
  const auto late = std::make_shared<std::optional<Asked>>();
  ScriptedPacs pacs;
  pacs.play({.answer =
                 [mutex, late](RawPeer& peer, const Asked& asked) {
                   const std::lock_guard lock(*mutex);
                   // Without UIDs, which a response need not have.
                   if (*late) {
                     peer.send(data_pdu(
                         pdv((*late)->context, true, true,
                             command_set(bare_response(**late) + element(0x0800, little16(0x0101)) +
                                         element(0x0900, little16(0))))));
                   }
                   *late = asked;
                 }},
            3);
  GatewayParts parts(dicom_destination("pacs", pacs.port(), kImpatient) + route("\"pacs\""));
  const std::string id = parts.receive(small_instance("1.2.3"), {"pacs"});
  const auto dispatcher = dispatch_to_tricks(parts);
  EXPECT_TRUE(parts.wait_for(id, "pacs", DeliveryState::delivered));
  EXPECT_GE(pacs.right_answers(), 1);
  EXPECT_GT(parts.delivery(id, "pacs").attempts, 3);
}

// Hangs until it is let go.
struct Hang {
  std::string name;
  std::function<Part(const std::atomic<bool>& let_go)> part;
};

class Hung : public testing::TestWithParam<Hang> {};

// While one destination hangs in its first attempt, the other gets everything.
TEST_P(Hung, DelaysNoOther) {
  constexpr int kCount = 100;
  std::atomic<bool> let_go = false;
  ScriptedPacs hung;
  hung.play(GetParam().part(let_go), kAlways);
  ScriptedPacs good;
  GatewayParts parts(dicom_destination("hung", hung.port()) +
                     dicom_destination("good", good.port()) + route("\"hung\", \"good\""));
  const auto alone = parts.receive_many(kCount, {"good"});
  const auto both = parts.receive_many(kCount, {"hung", "good"});
  const auto begun = steady_clock::now();
  const auto dispatcher = dispatch_to_tricks(parts);
  EXPECT_TRUE(
      wait_until([&] { return parts.count_of("good", DeliveryState::delivered) == 2UL * kCount; }));
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun);
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  EXPECT_GE(hung.associations(), 1);
  for (const DeliveryState ended : {DeliveryState::delivered, DeliveryState::deferred}) {
    EXPECT_EQ(parts.count_of("hung", ended), 0U) << "it does not hang";
  }
  EXPECT_EQ(parts.spool().list()->size(), std::size_t{kCount}) << "until the last has it";
  let_go = true;
  EXPECT_TRUE(dispatcher->stop(milliseconds(20'000)));
}

void sit(const std::atomic<bool>& let_go) {
  while (!let_go) std::this_thread::sleep_for(milliseconds(5));
}

std::vector<Hang> hangs() {
  using LetGo = const std::atomic<bool>&;
  const auto before_reading = [](LetGo let_go) {
    return [&let_go](RawPeer&) {
      sit(let_go);
      return false;
    };
  };
  return {
      {"AcceptsTcpOnly", [=](LetGo let_go) { return Part{.connected = before_reading(let_go)}; }},
      {"AcceptsAndReadsNothing",
       [=](LetGo let_go) { return Part{.associated = before_reading(let_go)}; }},
      {"AnswersAByteNowAndThen",
       [](LetGo let_go) {
         return Part{.answer = [&let_go](RawPeer& peer, const Asked& asked) {
           for (const char byte : right_answer(asked).substr(0, 50)) {
             if (let_go || !peer.send(std::string(1, byte))) break;
             std::this_thread::sleep_for(milliseconds(100));
           }
           sit(let_go);
           peer.close();
         }};
       }},
      {"SaysNothing",
       [](LetGo let_go) {
         return Part{.answer = [&let_go](RawPeer& peer, const Asked&) {
           sit(let_go);
           peer.close();
         }};
       }},
  };
}

INSTANTIATE_TEST_SUITE_P(Ways, Hung, testing::ValuesIn(hangs()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace sluice::test
