// What a broken PACS says where a C-STORE-RSP is due (PS3.7 9.1.1.2).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/raw_peer.h"

namespace sluice::test {

// The C-STORE that was received whole.
struct Asked {
  int context = 1;
  std::size_t message_id = 0;
  std::string sop_class_uid;
  std::string sop_instance_uid;
};

struct WrongAnswer {
  std::string name;
  std::function<void(RawPeer&, const Asked&)> play;
  std::string message;  // a part of what is said about it
};

inline std::string right_answer(const Asked& asked) {
  return data_pdu(
      pdv(asked.context, true, true,
          store_response(asked.sop_class_uid, asked.sop_instance_uid, asked.message_id)));
}

// All but the UIDs, which a response need not have.
inline std::string bare_response(const Asked& asked, std::size_t field = 0x8001) {
  return element(0x0100, little16(field)) + element(0x0120, little16(asked.message_id));
}

// The right one but for something about the request.
inline WrongAnswer changed(const std::string& name, const std::function<void(Asked&)>& change,
                           const std::string& message) {
  return {name,
          [change](RawPeer& raw, const Asked& asked) {
            Asked other = asked;
            change(other);
            raw.send(right_answer(other));
          },
          message};
}

// Another command set.
inline WrongAnswer command(const std::string& name,
                           const std::function<std::string(const Asked&)>& set,
                           const std::string& message) {
  return {name,
          [set](RawPeer& raw, const Asked& asked) {
            raw.send(data_pdu(pdv(asked.context, true, true, set(asked))));
          },
          message};
}

inline std::vector<WrongAnswer> wrong_responses() {
  const std::string no_data = element(0x0800, little16(0x0101));
  const std::string success = element(0x0900, little16(0));
  return {
      changed(
          "WrongMessageId", [](Asked& asked) { ++asked.message_id; }, "another message id"),
      changed(
          "WrongContext", [](Asked& asked) { asked.context += 2; }, "context"),
      changed(
          "UnknownContext", [](Asked& asked) { asked.context = 99; }, "not accepted"),
      changed(
          "WrongClass", [](Asked& asked) { asked.sop_class_uid = kMrStorage; },
          "another SOP class"),
      changed(
          "WrongInstance", [](Asked& asked) { asked.sop_instance_uid = "1.9.9"; },
          "another SOP class"),
      command(
          "RequestInstead",
          [](const Asked& asked) {
            return store_request(asked.sop_class_uid, asked.sop_instance_uid, asked.message_id);
          },
          "another message"),
      command(
          "EchoResponse",
          [=](const Asked& asked) {
            return command_set(bare_response(asked, 0x8030) + no_data + success);
          },
          "another message"),
      command(
          "NoCommandField",
          [=](const Asked& asked) {
            return command_set(element(0x0120, little16(asked.message_id)) + success);
          },
          "command field"),
      command(
          "NoMessageId",
          [=](const Asked&) {
            return command_set(element(0x0100, little16(0x8001)) + no_data + success);
          },
          "another message id"),
      command(
          "NoStatus",
          [=](const Asked& asked) { return command_set(bare_response(asked) + no_data); },
          "without a status"),
      command(
          "ResponseWithDataSet",
          [=](const Asked& asked) {
            return command_set(bare_response(asked) + element(0x0800, little16(1)) + success);
          },
          "data set"),
      command(
          "BrokenCommandSet", [](const Asked&) { return "garbage"; }, "command set is broken"),
  };
}

inline std::vector<WrongAnswer> wrong_pdus() {
  const auto bytes = [](const std::function<std::string(const Asked&)>& sent) {
    return [sent](RawPeer& raw, const Asked& asked) { raw.send(sent(asked)); };
  };
  const auto fixed = [](const std::string& sent) {
    return [sent](RawPeer& raw, const Asked&) { raw.send(sent); };
  };
  const auto endless = [](std::size_t size) {
    return [size](RawPeer& raw, const Asked& asked) {
      while (raw.send(data_pdu(pdv(asked.context, true, false, std::string(size, '\0'))))) continue;
    };
  };
  return {
      {"DataInstead",
       bytes([](const Asked& asked) { return data_pdu(pdv(asked.context, false, true, "data")); }),
       "data PDV"},
      {"EndlessCommandSet", endless(4000), "16 KiB"},
      {"EndlessEmptyPdvs", endless(0), "empty PDVs"},
      {"PdvLengths", fixed(data_pdu(big32(99) + "\1\3xx")), ""},
      {"PduTooLong", fixed(std::string("\4\0\x7F\0\0\0", 6)), ""},
      {"UnknownPdu", fixed(pdu(0x66, "what")), ""},
      {"AssociateAgain", fixed(associate_accept({{1, kImplicit}})), "unexpected PDU"},
      {"Abort", fixed(abort_pdu(0, 0)), "aborted"},
      {"Release", fixed(release_request()), "released"},
      {"Close", [](RawPeer& raw, const Asked&) { raw.close(); }, "closed"},
      {"Reset", [](RawPeer& raw, const Asked&) { raw.reset(); }, "connection"},
      {"CloseInsideAPdu",
       [](RawPeer& raw, const Asked& asked) {
         raw.send(right_answer(asked).substr(0, 14));
         raw.close();
       },
       "closed"},
  };
}

inline std::vector<WrongAnswer> wrong_answers() {
  std::vector<WrongAnswer> all = wrong_responses();
  for (const WrongAnswer& each : wrong_pdus()) all.push_back(each);
  return all;
}

}  // namespace sluice::test
