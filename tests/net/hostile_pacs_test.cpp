#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/net/requestor.h"
#include "tests/net/script.h"
#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;

// What a broken PACS says where a response is due.
struct Answer {
  const char* name;
  std::function<void(RawPeer&)> play;  // after the request was received
  std::string message;
};

std::vector<Answer> wrong_answers() {
  const auto command = [](const std::string& set, int context = 1) {
    return [set, context](RawPeer& raw) { raw.send(data_pdu(pdv(context, true, true, set))); };
  };
  const auto bytes = [](const std::string& sent) {
    return [sent](RawPeer& raw) { raw.send(sent); };
  };
  std::string with_data = store_response(kCtStorage, kInstance, 1);
  with_data = command_set(element(0x0100, little16(0x8001)) + element(0x0120, little16(1)) +
                          element(0x0800, little16(1)) + element(0x0900, little16(0)));
  return {
      {"WrongMessageId", command(store_response(kCtStorage, kInstance, 2)), "another message id"},
      {"WrongContext", command(store_response(kCtStorage, kInstance, 1), 3),
       "another presentation context"},
      {"UnknownContext", command(store_response(kCtStorage, kInstance, 1), 99), "not accepted"},
      {"WrongClass", command(store_response(kMrStorage, kInstance, 1)), "another SOP class"},
      {"WrongInstance", command(store_response(kCtStorage, "1.2.3", 1)), "another SOP class"},
      {"RequestInstead", command(store_request(kCtStorage, kInstance, 1)), "another message"},
      {"EchoResponse",
       command(command_set(element(0x0100, little16(0x8030)) + element(0x0120, little16(1)) +
                           element(0x0800, little16(0x0101)) + element(0x0900, little16(0)))),
       "another message"},
      {"NoCommandField", command(command_set(element(0x0900, little16(0)))), "command field"},
      {"NoStatus",
       command(command_set(element(0x0100, little16(0x8001)) + element(0x0120, little16(1)) +
                           element(0x0800, little16(0x0101)))),
       "without a status"},
      {"ResponseWithDataSet", command(with_data), "data set"},
      {"DataInstead", bytes(data_pdu(pdv(1, false, true, "data"))), "data PDV"},
      {"BrokenCommandSet", command("garbage"), "command set is broken"},
      {"EndlessCommandSet",
       [](RawPeer& raw) {
         while (raw.send(data_pdu(pdv(1, true, false, std::string(4000, '\0'))))) {
         }
       },
       "16 KiB"},
      {"EndlessEmptyPdvs",
       [](RawPeer& raw) {
         while (raw.send(data_pdu(pdv(1, true, false, "")))) {
         }
       },
       "empty PDVs"},
      {"PdvLengths", bytes(data_pdu(big32(99) + "\1\3xx")), ""},
      {"PduTooLong", bytes(std::string("\4\0\x7F\0\0\0", 6)), ""},
      {"UnknownPdu", bytes(pdu(0x66, "what")), ""},
      {"AssociateAgain", bytes(associate_accept({{1, kImplicit}})), "unexpected PDU"},
      {"Abort", bytes(abort_pdu(0, 0)), "aborted"},
      {"Release", bytes(release_request()), "released"},
      {"Close", [](RawPeer& raw) { raw.close(); }, "closed"},
      {"CloseInsideAPdu",
       [](RawPeer& raw) {
         raw.send(data_pdu(pdv(1, true, true, "half")).substr(0, 14));
         raw.close();
       },
       "closed"},
  };
}

class WrongAnswer : public testing::TestWithParam<Answer> {};

TEST_P(WrongAnswer, IsATransientErrorAndEndsTheAssociation) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    receive_message(raw);
    GetParam().play(raw);
    while (!raw.receive_pdu().empty()) {
    }
  });
  auto requestor = Requestor::open(options(peer.port()));
  ASSERT_TRUE(requestor) << requestor.error().message;
  StringSource source("data");
  const auto response = requestor->store(1, kCtStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::transient);
  EXPECT_NE(response.error().message.find(GetParam().message), std::string::npos)
      << response.error().message;
  EXPECT_FALSE(requestor->is_open());
  StringSource again("data");
  EXPECT_FALSE(requestor->store(1, kCtStorage, kInstance, again));
  EXPECT_FALSE(requestor->echo(5));
  requestor->release();
}

INSTANTIATE_TEST_SUITE_P(Table, WrongAnswer, testing::ValuesIn(wrong_answers()),
                         [](const auto& test) { return std::string(test.param.name); });

struct Refusal {
  const char* name;
  std::string answer;
  ErrorCode code;
  std::string message;
};

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, TellsTheStandardsReason) {
  Script peer([](RawPeer& raw) {
    static_cast<void>(raw.receive_pdu());
    raw.send(GetParam().answer);
    static_cast<void>(raw.receive(100));
  });
  const auto requestor = Requestor::open(options(peer.port()));
  ASSERT_FALSE(requestor);
  EXPECT_EQ(requestor.error().code, GetParam().code);
  EXPECT_NE(requestor.error().message.find(GetParam().message), std::string::npos)
      << requestor.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Refused,
    testing::Values(
        Refusal{"Called", reject_pdu(1, 1, 7), ErrorCode::configuration, "called AE title"},
        Refusal{"Calling", reject_pdu(1, 1, 3), ErrorCode::configuration, "calling AE title"},
        Refusal{"Protocol", reject_pdu(1, 2, 2), ErrorCode::configuration, "protocol version"},
        Refusal{"NoReason", reject_pdu(1, 1, 1), ErrorCode::configuration, "no reason"},
        Refusal{"Congestion", reject_pdu(2, 3, 1), ErrorCode::transient, "temporary congestion"},
        Refusal{"Limit", reject_pdu(2, 3, 2), ErrorCode::transient, "local limit"},
        Refusal{"Abort", abort_pdu(2, 0), ErrorCode::transient, "aborted"},
        Refusal{"Garbage", pdu(2, std::string(70, 'x')), ErrorCode::transient, "no association"},
        Refusal{"Huge", std::string("\2\0\x7F\xFF\xFF\xFF", 6), ErrorCode::transient, "too large"},
        Refusal{"TinyPdu", associate_accept({{1, kImplicit}}, 13), ErrorCode::transient,
                "holds no message"},
        Refusal{"Unknown", pdu(0x55, "?"), ErrorCode::transient, "no association"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice::net
