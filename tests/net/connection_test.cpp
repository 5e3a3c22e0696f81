#include "gateway/net/connection.h"

#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr Timeouts kLong{milliseconds(60'000), milliseconds(60'000), milliseconds(60'000)};

struct Pair {
  explicit Pair(Timeouts timeouts = kLong, const StopSignal* stop = nullptr,
                std::vector<std::byte> received = {})
      : Pair(open(), timeouts, stop, std::move(received)) {}

  Pair(std::array<int, 2> sockets, Timeouts timeouts, const StopSignal* stop,
       std::vector<std::byte> received)
      : peer(sockets[1]),
        connection(FileDescriptor(sockets[0]), "peer", timeouts, std::move(received), stop) {}

  // Sequenced packets keep the boundaries of writes.
  static std::array<int, 2> open(int type = SOCK_STREAM) {
    std::array<int, 2> sockets{};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
      throw std::runtime_error("no socket pair");
    }
    return sockets;
  }

  RawPeer peer;
  Connection connection;
};

std::ptrdiff_t write(Connection& connection, const std::string& bytes) {
  return connection.write(std::as_bytes(std::span(bytes)));
}

std::string read(Connection& connection, std::size_t length) {
  std::string bytes(length, '\0');
  const auto got = connection.read(std::as_writable_bytes(std::span(bytes)));
  return got < 0 ? "error" : bytes.substr(0, static_cast<std::size_t>(got));
}

TEST(Connection, SendsAPduThatComesInPiecesInOneWrite) {
  Pair pair(Pair::open(SOCK_SEQPACKET), kLong, nullptr, {});
  const std::string whole = data_pdu(pdv(1, false, true, "0123456789"));
  EXPECT_EQ(write(pair.connection, whole.substr(0, 3)), 3);
  EXPECT_EQ(write(pair.connection, whole.substr(3, 9)), 9);
  EXPECT_EQ(pair.connection.writes(), 0U);
  EXPECT_EQ(write(pair.connection, whole.substr(12)), 10);
  EXPECT_EQ(pair.connection.writes(), 1U);
  std::string packet(100, '\0');
  EXPECT_EQ(pair.peer.receive(whole.size()), whole);
}

TEST(Connection, SendsAWholePduAtOnce) {
  Pair pair;
  const std::string empty = data_pdu(pdv(1, false, true, ""));
  EXPECT_EQ(write(pair.connection, empty), 12);
  EXPECT_EQ(write(pair.connection, ""), 0);  // dcmnet's write of no data
  EXPECT_EQ(pair.connection.writes(), 1U);
  EXPECT_EQ(pair.connection.bytes_sent(), 12U);
  EXPECT_EQ(pair.peer.receive(12), empty);
}

TEST(Connection, SendsMoreThanTheSocketHolds) {
  Pair pair;
  const std::string large = data_pdu(pdv(1, false, true, std::string(8 << 20, 'x')));
  std::string received;
  std::thread reader([&] { received = pair.peer.receive(large.size()); });
  EXPECT_EQ(write(pair.connection, large), static_cast<std::ptrdiff_t>(large.size()));
  reader.join();
  EXPECT_EQ(received, large);
}

TEST(Connection, GivesWhatWasReceivedBeforeFirst) {
  const std::string before = "0123456789";
  const auto bytes = std::as_bytes(std::span(before));
  Pair pair(kLong, nullptr, {bytes.begin(), bytes.end()});
  pair.peer.send("abc");
  EXPECT_TRUE(pair.connection.wait_readable(milliseconds(0)));
  EXPECT_EQ(read(pair.connection, 6), "012345");
  EXPECT_EQ(read(pair.connection, 6), "6789");
  EXPECT_EQ(read(pair.connection, 6), "abc");
  EXPECT_EQ(pair.connection.bytes_received(), 13U);
}

TEST(Connection, ReadsAhead) {
  Pair pair;
  pair.peer.send("headbody");
  EXPECT_EQ(read(pair.connection, 4), "head");
  EXPECT_FALSE(pair.connection.is_quiet());
  EXPECT_EQ(read(pair.connection, 100), "body");
  EXPECT_TRUE(pair.connection.is_quiet());
}

TEST(Connection, NoticesThatThePeerClosed) {
  Pair pair;
  EXPECT_TRUE(pair.connection.is_quiet());
  pair.peer.close();
  EXPECT_FALSE(pair.connection.is_quiet());
  EXPECT_EQ(read(pair.connection, 4), "");
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::closed_by_peer);
  EXPECT_EQ(write(pair.connection, abort_pdu(0, 0)), -1);
}

TEST(Connection, IdleTimeIsBounded) {
  Pair pair({milliseconds(50), milliseconds(60'000), milliseconds(60'000)});
  pair.connection.await_message();
  EXPECT_EQ(read(pair.connection, 4), "error");
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::idle);
  EXPECT_EQ(pair.connection.ending_text(), "no message for 50 ms");
}

TEST(Connection, AStallInsideAMessageIsBounded) {
  Pair pair({milliseconds(60'000), milliseconds(50), milliseconds(60'000)});
  pair.connection.await_message();
  pair.peer.send("x");
  EXPECT_EQ(read(pair.connection, 4), "x");
  EXPECT_EQ(read(pair.connection, 4), "error");
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::stalled);
}

TEST(Connection, AMessageThatDribblesIsBounded) {
  Pair pair({milliseconds(60'000), milliseconds(60'000), milliseconds(200)});
  pair.connection.await_message();
  std::atomic<bool> done = false;
  std::thread dribbler([&] {
    while (!done && pair.peer.send("x")) std::this_thread::sleep_for(milliseconds(5));
  });
  while (read(pair.connection, 1) == "x") {
  }
  done = true;
  dribbler.join();
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::overdue);
}

TEST(Connection, APeerThatDoesNotReadIsBounded) {
  Pair pair({milliseconds(60'000), milliseconds(50), milliseconds(60'000)});
  EXPECT_EQ(write(pair.connection, data_pdu(pdv(1, false, true, std::string(8 << 20, 'x')))), -1);
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::stalled);
}

// Otherwise what it was sent, and the end behind it, would wait in the kernel for minutes.
TEST(Connection, EndsByAResetForAPeerThatDoesNotRead) {
  const RawListener listener;
  const int descriptor = connected_socket(listener.port());
  const RawPeer peer = listener.accept();
  Connection connection(FileDescriptor(descriptor), "peer",
                        {milliseconds(60'000), milliseconds(50), milliseconds(60'000)});
  EXPECT_EQ(write(connection, data_pdu(pdv(1, false, true, std::string(24 << 20, 'x')))), -1);
  connection.abort(kAbortByUser, milliseconds(50));
  EXPECT_TRUE(peer.is_hung_up());
}

// It takes no PDU any more, rather than half of one, or so it may be.
TEST(Connection, EndsByAResetForAPeerThatReadsNoSmallPdu) {
  for (const std::size_t size : {1U, 100U, 1'000U}) {
    const RawListener listener;
    const int descriptor = connected_socket(listener.port());
    const RawPeer peer = listener.accept();
    Connection connection(FileDescriptor(descriptor), "peer",
                          {milliseconds(60'000), milliseconds(50), milliseconds(60'000)});
    const std::string pdu = data_pdu(pdv(1, true, true, std::string(size, 'x')));
    while (write(connection, pdu) > 0) continue;
    connection.abort(kAbortByUser, milliseconds(50));
    EXPECT_TRUE(peer.is_hung_up()) << size;
  }
}

TEST(Connection, StopSignalWakesOneThatWaitsForAMessage) {
  StopSignal stop;
  Pair pair(kLong, &stop);
  pair.connection.await_message();
  std::thread stopper([&] { stop.raise(); });
  EXPECT_EQ(read(pair.connection, 4), "error");
  stopper.join();
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::stopped);
}

TEST(Connection, StopSignalLetsARunningMessageFinish) {
  StopSignal stop;
  Pair pair(kLong, &stop);
  pair.connection.await_message();
  pair.peer.send("ab");
  EXPECT_EQ(read(pair.connection, 1), "a");
  stop.raise();
  EXPECT_EQ(read(pair.connection, 1), "b");
  pair.peer.send("c");
  EXPECT_EQ(read(pair.connection, 1), "c");
  pair.connection.await_message();
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::stopped);
}

TEST(Connection, ShutDownEndsAReadInAnotherThread) {
  Pair pair;
  std::thread other([&] { pair.connection.shut_down(); });
  EXPECT_NE(read(pair.connection, 4), "xxxx");
  other.join();
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::stopped);
}

TEST(Connection, AbortReachesAPeerThatFloods) {
  Pair pair;
  std::atomic<bool> done = false;
  std::thread flood([&] {
    while (!done && pair.peer.send(std::string(1000, 'x'))) {
    }
  });
  const auto begin = steady_clock::now();
  pair.connection.abort(kAbortInvalidParameter, milliseconds(300));
  EXPECT_LT(steady_clock::now() - begin, milliseconds(5'000));
  done = true;
  flood.join();
  EXPECT_EQ(pair.peer.receive(10), abort_pdu(2, 6));
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::closed);
}

TEST(Connection, AbortIsSentOnceAndNotIntoAPdu) {
  Pair pair;
  EXPECT_EQ(write(pair.connection, abort_pdu(2, 2)), 10);
  pair.connection.abort(kAbortByUser, milliseconds(0));
  EXPECT_EQ(pair.peer.receive(100), abort_pdu(2, 2));
  Pair half;
  EXPECT_EQ(write(half.connection, abort_pdu(0, 0).substr(0, 2)), 2);  // gathered, not sent
  half.connection.abort(kAbortByUser, milliseconds(0));
  EXPECT_EQ(half.peer.receive(100), abort_pdu(0, 0));
}

TEST(Connection, WritesFromAnotherThreadWhileItWaits) {
  Pair pair;
  pair.connection.await_message();
  std::thread waiting([&] { pair.connection.wait_for_message(); });
  const std::string answer = data_pdu(pdv(1, true, true, "answer"));
  EXPECT_TRUE(pair.connection.write_now(std::as_bytes(std::span(answer))));
  EXPECT_EQ(pair.peer.receive(answer.size()), answer);
  pair.peer.send("next");
  waiting.join();
  EXPECT_EQ(read(pair.connection, 4), "next");
  EXPECT_EQ(pair.connection.bytes_sent(), answer.size());
}

TEST(Connection, DoesNotWaitForAPeerThatTakesNoAnswer) {
  Pair pair;
  const std::string answer = data_pdu(pdv(1, true, true, std::string(1000, 'x')));
  int taken = 0;
  while (taken < 100'000 && pair.connection.write_now(std::as_bytes(std::span(answer)))) ++taken;
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 100'000);
}

TEST(Connection, WaitsForAMessageNoLongerThanForAByteOfIt) {
  Pair pair({milliseconds(20), milliseconds(60'000), milliseconds(60'000)});
  pair.connection.await_message();
  pair.connection.wait_for_message();
  EXPECT_EQ(read(pair.connection, 4), "error");
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::idle);
}

TEST(Connection, WaitsForAMessageUntilItIsStopped) {
  StopSignal stop;
  Pair pair(kLong, &stop);
  pair.connection.await_message();
  std::thread waiting([&] { pair.connection.wait_for_message(); });
  stop.raise();
  waiting.join();
  EXPECT_EQ(read(pair.connection, 4), "error");
  EXPECT_EQ(pair.connection.ending(), Connection::Ending::stopped);
}

}  // namespace
}  // namespace sluice::net
