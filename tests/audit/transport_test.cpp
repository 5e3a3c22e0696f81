#include "gateway/audit/transport.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gateway/base/file_descriptor.h"
#include "tests/audit/collector.h"
#include "tests/support/fixtures.h"
#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace sluice::audit {
namespace {

using namespace sluice::test;
using std::chrono::steady_clock;

config::AuditDestination to(const std::string& scheme, const std::string& path) {
  config::AuditDestination destination;
  destination.scheme = scheme;
  destination.path = path;
  return destination;
}

// A receiver on a unix socket.
class Receiver {
 public:
  Receiver(const std::string& path, int type) : socket_(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(socket_.get(), 1), 0);
    }
  }
  // One datagram, or what a stream has now.
  [[nodiscard]] std::string receive(int from = -1) const {
    std::string buffer(100'000, '\0');
    const int socket = from < 0 ? socket_.get() : from;
    pollfd polled{socket, POLLIN, 0};
    if (::poll(&polled, 1, 30'000) != 1) return "";
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    buffer.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return buffer;
  }
  [[nodiscard]] FileDescriptor accept() const {
    return FileDescriptor(::accept(socket_.get(), nullptr, nullptr));
  }

 private:
  FileDescriptor socket_;
};

TEST(FileTransport, AppendsALineEachAndFollowsARotation) {
  const TemporaryFolder folder;
  const std::string path = folder.path("audit.log");
  const auto transport = make_transport(to("file", path));
  ASSERT_TRUE(transport->send("one"));
  ASSERT_TRUE(transport->send("two"));
  EXPECT_EQ(transport->is_taken().value_or(false), true);
  std::filesystem::rename(path, path + ".1");
  ASSERT_TRUE(transport->send("three"));
  EXPECT_EQ(transport->is_taken().value_or(false), true);
  EXPECT_EQ(read_file(path + ".1"), "one\ntwo\n");
  EXPECT_EQ(read_file(path), "three\n");
  const auto status = std::filesystem::status(path).permissions();
  EXPECT_EQ(status & std::filesystem::perms::others_all, std::filesystem::perms::none);
}

TEST(FileTransport, EndsALineThatACrashHasTorn) {
  const TemporaryFolder folder;
  const std::string path = folder.path("audit.log");
  std::ofstream(path) << "whole\ntor";
  const auto transport = make_transport(to("file", path));
  ASSERT_TRUE(transport->send("next"));
  EXPECT_EQ(read_file(path), "whole\ntor\nnext\n");
}

TEST(FileTransport, LosesNothingToAFullDisk) {
  const SmallDisk disk(256);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  const std::string path = disk.path("audit.log");
  const auto transport = make_transport(to("file", path));
  ASSERT_TRUE(transport->send("first"));
  disk.fill("filler");
  const std::string message(20'000, 'm');
  EXPECT_FALSE(transport->send(message));
  std::filesystem::remove(disk.path("filler"));
  ASSERT_TRUE(transport->send(message));
  EXPECT_EQ(transport->is_taken().value_or(false), true);
  std::istringstream lines(read_file(path));
  std::string last;
  for (std::string line; std::getline(lines, line);) last = line;
  EXPECT_EQ(last, message);
}

TEST(FileTransport, TellsThatAFolderIsMissing) {
  const auto transport = make_transport(to("file", "/no/such/folder/audit.log"));
  const auto sent = transport->send("x");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::transient);
}

TEST(UnixTransport, SendsDatagramsAndConnectsAnew) {
  const TemporaryFolder folder;
  const std::string path = folder.path("log");
  const auto transport = make_transport(to("unix", path));
  EXPECT_FALSE(transport->open());
  {
    const Receiver receiver(path, SOCK_DGRAM);
    ASSERT_TRUE(transport->send("one"));
    EXPECT_EQ(transport->is_taken().value_or(true), false);
    EXPECT_EQ(receiver.receive(), "one");
    EXPECT_EQ(transport->is_taken().value_or(false), true);
  }
  std::filesystem::remove(path);
  const Receiver receiver(path, SOCK_DGRAM);
  EXPECT_FALSE(transport->send("lost"));
  ASSERT_TRUE(transport->send("two"));
  EXPECT_EQ(receiver.receive(), "two");
}

TEST(UnixTransport, TellsADatagramThatIsTooLongFromABreak) {
  const TemporaryFolder folder;
  const Receiver receiver(folder.path("log"), SOCK_DGRAM);
  const auto transport = make_transport(to("unix", folder.path("log")));
  const auto sent = transport->send(std::string(10'000'000, 'x'));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::permanent);
  ASSERT_TRUE(transport->send("next"));
  EXPECT_EQ(receiver.receive(), "next");
}

TEST(UnixTransport, SpeaksToAStreamLineByLine) {
  const TemporaryFolder folder;
  const Receiver receiver(folder.path("log"), SOCK_STREAM);
  const auto transport = make_transport(to("unix", folder.path("log")));
  ASSERT_TRUE(transport->send("one"));
  ASSERT_TRUE(transport->send("two"));
  const FileDescriptor accepted = receiver.accept();
  EXPECT_EQ(receiver.receive(accepted.get()), "one\ntwo\n");
}

TEST(TcpTransport, CountsOctetsAndNoticesAnEnd) {
  auto collector = std::make_unique<Collector>();
  config::AuditDestination destination;
  destination.scheme = "syslog";
  destination.host = "127.0.0.1";
  destination.port = collector->port();
  const auto transport = make_transport(destination);
  ASSERT_TRUE(transport->send("\xC3\xA4 one"));
  ASSERT_TRUE(transport->send("two"));
  EXPECT_TRUE(collector->wait_for(2));
  EXPECT_EQ(collector->messages(), (std::vector<std::string>{"\xC3\xA4 one", "two"}));
  EXPECT_TRUE(wait_until([&] { return transport->is_taken().value_or(false); }));
  collector.reset();
  EXPECT_TRUE(wait_until([&] { return !transport->is_taken(); }));
  EXPECT_FALSE(transport->send("three"));
}

TEST(TcpTransport, KnowsAtAnOrderlyEndThatAllWasRead) {
  const Collector collector;
  config::AuditDestination destination;
  destination.scheme = "syslog";
  destination.host = "127.0.0.1";
  destination.port = collector.port();
  const auto transport = make_transport(destination);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(transport->send(std::string(500, 'x')));
  EXPECT_TRUE(transport->finish(steady_clock::now() + std::chrono::seconds(20)));
  EXPECT_EQ(collector.messages().size(), 100U);
}

TEST(TcpTransport, EndsWhenItIsInterrupted) {
  Collector collector;
  collector.reads = false;
  config::AuditDestination destination;
  destination.scheme = "syslog";
  destination.host = "127.0.0.1";
  destination.port = collector.port();
  const auto transport = make_transport(destination);
  std::thread interrupter([&] {
    (void)wait_until([&] { return collector.connections() == 1; });
    transport->interrupt();
  });
  const auto sent = transport->send(std::string(50'000'000, 'x'));
  interrupter.join();
  EXPECT_FALSE(sent);
}

}  // namespace
}  // namespace sluice::audit
