// The program as a service manager runs it: sockets that are open already, messages about
// its state, and files that are nobody else's.
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string service_routing(const TemporaryFolder& folder) {
  return "[[destination]]\nname = \"folder\"\naddress = \"file://" + folder.path("archive") +
         "\"\n\n[[route]]\ndestinations = [\"folder\"]\n";
}

// Starts a program with a socket as its descriptor 3, as systemd does. The launcher's
// process becomes the program, so that LISTEN_PID is right.
class HandedOver {
 public:
  HandedOver(const RawListener& listener, std::string name)
      : descriptor_(::fcntl(listener.descriptor(), F_DUPFD, 50)), name_(std::move(name)) {
    if (descriptor_ < 0) throw std::runtime_error("no descriptor to hand over");
  }
  ~HandedOver() { ::close(descriptor_); }
  HandedOver(const HandedOver&) = delete;
  HandedOver& operator=(const HandedOver&) = delete;

  [[nodiscard]] std::vector<std::string> launcher() const {
    return {"/bin/bash", "-c",
            R"(exec 3<&"$0"; export LISTEN_PID=$$ LISTEN_FDS=1
               export LISTEN_FDNAMES="$1"; shift; exec "$@")",
            std::to_string(descriptor_), name_};
  }

 private:
  int descriptor_;
  std::string name_;
};

TEST(Service, StoresThroughTheSocketOfItsListenersName) {
  const TemporaryFolder folder;
  const RawListener listener;
  const HandedOver socket(listener, "modalities");
  GatewayProcess gateway(folder.path("gateway"), service_routing(folder));
  gateway.start(socket.launcher());
  EXPECT_EQ(gateway.port(), listener.port());
  EXPECT_EQ(gateway.wait_for_line("listening")->at("inherited"), "modalities");
  EXPECT_TRUE(send_images(listener.port(), {fixture("CT_small.dcm"), fixture("MR_small.dcm")}));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 2}})) << gateway.log();
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  // The manager's socket outlives it: a modality that comes now waits for the next start.
  const RawPeer waiting = RawPeer::connect(listener.port());
  gateway.start(socket.launcher());
  waiting.send(RequestParts().bytes());
  EXPECT_EQ(waiting.receive_pdu().substr(0, 1), "\2");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Service, TakesASocketByItsPort) {
  const TemporaryFolder folder;
  const RawListener listener;
  const HandedOver socket(listener, "sluice.socket");
  GatewayProcess gateway(folder.path("gateway"),
                         "[[listener]]\nname = \"second\"\naddress = \"127.0.0.1\"\nport = " +
                             std::to_string(listener.port()) + "\n" + service_routing(folder));
  gateway.start(socket.launcher());
  ASSERT_TRUE(gateway.wait_for_lines("listening", 2)) << gateway.log();
  EXPECT_TRUE(send_images(listener.port(), {fixture("CT_small.dcm")}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Service, RefusesASocketThatBelongsToNoListener) {
  const TemporaryFolder folder;
  const RawListener listener;
  const HandedOver socket(listener, "stranger");
  const GatewayProcess gateway(folder.path("gateway"), service_routing(folder));
  std::vector<std::string> command = socket.launcher();
  command.insert(command.end(), {SLUICE_PROGRAM, "serve", "--config", gateway.config_file()});
  const Finished refused = run_program(command);
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("'stranger' on port"));
  EXPECT_THAT(refused.err, HasSubstr("FileDescriptorName="));
}

TEST(Service, IsStartedBySystemdsOwnTool) {
  if (run_program({"/bin/sh", "-c", "command -v systemd-socket-activate"}).exit_code != 0) {
    GTEST_SKIP() << "no systemd-socket-activate here";
  }
  const TemporaryFolder folder;
  const GatewayProcess gateway(folder.path("gateway"), service_routing(folder));
  const std::uint16_t port = quiet_port();
  Process process({"systemd-socket-activate", "--listen=127.0.0.1:" + std::to_string(port),
                   "--fdname=modalities", SLUICE_PROGRAM, "serve", "--config",
                   gateway.config_file()});
  // The first connection starts the gateway, which then serves it.
  ASSERT_TRUE(wait_for_port(port)) << process.output();
  EXPECT_TRUE(send_images(port, {fixture("CT_small.dcm")})) << process.output();
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(kDeadline), 0) << process.output();
}

// The socket of a service manager, and what it is told.
class Manager {
 public:
  // A path, or an address of Linux's own name space with "@" in front.
  explicit Manager(const std::string& address)
      : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un own{};
    own.sun_family = AF_UNIX;
    address.copy(std::begin(own.sun_path), sizeof(own.sun_path) - 1);
    if (address[0] == '@') own.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    if (::bind(descriptor_, reinterpret_cast<sockaddr*>(&own), length) != 0) {
      throw std::runtime_error("cannot bind " + address);
    }
  }
  ~Manager() { ::close(descriptor_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // "" when nothing came.
  [[nodiscard]] std::string next_message() const {
    pollfd polled{descriptor_, POLLIN, 0};
    const int patience = static_cast<int>(std::chrono::milliseconds(kDeadline).count());
    if (::poll(&polled, 1, patience) <= 0) return {};
    std::array<char, 256> message{};
    const ssize_t length = ::recv(descriptor_, message.data(), message.size(), 0);
    return length > 0 ? std::string(message.data(), static_cast<std::size_t>(length)) : "";
  }

 private:
  int descriptor_;
};

TEST(Service, TellsItsManagerWhenItIsReadyAndWhenItStops) {
  const TemporaryFolder folder;
  const std::string abstract = "@sluice-test-" + std::to_string(::getpid());
  for (const std::string& address : {folder.path("notify"), abstract}) {
    const Manager manager(address);
    GatewayProcess gateway(folder.path("gateway"), service_routing(folder));
    gateway.start({"/usr/bin/env", "NOTIFY_SOCKET=" + address});
    EXPECT_EQ(manager.next_message(), "READY=1");
    EXPECT_EQ(gateway.stop(), 0) << gateway.log();
    EXPECT_EQ(manager.next_message(), "STOPPING=1");
  }
}

TEST(Service, RunsOnWhenItsManagerIsGone) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"), service_routing(folder));
  gateway.start({"/usr/bin/env", "NOTIFY_SOCKET=" + folder.path("absent")});
  EXPECT_TRUE(gateway.wait_for_lines("the service manager was not told", 1));
  EXPECT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

// Whatever the umask of who starts it.
TEST(Service, KeepsItsFilesFromOthers) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         "[[destination]]\nname = \"away\"\naddress = "
                         "\"dicom://PACS@127.0.0.1:1\"\n[[route]]\ndestinations = [\"away\"]\n");
  const mode_t before = ::umask(0);
  gateway.start();
  ::umask(before);
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  std::vector<std::string> seen;
  std::vector<std::string> open_to_others;
  const auto look = [&](const std::filesystem::path& path) {
    struct stat status {};
    ASSERT_EQ(::lstat(path.c_str(), &status), 0) << path;
    const mode_t expected = S_ISDIR(status.st_mode) ? 0700 : 0600;
    if ((status.st_mode & 07777) != expected) open_to_others.push_back(path);
    seen.push_back(path.filename());
  };
  look(gateway.data_dir());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(gateway.data_dir())) {
    look(entry.path());
  }
  EXPECT_THAT(open_to_others, IsEmpty());
  for (const char* name : {"spool", "queue.db", "queue.db-wal", "ledger.db", "site.key"}) {
    EXPECT_THAT(seen, ::testing::Contains(name));
  }
  EXPECT_THAT(seen, ::testing::Contains(::testing::EndsWith(".dcm")));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
