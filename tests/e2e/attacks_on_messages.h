// What breaks the rules on an association: PDUs, PDVs, command sets (PS3.8 9.3.5, PS3.7 6.3).
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/attack.h"

namespace sluice::test {

inline std::vector<Attack> attacks_by_pdvs() {
  const std::string command = store_command(implicit_ct);
  const std::string data = small_data_set(kCtStorage, kAttacker);
  const Answer abort = aborted(2, 6);
  Answer success_and_abort = answered(0);
  success_and_abort.pdu = abort.pdu;
  const auto piece = [](int context, bool is_last, const std::string& part) {
    return data_pdu(pdv(context, false, is_last, part));
  };
  const auto command_piece = [](int context, bool is_last, const std::string& part) {
    return data_pdu(pdv(context, true, is_last, part));
  };
  const std::string echo = command_piece(verification, true, echo_request());
  return {
      {"CommandBetweenDataPdvs", bytes(command + piece(implicit_ct, false, data) + echo), abort},
      {"CommandBetweenDataPdvsOfOnePdu",
       bytes(command + data_pdu(pdv(implicit_ct, false, false, data) +
                                pdv(implicit_ct, true, true, echo_request()))),
       abort},
      {"SecondStoreBetweenDataPdvs", bytes(command + piece(implicit_ct, false, data) + command),
       abort},
      {"DataOnAnotherContext", bytes(command + piece(explicit_ct, true, data)), abort},
      {"DataOnTwoContexts",
       bytes(command + piece(implicit_ct, false, data.substr(0, 20)) +
             piece(explicit_ct, true, data.substr(20))),
       abort},
      {"CommandOnAnUnknownContext", bytes(command_piece(99, true, echo_request())), abort},
      {"CommandOnAnEvenContext", bytes(command_piece(2, true, echo_request())), abort},
      {"DataOnAnUnknownContext", bytes(command + piece(99, false, data)), abort},
      {"CommandOnTwoContexts",
       bytes(
           data_pdu(pdv(verification, true, false, "1234") + pdv(implicit_ct, true, true, "1234"))),
       abort},
      {"DataWithoutCommand", bytes(piece(implicit_ct, true, data)), abort},
      {"TrailingPdv",
       bytes(command + piece(implicit_ct, true, data) + piece(implicit_ct, true, data)),
       success_and_abort},
      {"PdvLengthsDoNotAddUp", bytes(data_pdu(big32(100) + "\3\3xx")), abort},
      {"PdvOf4Gigabytes", bytes(data_pdu(big32(0xFFFFFFFFU) + "\3\3xx")), abort},
      {"PdvLengthOfOne", bytes(data_pdu(big32(1) + "\3")), abort},
      {"PdvLengthOfZero", bytes(data_pdu(big32(0))), abort},
      {"RestBehindThePdv", bytes(data_pdu(pdv(implicit_ct, true, false, "1234") + "xyz")), abort},
      {"PduWithoutPdv", bytes(data_pdu("")), abort},
      {"PduLongerThanAgreed", bytes(std::string("\4\0\0\2\0\1", 6)), abort},
      {"PduOf4Gigabytes", bytes(std::string("\4\0\xFF\xFF\xFF\xFF", 6)), abort},
      {"UnknownPduType", bytes(pdu(0x77, "what")), abort},
      {"SecondRequest", bytes(attacked_association().bytes()), aborted(2, 2)},
      {"AcceptFromTheRequestor", bytes(associate_accept({{1, kImplicit}})), aborted(2, 2)},
      {"ReleaseInsideADataSet",
       bytes(command + piece(implicit_ct, false, data) + release_request()),
       {.pdu = release_response()}},
  };
}

inline std::vector<Attack> attacks_by_commands() {
  const Answer abort = aborted(2, 6);
  const auto command = [](const std::string& set) {
    return bytes(data_pdu(pdv(implicit_ct, true, true, set)));
  };
  const std::string field = element(0x0100, little16(1));
  const std::string no_data = element(0x0800, little16(0x0101));
  return {
      {"BrokenCommandSet", command("1234"), abort},
      {"EmptyCommandSet", command(""), abort},
      {"CommandElementOf4Gigabytes", command(little32(0) + little32(0xFFFFFFFFU)), abort},
      {"CommandElementOfAnotherGroup",
       command(store_request(kCtStorage, kAttacker) + little16(8) + little32(0x18)), abort},
      {"CommandElementTwice", command(command_set(field + field + no_data)), abort},
      {"ResponseUnasked", command(store_response(kCtStorage, kAttacker, 1)), abort},
      {"NoMessageId", command(command_set(field + no_data)), abort},
      {"NoCommandField", command(command_set(element(0x0110, little16(1)) + no_data)), abort},
  };
}

inline std::vector<Attack> attacks_without_end() {
  const std::string command = store_command(implicit_ct);
  const std::string data = small_data_set(kCtStorage, kAttacker);
  const auto repeated = [](const std::string& begin, const std::string& again, int times) {
    return [=](const RawPeer& peer) {
      if (!peer.send(begin)) return;
      for (int i = 0; i < times && peer.send(again); ++i) continue;
    };
  };
  return {
      {"EndlessCommandSet",
       repeated("", data_pdu(pdv(implicit_ct, true, false, std::string(4096, '\0'))), 5),
       aborted(2, 6)},
      {"EndlessEmptyCommandPdvs", repeated("", data_pdu(pdv(implicit_ct, true, false, "")), 65),
       aborted(2, 6)},
      {"EndlessEmptyDataPdvs", repeated(command, data_pdu(pdv(implicit_ct, false, false, "")), 65),
       aborted(2, 6)},
      {"EndlessInstance",
       repeated(command + data_pdu(pdv(implicit_ct, false, false, data)),
                data_pdu(pdv(implicit_ct, false, false, std::string(100'000, '\0'))),
                static_cast<int>(2 * kMaxInstanceSize / 100'000) + 1),
       aborted(2, 6)},
      {"EndlessDataSetOfAnUnknownCommand",
       repeated(
           data_pdu(pdv(implicit_ct, true, true,
                        command_set(element(0x0100, little16(0x0020)) +
                                    element(0x0110, little16(1)) + element(0x0800, little16(1))))),
           data_pdu(pdv(implicit_ct, false, false, std::string(100'000, '\0'))),
           static_cast<int>(2 * kMaxInstanceSize / 100'000) + 1),
       aborted(2, 6)},
      // Its answers find no way, and are given up.
      {"ASenderThatReadsNothing",
       repeated("", data_pdu(pdv(verification, true, true, echo_request())), 100'000'000),
       {.is_reset = true},
       true,
       kStallTimeout},
      {"CloseInsideADataSet", bytes(command + data_pdu(pdv(implicit_ct, false, false, data))), {}},
      {"StallInsideADataSet", bytes(command + data_pdu(pdv(implicit_ct, false, false, data))),
       aborted(0, 0), true, kStallTimeout},
      {"StallInsideAPdu", bytes(command.substr(0, 20)), aborted(0, 0), true, kStallTimeout},
      {"AMessageThatDribbles", dribbled(command, std::string(data_pdus(implicit_ct, data))),
       aborted(0, 0), true, kMessageTimeout},
  };
}

inline std::vector<Attack> attacks_on_messages() {
  std::vector<Attack> attacks;
  for (auto* more : {&attacks_by_pdvs, &attacks_by_commands, &attacks_without_end}) {
    std::vector<Attack> made = more();
    std::move(made.begin(), made.end(), std::back_inserter(attacks));
  }
  return attacks;
}

}  // namespace sluice::test
