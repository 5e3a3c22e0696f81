#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/net/requestor.h"
#include "tests/net/script.h"
#include "tests/support/raw_peer.h"
#include "tests/support/wrong_answers.h"

namespace sluice::net {
namespace {

using namespace sluice::test;

class BrokenPacs : public testing::TestWithParam<WrongAnswer> {};

TEST_P(BrokenPacs, IsATransientErrorAndEndsTheAssociation) {
  Script peer([](RawPeer& raw) {
    accept_all(raw);
    const std::size_t id = message_id_of(receive_message(raw).front());
    GetParam().play(raw, {1, id, kCtStorage, kInstance});
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

INSTANTIATE_TEST_SUITE_P(Table, BrokenPacs, testing::ValuesIn(wrong_answers()),
                         [](const auto& test) { return test.param.name; });

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
        Refusal{"Release", release_request(), ErrorCode::transient, "no association"},
        Refusal{"AcceptOfNothing", associate_accept({}), ErrorCode::transient, "no association"},
        Refusal{"Unknown", pdu(0x55, "?"), ErrorCode::transient, "no association"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice::net
