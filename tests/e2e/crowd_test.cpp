// A crowd of connections that want nothing good: who means it is served as if alone, and
// no memory goes with them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include <gmock/gmock.h>

#include "tests/e2e/attack.h"
#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_memory.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Connections that never finish their request: half of them say nothing, the others a
// byte now and then. One that the gateway closes comes back.
class Crowd {
 public:
  Crowd(std::uint16_t port, std::size_t size) : port_(port), request_(RequestParts().bytes()) {
    for (std::size_t i = 0; i < size; ++i) members_.push_back(come(i));
    thread_ = std::thread([this] { linger(); });
  }
  ~Crowd() {
    leaving_ = true;
    thread_.join();
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

 private:
  struct Member {
    RawPeer peer;
    std::size_t said = 0;
  };

  // From four addresses, lest the limit for one is met.
  [[nodiscard]] std::unique_ptr<Member> come(std::size_t number) const {
    const auto from = static_cast<std::uint32_t>(INADDR_LOOPBACK + 1 + number % 4);
    return std::make_unique<Member>(Member{RawPeer(connected_socket(port_, from))});
  }

  void linger() {
    while (!leaving_) {
      for (std::size_t i = 0; i < members_.size() && !leaving_; ++i) {
        Member& member = *members_[i];
        if (member.peer.is_hung_up()) members_[i] = come(i);
        if (i % 2 == 0 || member.said == request_.size() - 1) continue;
        member.peer.send(request_.substr(member.said++, 1));
      }
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

  std::uint16_t port_;
  std::string request_;
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<bool> leaving_ = false;
  std::thread thread_;
};

std::string crowd_routing(const std::string& archive) {
  return "[[destination]]\nname = \"archive\"\naddress = \"file://" + archive +
         "\"\n[[route]]\ndestinations = [\"archive\"]\n";
}

// The longest of so many stores, each on an association of its own.
milliseconds slowest_store(std::uint16_t port, std::size_t number) {
  steady_clock::duration slowest{0};
  for (std::size_t i = 1; i <= number; ++i) {
    const std::string uid = "1.2.3.77." + std::to_string(i);
    const auto begun = steady_clock::now();
    const RawPeer peer = RawPeer::connect(port);
    peer.send(RequestParts().bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
    peer.send(store_message(implicit_ct, small_data_set(kCtStorage, uid), uid));
    EXPECT_THAT(peer.receive_pdu(), HasSubstr(element(0x0900, little16(0))));
    peer.send(release_request());
    EXPECT_EQ(peer.receive_pdu(), release_response());
    slowest = std::max(slowest, steady_clock::now() - begun);
  }
  return std::chrono::duration_cast<milliseconds>(slowest);
}

TEST(CrowdOfHalfOpenConnections, KeepsNobodyFromStoring) {
  constexpr std::size_t kCrowd = kSanitized ? 400 : 1'000;
  constexpr std::size_t kSenders = 8;
  constexpr std::size_t kEach = 10;
  constexpr std::size_t kMeasured = 40;
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 2 * kCrowd) GTEST_SKIP() << "too few file descriptors for a crowd";
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"), crowd_routing(folder.path("archive")));
  // What systemd and most shells give to begin with.
  gateway.start_through({"prlimit", "--nofile=1024:"});
  gateway.start();
  std::vector<std::vector<std::string>> lists;
  lists.reserve(kSenders);
  for (std::size_t sender = 1; sender <= kSenders; ++sender) {
    lists.push_back(make_series(folder.path("images"), "1.2.3.5." + std::to_string(sender), kEach));
  }
  auto crowd = std::make_unique<Crowd>(gateway.port(), kCrowd);

  std::vector<std::unique_ptr<Process>> senders;
  senders.reserve(kSenders);
  for (const auto& files : lists) {
    senders.push_back(std::make_unique<Process>(storescu_arguments(gateway.port(), files)));
  }
  const milliseconds slowest = slowest_store(gateway.port(), kMeasured);
  for (const auto& sender : senders) {
    EXPECT_EQ(sender->wait(kDeadline), 0) << sender->output();
    EXPECT_EQ(count_successes(sender->output()), kEach) << sender->output();
  }
  std::cout << "slowest store beside " << kCrowd << " half-open connections: " << slowest.count()
            << " ms\n";
  EXPECT_LT(slowest, milliseconds(5'000));
  crowd.reset();
  EXPECT_THAT(gateway.lines("association rejected"), IsEmpty());
  EXPECT_THAT(gateway.lines("accepting connections is paused"), IsEmpty());
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", kSenders * kEach + kMeasured}}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

// A thousand that are refused before there is an association.
void send_malformed_requests(std::uint16_t port, std::size_t number) {
  RequestParts parts;
  for (int i = 0; i < 100; ++i) parts.contexts += context_item(1, kCtStorage, {});
  const std::string request = parts.bytes();
  for (std::size_t i = 0; i < number; ++i) {
    const RawPeer peer = RawPeer::connect(port);
    peer.send(request);
    EXPECT_EQ(peer.receive_pdu(), abort_pdu(2, 6));
  }
}

// Each on one association, so many with a broken data set and an association that is
// aborted for every tenth.
void send_bad_stores(std::uint16_t port, std::size_t number) {
  const std::string uid = kAttacker;
  const std::string broken = small_data_set(kCtStorage, uid) + std::string(9, ' ');
  for (std::size_t i = 0; i < number; i += 10) {
    const RawPeer peer = RawPeer::connect(port);
    peer.send(RequestParts().bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
    for (int store = 0; store < 9; ++store) {
      peer.send(store_message(implicit_ct, broken));
      EXPECT_THAT(peer.receive_pdu(), HasSubstr(element(0x0900, little16(0xC000))));
    }
    peer.send(store_command(implicit_ct) + data_pdu(pdv(5, false, true, broken)));
    EXPECT_EQ(peer.receive_pdu(), abort_pdu(2, 6));
  }
}

TEST(CrowdOfBrokenSenders, LeavesMemoryFlat) {
  constexpr std::size_t kWarmUp = 200;
  constexpr std::size_t kNumber = 1'000;
  // Pages that the allocator keeps come and go by a few hundred KiB; a leak of 2 KiB for
  // each would show.
  constexpr std::size_t kTolerance = std::size_t{4} << 20U;
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"), crowd_routing(folder.path("archive")));
  gateway.start();
  send_malformed_requests(gateway.port(), kWarmUp);
  send_bad_stores(gateway.port(), kWarmUp);
  const std::size_t before = resident_memory(gateway.process_id());
  send_malformed_requests(gateway.port(), kNumber);
  send_bad_stores(gateway.port(), kNumber);
  const std::size_t after = resident_memory(gateway.process_id());
  std::cout << "resident before " << before / 1024 << " KiB, after " << after / 1024 << " KiB\n";
  if (!kSanitized) {
    EXPECT_LT(after, before + kTolerance);
  }
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_THAT(gateway.counts(), IsEmpty());
  EXPECT_EQ(gateway.stop(), 0);
}

}  // namespace
}  // namespace sluice::test
