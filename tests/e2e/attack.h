// What a hostile or broken sender does, as bytes, and what it gets for it. An attack
// knows nothing of what carries its bytes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/raw_peer.h"

namespace sluice::test {

// AddressSanitizer and ThreadSanitizer take their time, and memory of their own.
#if defined(SLUICE_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// Within which the answer to broken bytes is promised.
inline constexpr std::chrono::milliseconds kAtOnce{kSanitized ? 10'000 : 1'000};

// The gateway under attack has these, so that no test waits for long.
inline constexpr const char* kHurriedListener =
    "request_timeout = \"1s\"\nstall_timeout = \"1s\"\nmessage_timeout = \"2s\"\n"
    "idle_timeout = \"60s\"\n";
inline constexpr std::chrono::milliseconds kRequestTimeout{1'000};
inline constexpr std::chrono::milliseconds kStallTimeout{1'000};
inline constexpr std::chrono::milliseconds kMessageTimeout{2'000};
inline constexpr std::size_t kMaxInstanceSize = std::size_t{8} << 20U;

struct Answer {
  bool has_status = false;  // a C-STORE-RSP
  std::size_t status = 0;
  // Then these bytes and the end; "": the association goes on, or it is for the attacker
  // to end it.
  std::string pdu = {};
  bool is_reset = false;  // the end is a reset, with none of these bytes
};

// How many rightly go on their way.
inline std::size_t instances_of(const Answer& answer) {
  return answer.has_status && answer.status == 0 ? 1 : 0;
}

struct Attack {
  std::string name;
  std::function<void(const RawPeer&)> play;
  Answer answer;
  bool is_associated = true;           // else the bytes are the connection's first
  std::chrono::milliseconds after{0};  // a time-out that must pass first
};

inline Answer aborted(int source, int reason) {
  return {.pdu = abort_pdu(source, reason)};
}
inline Answer rejected(int result, int source, int reason) {
  return {.pdu = reject_pdu(result, source, reason)};
}
inline Answer answered(std::size_t status) {
  return {.has_status = true, .status = status};
}

// The contexts of an association that is attacked.
enum Context : int { verification = 1, implicit_ct = 3, explicit_ct = 5, deflated_ct = 7 };

inline const std::string kDeflated = "1.2.840.10008.1.2.1.99";

inline RequestParts attacked_association() {
  RequestParts parts;
  parts.contexts = context_item(verification, kVerification, {kImplicit}) +
                   context_item(implicit_ct, kCtStorage, {kImplicit}) +
                   context_item(explicit_ct, kCtStorage, {kExplicit}) +
                   context_item(deflated_ct, kCtStorage, {kDeflated});
  return parts;
}

inline const std::string kAttacker = "1.2.3.666.1";  // its SOP Instance UID

inline std::string store_command(int context, const std::string& sop_instance = kAttacker,
                                 const std::string& sop_class = kCtStorage) {
  return data_pdu(pdv(context, true, true, store_request(sop_class, sop_instance)));
}
// A data set in as many PDUs as it takes.
inline std::string data_pdus(int context, const std::string& data_set) {
  constexpr std::size_t kPiece = 100'000;
  std::string pdus;
  for (std::size_t at = 0; at == 0 || at < data_set.size(); at += kPiece) {
    const bool is_last = at + kPiece >= data_set.size();
    pdus += data_pdu(pdv(context, false, is_last, data_set.substr(at, kPiece)));
  }
  return pdus;
}
inline std::string store_message(int context, const std::string& data_set,
                                 const std::string& sop_instance = kAttacker,
                                 const std::string& sop_class = kCtStorage) {
  return store_command(context, sop_instance, sop_class) + data_pdus(context, data_set);
}

inline std::function<void(const RawPeer&)> bytes(std::string sent) {
  return [sent = std::move(sent)](const RawPeer& peer) { peer.send(sent); };
}

// A byte every now and then, until the other side has enough of it or all is sent.
inline std::function<void(const RawPeer&)> dribbled(std::string begin, std::string rest) {
  return [begin = std::move(begin), rest = std::move(rest)](const RawPeer& peer) {
    if (!peer.send(begin)) return;
    for (const char byte : rest) {
      if (!peer.send(std::string(1, byte)) || peer.has_answer(std::chrono::milliseconds(50))) {
        return;
      }
    }
  };
}

}  // namespace sluice::test
