#include "gateway/net/connect.h"

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A host that neither takes a connection nor refuses it: its queue is full, and Linux then
// drops what asks for another one.
class SilentHost {
 public:
  SilentHost() {
    EXPECT_EQ(::listen(listener_.descriptor(), 0), 0);
    // Some are completed, the last ones never.
    for (int i = 0; i < 4; ++i) {
      waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const SocketAddress to = address();
      static_cast<void>(::connect(waiting_.back().get(),
                                  reinterpret_cast<const sockaddr*>(&to.address), to.length));
    }
    pollfd last{waiting_.back().get(), POLLOUT, 0};
    EXPECT_EQ(::poll(&last, 1, 100), 0) << "it still takes connections";
  }

  [[nodiscard]] SocketAddress address() const { return address_of(listener_); }

  static SocketAddress address_of(const RawListener& listener) {
    SocketAddress address;
    address.length = sizeof(sockaddr_in);
    EXPECT_EQ(::getsockname(listener.descriptor(), reinterpret_cast<sockaddr*>(&address.address),
                            &address.length),
              0);
    return address;
  }

 private:
  RawListener listener_;
  std::vector<FileDescriptor> waiting_;
};

std::uint16_t port_of_peer(const FileDescriptor& socket) {
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  EXPECT_EQ(::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &length), 0);
  return ntohs(peer.sin_port);
}

TEST(Connect, AnAddressThatIsSilentLeavesTimeForTheNext) {
  const SilentHost silent;
  const RawListener listener;
  const std::vector<SocketAddress> addresses = {silent.address(), SilentHost::address_of(listener)};
  const auto begun = steady_clock::now();
  const auto connected = connect_to_first(addresses, begun + milliseconds(1'000));
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(port_of_peer(connected->socket), listener.port());
  EXPECT_EQ(connected->address, "127.0.0.1");
  EXPECT_GE(steady_clock::now() - begun, milliseconds(500));  // the share of the first
}

TEST(Connect, NoneTakesLongerThanTheDeadline) {
  const SilentHost first;
  const SilentHost second;
  const auto begun = steady_clock::now();
  const auto connected =
      connect_to_first(std::vector{first.address(), second.address()}, begun + milliseconds(400));
  const auto took = steady_clock::now() - begun;
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, ErrorCode::transient);
  EXPECT_EQ(connected.error().message,
            "127.0.0.1: Connection timed out, 127.0.0.1: Connection timed out");
  EXPECT_GE(took, milliseconds(400));
  EXPECT_LT(took, milliseconds(10'000));
}

TEST(Connect, ARefusalIsFollowedByTheNextAtOnce) {
  SocketAddress nobody;
  {
    const RawListener gone;
    nobody = SilentHost::address_of(gone);
  }
  const RawListener listener;
  const auto connected = connect_to_first(std::vector{nobody, SilentHost::address_of(listener)},
                                          steady_clock::now() + std::chrono::hours(1));
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(port_of_peer(connected->socket), listener.port());
}

}  // namespace
}  // namespace sluice::net
