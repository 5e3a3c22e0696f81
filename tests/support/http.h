// What a client of the metrics endpoint says and gets, as bytes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/support/raw_peer.h"

namespace sluice::test {

struct HttpAnswer {
  std::string status = {};  // "200"; "" when there was no answer
  std::string head = {};    // with its last empty line
  std::string body = {};
  PeerEnd end = PeerEnd::none;  // how the connection ended behind it
};

// All that comes until the other side closes.
inline HttpAnswer http_answer(const RawPeer& peer,
                              std::chrono::milliseconds deadline = std::chrono::seconds(30)) {
  constexpr std::size_t kMost = std::size_t{16} << 20U;
  const std::string all = peer.receive(kMost, deadline);
  HttpAnswer answer;
  answer.end = peer.wait_for_end();
  const std::size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return answer;
  answer.status = all.substr(9, 3);
  answer.head = all.substr(0, end + 4);
  answer.body = all.substr(end + 4);
  return answer;
}

// Says these bytes and reads what comes.
inline HttpAnswer http_say(std::uint16_t port, const std::string& bytes) {
  const RawPeer peer = RawPeer::connect(port);
  peer.send(bytes);
  return http_answer(peer);
}

inline HttpAnswer http_get(std::uint16_t port, const std::string& path) {
  return http_say(port, "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n");
}

}  // namespace sluice::test
