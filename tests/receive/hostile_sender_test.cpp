#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/receive/running.h"
#include "tests/support/raw_peer.h"

namespace sluice {
namespace {

using namespace sluice::test;

struct Hostile {
  const char* name;
  std::function<void(const RawPeer&)> play;  // on an association with contexts 1, 3 and 5
  std::string answer;
};

std::vector<Hostile> hostile_senders() {
  const auto bytes = [](const std::string& sent) {
    return [sent](const RawPeer& peer) { peer.send(sent); };
  };
  const std::string request = data_pdu(pdv(3, true, true, store_request(kCtStorage, kInstance)));
  const std::string abort = abort_pdu(2, 6);
  return {
      {"CommandBetweenDataPdvs",
       bytes(request + data_pdu(pdv(3, false, false, "12345678")) +
             data_pdu(pdv(3, true, true, echo_request()))),
       abort},
      {"DataOnAnotherContext", bytes(request + data_pdu(pdv(5, false, true, "12345678"))), abort},
      {"CommandOnAnUnknownContext", bytes(data_pdu(pdv(99, true, true, echo_request()))), abort},
      {"DataOnAnUnknownContext", bytes(request + data_pdu(pdv(99, false, false, "1234"))), abort},
      {"CommandOnTwoContexts",
       bytes(data_pdu(pdv(1, true, false, "1234") + pdv(3, true, true, "1234"))), abort},
      {"DataWithoutCommand", bytes(data_pdu(pdv(3, false, true, "1234"))), abort},
      {"BrokenCommandSet", bytes(data_pdu(pdv(3, true, true, "1234"))), abort},
      {"ResponseUnasked",
       bytes(data_pdu(pdv(3, true, true, store_response(kCtStorage, kInstance, 1)))), abort},
      {"NoMessageId",
       bytes(data_pdu(
           pdv(1, true, true,
               command_set(element(0x0100, little16(0x30)) + element(0x0800, little16(0x0101)))))),
       abort},
      {"EndlessCommandSet",
       [](const RawPeer& peer) {
         for (int i = 0; i < 5; ++i)
           peer.send(data_pdu(pdv(3, true, false, std::string(4096, '\0'))));
       },
       abort},
      {"EndlessEmptyCommandPdvs",
       [](const RawPeer& peer) {
         for (int i = 0; i < 65; ++i) peer.send(data_pdu(pdv(3, true, false, "")));
       },
       abort},
      {"EndlessEmptyDataPdvs",
       [request](const RawPeer& peer) {
         peer.send(request);
         for (int i = 0; i < 65; ++i) peer.send(data_pdu(pdv(3, false, false, "")));
       },
       abort},
      {"PdvLengthsDoNotAddUp", bytes(data_pdu(big32(100) + "\3\3xx")), abort},
      {"PdvLengthOfOne", bytes(data_pdu(big32(1) + "\3")), abort},
      {"PduWithoutPdv", bytes(data_pdu("")), abort},
      {"PduLongerThanAgreed", bytes(std::string("\4\0\0\2\0\1", 6)), abort},
      {"UnknownPduType", bytes(pdu(0x77, "what")), abort},
      {"SecondRequest", bytes(RequestParts().bytes()), abort_pdu(2, 2)},
      {"CloseInsideTheDataSet",
       [request](const RawPeer& peer) {
         peer.send(request + data_pdu(pdv(3, false, false, "1234")));
       },
       ""},
  };
}

class HostileSender : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSender, IsAbortedAndLeavesNothing) {
  const Running running;
  {
    const RawPeer peer = running.associate();
    GetParam().play(peer);
    if (!GetParam().answer.empty()) {
      EXPECT_EQ(peer.receive(10), GetParam().answer);
    }
  }
  running.expect_nothing();
  const RawPeer next = running.associate();
  next.send(data_pdu(pdv(1, true, true, echo_request())));
  EXPECT_EQ(response(next).number(net::command::kStatus), 0);
}

INSTANTIATE_TEST_SUITE_P(Table, HostileSender, testing::ValuesIn(hostile_senders()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice
