#include "gateway/net/inherited_sockets.h"

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace sluice::test;

// What a started program finds out, as text.
std::string found() {
  const auto sockets = take_inherited_sockets();
  if (!sockets) return sockets.error().message;
  std::string text = std::to_string(sockets->size());
  for (const InheritedSocket& one : *sockets) {
    const bool closed_on_exec = ::fcntl(one.socket.get(), F_GETFD) == FD_CLOEXEC;
    text += " " + one.name + ":" + std::to_string(one.port) + (one.is_v6 ? ":6" : ":4") +
            (closed_on_exec ? "" : " left open");
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    if (std::getenv(name) != nullptr) text += std::string(" left ") + name;
  }
  return text;
}

// In a process of its own, with these sockets from descriptor 3 on, as systemd starts one.
std::string found_by_a_process_with(const std::vector<int>& sockets, const std::string& names,
                                    const std::string& count = "", bool for_another = false) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t process = ::fork();
  if (process == 0) {
    // Out of the way first, then each to its place.
    const int out = ::fcntl(ends[1], F_DUPFD, 100);
    std::vector<int> copies;
    copies.reserve(sockets.size());
    for (const int socket : sockets) copies.push_back(::fcntl(socket, F_DUPFD, 100));
    for (std::size_t i = 0; i < copies.size(); ++i) ::dup2(copies[i], static_cast<int>(3 + i));
    for (int i = static_cast<int>(3 + copies.size()); i < 20; ++i) ::close(i);
    const pid_t own = ::getpid();
    ::setenv("LISTEN_PID", std::to_string(for_another ? own + 1 : own).c_str(), 1);
    ::setenv("LISTEN_FDS", (count.empty() ? std::to_string(sockets.size()) : count).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    const std::string text = found();
    const bool written = ::write(out, text.data(), text.size()) >= 0;
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 1024> piece{};
  for (ssize_t got = 0; (got = ::read(ends[0], piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  ::waitpid(process, nullptr, 0);
  return text;
}

TEST(InheritedSockets, TakesThemWithNamesAndPorts) {
  const RawListener first;
  const RawListener second;
  const std::string ports[] = {std::to_string(first.port()), std::to_string(second.port())};
  EXPECT_EQ(found_by_a_process_with({first.descriptor(), second.descriptor()}, "ct:mr"),
            "2 ct:" + ports[0] + ":4 mr:" + ports[1] + ":4");
  EXPECT_EQ(found_by_a_process_with({first.descriptor()}, ""), "1 :" + ports[0] + ":4");
  EXPECT_EQ(found_by_a_process_with({first.descriptor()}, "one:too many"), "1 :" + ports[0] + ":4");
}

TEST(InheritedSockets, LeavesThoseOfAnotherProcess) {
  const RawListener listener;
  EXPECT_EQ(found_by_a_process_with({listener.descriptor()}, "ct", "", true), "0");
}

TEST(InheritedSockets, RefusesWhatIsNoListeningTcpSocket) {
  const RawListener listener;
  const RawPeer peer = RawPeer::connect(listener.port());
  const FileDescriptor local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;  // of Linux's name space: none but the family is bound
  ASSERT_EQ(::bind(local.get(), reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)), 0);
  ASSERT_EQ(::listen(local.get(), 1), 0);
  const FileDescriptor datagram(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const FileDescriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const FileDescriptor silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const int other : {local.get(), datagram.get(), file.get(), silent.get()}) {
    EXPECT_THAT(found_by_a_process_with({other}, "ct\x1B"),
                HasSubstr("'ct\\x1b' (descriptor 3) is no TCP socket that listens"));
  }
  EXPECT_THAT(found_by_a_process_with({listener.descriptor()}, "ct:mr", "2"),
              HasSubstr("'mr' (descriptor 4)"));
  EXPECT_THAT(found_by_a_process_with({}, "", "many"), HasSubstr("LISTEN_FDS is 'many'"));
  EXPECT_THAT(found_by_a_process_with({}, "", "-1"), HasSubstr("LISTEN_FDS is '-1'"));
}

std::vector<InheritedSocket> sockets(const std::vector<std::pair<std::string, std::uint16_t>>& of) {
  std::vector<InheritedSocket> made;
  made.reserve(of.size());
  for (const auto& [name, port] : of) {
    made.push_back({FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)), name, port, false});
  }
  return made;
}

std::vector<std::uint16_t> assigned(const std::vector<std::pair<std::string, std::uint16_t>>& of,
                                    const std::vector<ListenerPlace>& listeners) {
  const auto places = assign_to_listeners(sockets(of), listeners);
  if (!places) throw std::runtime_error(places.error().message);
  std::vector<std::uint16_t> ports;
  for (const InheritedSocket& place : *places) {
    ports.push_back(place.socket.is_valid() ? place.port : 0);
  }
  return ports;
}

TEST(InheritedSockets, GoToTheListenerOfTheirNameElseOfTheirPort) {
  EXPECT_THAT(assigned({{"mr", 104}, {"sluice.socket", 11112}},
                       {{"ct", 11112}, {"mr", 4242}, {"own", 104}}),
              ElementsAre(11112, 104, 0));
  EXPECT_THAT(assigned({}, {{"ct", 104}}), ElementsAre(0));
  EXPECT_THAT(assigned({}, {}), IsEmpty());
}

TEST(InheritedSockets, AreToldWhereNoListenerTakesThem) {
  const auto stray = assign_to_listeners(sockets({{"x", 105}}), {{"ct", 104}});
  ASSERT_FALSE(stray);
  EXPECT_EQ(stray.error().code, ErrorCode::configuration);
  EXPECT_THAT(stray.error().message, HasSubstr("'x' on port 105 belongs to no listener"));
  const auto twice = assign_to_listeners(sockets({{"ct", 1}, {"x", 104}}), {{"ct", 104}});
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("belongs to listener 'ct', which has one already"));
}

}  // namespace
}  // namespace sluice::net
