// A connection to a peer that has said all it will say: what arrives, and in which
// pieces, is known before the first read.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include <sys/socket.h>

#include "gateway/net/connection.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {

class SilentPeer {
 public:
  // Each read of the connection gives one piece; behind the last one it is at its end.
  // Pieces are not empty and no longer than 16 KiB, and at most some hundred.
  SilentPeer(std::vector<std::byte> received, const std::vector<Bytes>& pieces) {
    std::array<int, 2> sockets{};
    const int made = ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data());
    require(made == 0, "a socket pair can be had");
    own_ = FileDescriptor(sockets[1]);
    connection_ = std::make_shared<net::Connection>(FileDescriptor(sockets[0]), "peer",
                                                    net::Timeouts{}, std::move(received));
    for (const Bytes piece : pieces) {
      const auto sent = ::send(own_.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      require(sent == static_cast<ssize_t>(piece.size()), "the socket takes every piece");
    }
    ::shutdown(own_.get(), SHUT_WR);
  }

  [[nodiscard]] const std::shared_ptr<net::Connection>& connection() const { return connection_; }

 private:
  FileDescriptor own_;
  std::shared_ptr<net::Connection> connection_;
};

}  // namespace sluice::fuzz
