#include "gateway/net/pdv_splitter.h"

#include <array>
#include <string>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;

// What dcmnet would read, in pieces of this many bytes.
std::string split(const std::string& bytes, std::size_t piece = 7, std::uint32_t max_pdu = 4096) {
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) return "no socket";
  RawPeer peer(sockets[1]);
  Connection connection(FileDescriptor{sockets[0]}, "peer", Timeouts{});
  peer.send(bytes);
  peer.close();
  PdvSplitter splitter(connection, max_pdu);
  std::string result;
  std::string buffer(piece, '\0');
  for (;;) {
    const auto length = splitter.read(std::as_writable_bytes(std::span(buffer)));
    if (length <= 0) return result;
    result += buffer.substr(0, static_cast<std::size_t>(length));
  }
}

TEST(PdvSplitter, GivesEachPdvAPduOfItsOwn) {
  const std::string first = pdv(1, true, true, "command");
  const std::string second = pdv(1, false, false, "");
  const std::string third = pdv(3, false, true, std::string(300, 'x'));
  std::string together = data_pdu(first + second + third);
  together += data_pdu(third);
  for (const std::size_t piece : {1U, 6U, 7U, 1000U}) {
    std::string expected;
    for (const std::string& one : {first, second, third, third}) expected += data_pdu(one);
    EXPECT_EQ(split(together, piece), expected);
  }
}

TEST(PdvSplitter, LeavesOtherPdusAsTheyAre) {
  const std::string bytes =
      RequestParts().bytes() + release_request() + abort_pdu(2, 1) + pdu(4, "");
  EXPECT_EQ(split(bytes), bytes);
}

TEST(PdvSplitter, PassesOnWhatDoesNotAddUp) {
  const std::string good = pdv(1, false, false, "abc");
  const std::string long_pdv = big32(100) + "\1\2xx";
  const std::string short_pdv = big32(1) + "\1xx";
  EXPECT_EQ(split(data_pdu(good + long_pdv)), data_pdu(good) + data_pdu(long_pdv));
  EXPECT_EQ(split(data_pdu(good + short_pdv + good)), data_pdu(good) + data_pdu(short_pdv + good));
  EXPECT_EQ(split(data_pdu(good + "xyz")), data_pdu(good) + data_pdu("xyz"));
  EXPECT_EQ(split(data_pdu(big32(0xFFFFFFFFU) + "xx")), data_pdu(big32(0xFFFFFFFFU) + "xx"));
}

TEST(PdvSplitter, LeavesAPduThatIsTooLong) {
  const std::string bytes = data_pdu(pdv(1, false, false, "abc") + pdv(1, false, true, "abc"));
  EXPECT_EQ(split(bytes, 7, 17), bytes);
  EXPECT_NE(split(bytes, 7, 18), bytes);
}

}  // namespace
}  // namespace sluice::net
