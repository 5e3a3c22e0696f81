// What the tests of the requestor share: data sources, and a PACS that plays a script.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/net/requestor.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {

using namespace sluice::net;

inline const std::string kInstance = "1.2.3.4.5";

class StringSource : public DataSource {
 public:
  explicit StringSource(std::string bytes, std::size_t piece = 1000)
      : bytes_(std::move(bytes)), piece_(piece) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    const std::size_t length = std::min({buffer.size(), piece_, bytes_.size() - place_});
    std::copy_n(std::as_bytes(std::span(bytes_)).subspan(place_).begin(), length, buffer.begin());
    place_ += length;
    return length;
  }

 private:
  std::string bytes_;
  std::size_t piece_;
  std::size_t place_ = 0;
};

class FailingSource : public DataSource {
 public:
  Result<std::size_t> read(std::span<std::byte> /*buffer*/) override {
    return failure(ErrorCode::corrupt, "the file changed");
  }
};

inline RequestorOptions options(std::uint16_t port) {
  RequestorOptions options;
  options.host = "127.0.0.1";
  options.port = port;
  options.calling_ae_title = "SLUICE";
  options.called_ae_title = "PACS";
  options.response_timeout = std::chrono::milliseconds(20'000);
  options.contexts = {{kCtStorage, {kExplicit, kImplicit}},
                      {kMrStorage, {kImplicit}},
                      {kVerification, {kImplicit}}};
  return options;
}

// A peer that plays a script in a thread of its own.
class Script {
 public:
  explicit Script(std::function<void(RawPeer&)> play)
      : thread_([this, play = std::move(play)] {
          RawPeer peer = listener_.accept();
          play(peer);
        }) {}
  ~Script() { thread_.join(); }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  RawListener listener_;
  std::thread thread_;
};

// Reads PDUs until that of the last data PDV; all of them.
inline std::vector<std::string> receive_message(const RawPeer& peer) {
  std::vector<std::string> pdus;
  for (;;) {
    pdus.push_back(peer.receive_pdu());
    const std::string& last = pdus.back();
    if (last.size() < 12 || (last[11] & 3) == 2) return pdus;
  }
}

inline const std::vector<std::pair<int, std::string>> kAll = {
    {1, kImplicit}, {3, kImplicit}, {5, kImplicit}};

inline void accept_all(const RawPeer& peer, std::size_t max_pdu = 16384) {
  static_cast<void>(peer.receive_pdu());
  peer.send(associate_accept(kAll, max_pdu));
}

}  // namespace sluice::test
