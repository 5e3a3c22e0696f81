#include "gateway/net/acceptor.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "gateway/base/counter.h"
#include "gateway/net/association.h"
#include "gateway/net/transport.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::milliseconds;

// Accepts associations and keeps them until told otherwise.
class Host {
 public:
  explicit Host(Limits limits = {}, milliseconds request_timeout = milliseconds(30'000),
                const std::vector<std::string>& addresses = {"127.0.0.1"})
      : acceptor_(
            options(addresses, request_timeout), limits,
            [this](std::size_t listener, const std::string& address,
                   const AssociateRequest& request) {
              return policy ? policy(listener, address, request) : std::nullopt;
            },
            [this](Arrival& arrival) { return take(arrival); }, &stop_) {
    EXPECT_TRUE(dcmnet_network());
    const auto started = acceptor_.start();
    if (!started) throw std::runtime_error(started.error().message);
  }
  ~Host() {
    acceptor_.stop();
    release_all();
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] std::uint16_t port(std::size_t index = 0) const { return acceptor_.ports()[index]; }
  void release_all() {
    std::vector<std::thread> threads;
    {
      const std::lock_guard lock(mutex_);
      release_ = true;
      changed_.notify_all();
      threads.swap(threads_);
    }
    for (std::thread& thread : threads) thread.join();
    const std::lock_guard lock(mutex_);
    release_ = false;
  }
  [[nodiscard]] std::vector<AssociateRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::vector<std::string> addresses() const {
    const std::lock_guard lock(mutex_);
    return addresses_;
  }
  void stop() { acceptor_.stop(); }

  Acceptor::Policy policy;
  std::atomic<bool> busy = false;

 private:
  static std::vector<ListenerOptions> options(const std::vector<std::string>& addresses,
                                              milliseconds request_timeout) {
    std::vector<ListenerOptions> all;
    for (const std::string& address : addresses) {
      ListenerOptions listener;
      listener.name = "test";
      listener.address = address;
      listener.request_timeout = request_timeout;
      all.push_back(listener);
    }
    return all;
  }

  bool take(Arrival& arrival) {
    if (busy) return false;
    const std::lock_guard lock(mutex_);
    requests_.push_back(arrival.request);
    addresses_.push_back(arrival.connection->peer_address());
    auto shared = std::make_shared<Arrival>(std::move(arrival));
    threads_.emplace_back([this, shared] {
      auto association =
          Association::accept(shared->connection, negotiate(shared->request.contexts, {}), 131072);
      std::unique_lock wait(mutex_);
      changed_.wait(wait, [this] { return release_; });
    });
    return true;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> threads_;
  std::vector<AssociateRequest> requests_;
  std::vector<std::string> addresses_;
  bool release_ = false;
  StopSignal stop_;
  Acceptor acceptor_;
};

TEST(Acceptor, AnswersEveryPresentationContext) {
  Host host;
  const RawPeer peer = RawPeer::connect(host.port());
  RequestParts parts;
  parts.contexts = context_item(9, kCtStorage, {kExplicit}) +
                   context_item(1, "1.2.840.10008.5.1.4.1.2.2.1", {kImplicit}) +
                   context_item(201, kVerification, {"1.2.840.10008.1.2.4.50"});
  ASSERT_TRUE(peer.send(parts.bytes()));
  const std::string answer = peer.receive_pdu();
  ASSERT_EQ(answer.substr(0, 1), "\2");
  EXPECT_NE(answer.find(item(0x21, std::string{9, 0, 0, 0} + item(0x40, kExplicit))),
            std::string::npos);
  EXPECT_NE(answer.find(std::string{1, 0, 3, 0}), std::string::npos);
  EXPECT_NE(answer.find(std::string{static_cast<char>(201), 0, 4, 0}), std::string::npos);
  EXPECT_NE(answer.find(item(0x51, big32(131072))), std::string::npos);
}

TEST(Acceptor, ServesBesideAHundredHalfOpenClients) {
  Host host;
  std::vector<RawPeer> silent;
  for (int i = 0; i < 100; ++i) {
    silent.push_back(RawPeer::connect(host.port()));
    silent.back().send(RequestParts().bytes().substr(0, static_cast<std::size_t>(i)));
  }
  for (int i = 0; i < 8; ++i) {
    const RawPeer peer = RawPeer::connect(host.port());
    peer.send(RequestParts().bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  }
}

TEST(Acceptor, AbortsARequestThatDribblesPastItsDeadline) {
  Host host({}, milliseconds(300));
  const RawPeer peer = RawPeer::connect(host.port());
  std::atomic<bool> done = false;
  std::thread dribbler([&] {
    for (const char byte : RequestParts().bytes()) {
      if (done || !peer.send(std::string(1, byte))) return;
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  EXPECT_EQ(peer.receive(10), abort_pdu(0, 0));
  EXPECT_TRUE(peer.is_closed());
  done = true;
  dribbler.join();
  EXPECT_TRUE(host.requests().empty());
}

TEST(Acceptor, AbortsASilentClientAtItsDeadline) {
  Host host({}, milliseconds(100));
  const RawPeer peer = RawPeer::connect(host.port());
  EXPECT_EQ(peer.receive(10), abort_pdu(0, 0));
  EXPECT_TRUE(peer.is_closed());
}

TEST(Acceptor, AbortsWhatIsNoRequest) {
  Host host;
  const auto answer = [&](const std::string& bytes) {
    const RawPeer peer = RawPeer::connect(host.port());
    peer.send(bytes);
    std::string got = peer.receive(10);
    EXPECT_TRUE(peer.is_closed());
    return got;
  };
  EXPECT_EQ(answer("GET / HTTP/1.1\r\n\r\n"), abort_pdu(2, 2));
  EXPECT_EQ(answer(data_pdu(pdv(1, true, true, "x"))), abort_pdu(2, 2));
  EXPECT_EQ(answer(std::string("\1\0\0\4\0\1", 6)), abort_pdu(2, 6));  // 256 KiB and a byte
  EXPECT_EQ(answer(std::string("\1\0\xFF\xFF\xFF\xFF", 6)), abort_pdu(2, 6));
  RequestParts even;
  even.contexts = context_item(2, kCtStorage, {kImplicit});
  EXPECT_EQ(answer(even.bytes()), abort_pdu(2, 6));
  EXPECT_TRUE(host.requests().empty());
}

TEST(Acceptor, RejectsWhatItDoesNotSupportByTheStandardsReason) {
  Host host;
  const auto answer = [&](const RequestParts& parts) {
    const RawPeer peer = RawPeer::connect(host.port());
    peer.send(parts.bytes());
    std::string got = peer.receive(100, milliseconds(20'000));
    return got;
  };
  RequestParts parts;
  parts.version = 2;
  EXPECT_EQ(answer(parts), reject_pdu(1, 2, 2));
  parts = {};
  parts.application_context = item(0x10, "1.2.3");
  EXPECT_EQ(answer(parts), reject_pdu(1, 1, 2));
  parts = {};
  parts.called = "";
  EXPECT_EQ(answer(parts), reject_pdu(1, 1, 7));
  parts = {};
  parts.calling = "";
  EXPECT_EQ(answer(parts), reject_pdu(1, 1, 3));
}

TEST(Acceptor, AsksThePolicy) {
  Host host;
  host.policy = [](std::size_t, const std::string& address, const AssociateRequest& request) {
    return request.calling_ae_title == "TEST" && address == "127.0.0.1"
               ? std::optional(Objection{kCallingAeTitleNotRecognized, "a test"})
               : std::nullopt;
  };
  const RawPeer peer = RawPeer::connect(host.port());
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive(100), reject_pdu(1, 1, 3));
}

TEST(Acceptor, ClosesAClientFromElsewhereBeforeItSaysAWord) {
  std::mutex mutex;
  std::vector<std::string> refused;
  Acceptor acceptor(
      {{.name = "guarded",
        .address = "::",
        .allow = {*config::parse_network("127.0.0.2/32"), *config::parse_network("::1/128")}}},
      {}, [](auto&&...) { return std::nullopt; }, [](Arrival&) { return false; }, nullptr,
      [&](const Refusal& refusal) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(refusal.of, Refusal::Of::connection);
        EXPECT_EQ(refusal.listener, "guarded");
        EXPECT_EQ(refusal.reason, "address not allowed");
        refused.emplace_back(refusal.peer_address);
      });
  ASSERT_TRUE(acceptor.start());
  const Labels labels = {{"outcome", "refused"}, {"reason", "address not allowed"}};
  const auto before = counted("sluice_associations_total", labels);
  for (int i = 0; i < 100; ++i) {
    const RawPeer stranger = RawPeer::connect(acceptor.ports()[0]);
    EXPECT_TRUE(stranger.is_closed());
  }
  // The IPv4 address that an IPv6 socket shows as a mapped one is the same address.
  const RawPeer known = RawPeer::connect(acceptor.ports()[0], "127.0.0.2");
  known.send(RequestParts().bytes());
  EXPECT_EQ(known.receive(100), reject_pdu(2, 3, 1)) << "the handler's answer";
  EXPECT_EQ(counted("sluice_associations_total", labels), before + 100);
  acceptor.stop();
  EXPECT_EQ(refused, std::vector<std::string>(100, "127.0.0.1"));
}

TEST(Acceptor, TellsOfEachRejection) {
  std::mutex mutex;
  std::vector<std::string> told;
  Acceptor acceptor(
      {{.name = "test", .address = "127.0.0.1"}}, {},
      [](auto&&...) {
        return std::optional(Objection{kCallingAeTitleNotRecognized, "not its own"});
      },
      [](Arrival&) { return false; }, nullptr,
      [&](const Refusal& refusal) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(refusal.of, Refusal::Of::association);
        told.push_back(std::string(refusal.calling_ae_title) + " to " +
                       std::string(refusal.called_ae_title) + ": " + std::string(refusal.reason));
      });
  ASSERT_TRUE(acceptor.start());
  const RawPeer peer = RawPeer::connect(acceptor.ports()[0]);
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive(100), reject_pdu(1, 1, 3));
  acceptor.stop();
  EXPECT_EQ(told, (std::vector<std::string>{"TEST to SLUICE: not its own"}));
}

TEST(Acceptor, TakesOverASocketThatListensAlready) {
  int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::listen(descriptor, 16), 0);  // on a port that the system chooses
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  ASSERT_EQ(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length), 0);
  std::vector<InheritedSocket> inherited(1);
  inherited[0] = {FileDescriptor(descriptor), "second", ntohs(address.sin_port), false};
  Acceptor acceptor(
      {{.name = "first", .address = "127.0.0.1"}, {.name = "second", .address = "127.0.0.1"}}, {},
      [](auto&&...) { return std::nullopt; }, [](Arrival&) { return false; }, nullptr);
  ASSERT_TRUE(acceptor.start(std::move(inherited)));
  EXPECT_EQ(acceptor.ports()[1], ntohs(address.sin_port));
  EXPECT_NE(acceptor.ports()[0], acceptor.ports()[1]);
  for (const std::uint16_t port : acceptor.ports()) {
    const RawPeer peer = RawPeer::connect(port);
    peer.send(RequestParts().bytes());
    EXPECT_EQ(peer.receive(100), reject_pdu(2, 3, 1));
  }
}

AcceptorRules rules_of(const std::vector<ListenerOptions>& listeners, const Rejection& answer) {
  AcceptorRules rules;
  rules.listeners = listeners;
  rules.policy = [answer](auto&&...) { return std::optional(Objection{answer, "test"}); };
  return rules;
}

TEST(Acceptor, KeepsTheSocketOfAListenerAndTheRulesOfWhoHasConnected) {
  const std::vector<ListenerOptions> first = {{.name = "kept", .address = "127.0.0.1"},
                                              {.name = "gone", .address = "127.0.0.1"}};
  AcceptorRules before = rules_of(first, kCalledAeTitleNotRecognized);
  Acceptor acceptor(before.listeners, before.limits, before.policy, nullptr, nullptr);
  ASSERT_TRUE(acceptor.start());
  const auto ports = acceptor.ports();
  const RawPeer early = RawPeer::connect(ports[0]);
  early.send(RequestParts().bytes().substr(0, 10));
  // It is accepted once one that came behind it is answered.
  const RawPeer behind = RawPeer::connect(ports[0]);
  behind.send(RequestParts().bytes());
  EXPECT_EQ(behind.receive(100), reject_pdu(1, 1, 7));
  auto change = acceptor.prepare(
      rules_of({{.name = "new", .address = "127.0.0.1"}, {.name = "kept", .address = "127.0.0.1"}},
               kCallingAeTitleNotRecognized));
  ASSERT_TRUE(change);
  acceptor.apply(*change);
  EXPECT_EQ(acceptor.ports()[1], ports[0]);
  EXPECT_THROW((void)RawPeer::connect(ports[1]), std::runtime_error);
  for (const std::uint16_t port : acceptor.ports()) {
    const RawPeer late = RawPeer::connect(port);
    late.send(RequestParts().bytes());
    EXPECT_EQ(late.receive(100), reject_pdu(1, 1, 3));
  }
  early.send(RequestParts().bytes().substr(10));
  EXPECT_EQ(early.receive(100), reject_pdu(1, 1, 7));
}

TEST(Acceptor, APortThatIsTakenLeavesEverything) {
  Host host;
  AcceptorRules before =
      rules_of({{.name = "one", .address = "127.0.0.1"}}, kCalledAeTitleNotRecognized);
  Acceptor acceptor(before.listeners, before.limits, before.policy, nullptr, nullptr);
  ASSERT_TRUE(acceptor.start());
  EXPECT_FALSE(acceptor.prepare(
      rules_of({{.name = "two", .address = "127.0.0.1", .port = host.port()}}, {})));
  const RawPeer peer = RawPeer::connect(acceptor.ports()[0]);
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive(100), reject_pdu(1, 1, 7));
}

TEST(Acceptor, RejectsAboveTheLimitsUntilOneEnds) {
  for (const Limits limits : {Limits{2, 100}, Limits{100, 2}}) {
    Host host(limits);
    std::vector<RawPeer> peers;
    for (int i = 0; i < 2; ++i) {
      peers.push_back(RawPeer::connect(host.port()));
      peers.back().send(RequestParts().bytes());
      EXPECT_EQ(peers.back().receive_pdu().substr(0, 1), "\2");
    }
    const RawPeer third = RawPeer::connect(host.port());
    third.send(RequestParts().bytes());
    EXPECT_EQ(third.receive(100), reject_pdu(2, 3, 2));
    host.release_all();
    const RawPeer fourth = RawPeer::connect(host.port());
    fourth.send(RequestParts().bytes());
    EXPECT_EQ(fourth.receive_pdu().substr(0, 1), "\2");
  }
}

TEST(Acceptor, RejectsForAWhileWhatCannotBeServedNow) {
  Host host;
  host.busy = true;
  const RawPeer peer = RawPeer::connect(host.port());
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive(100), reject_pdu(2, 3, 1));
}

TEST(Acceptor, AFloodOfHalfOpenConnectionsPushesOutItsOldest) {
  Limits limits;
  limits.half_open_per_address = 3;
  Host host(limits);
  std::vector<RawPeer> silent;
  silent.reserve(3);
  for (int i = 0; i < 3; ++i) silent.push_back(RawPeer::connect(host.port()));
  const RawPeer peer = RawPeer::connect(host.port());
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  EXPECT_TRUE(silent[0].is_closed());
  EXPECT_FALSE(silent[1].is_closed(milliseconds(1)));
}

// From as many addresses as it likes: the oldest of all goes, and no other.
TEST(Acceptor, AFloodOfHalfOpenConnectionsFromManyAddressesPushesOutItsOldest) {
  Limits limits;
  limits.half_open = 3;
  limits.half_open_per_address = 2;
  Host host(limits);
  std::vector<RawPeer> silent;
  for (const char* from : {"127.0.0.2", "127.0.0.3", "127.0.0.4"}) {
    silent.push_back(RawPeer::connect(host.port(), from));
  }
  for (const std::size_t oldest : {0U, 1U}) {
    EXPECT_FALSE(silent[oldest].is_closed(milliseconds(1)));
    silent.push_back(RawPeer::connect(host.port(), "127.0.0.5"));
    EXPECT_TRUE(silent[oldest].is_closed());
    EXPECT_FALSE(silent[oldest + 1].is_closed(milliseconds(1)));
  }
  const RawPeer peer = RawPeer::connect(host.port(), "127.0.0.6");
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  EXPECT_TRUE(silent[2].is_closed());
  EXPECT_FALSE(silent[3].is_closed(milliseconds(1)));
  EXPECT_FALSE(silent[4].is_closed(milliseconds(1)));
}

TEST(Acceptor, ListensOnSeveralAddressesAndTellsThePeers) {
  Host host({}, milliseconds(30'000), {"::", "127.0.0.1"});
  for (std::size_t i = 0; i < 2; ++i) {
    const RawPeer peer = RawPeer::connect(host.port(i));
    peer.send(RequestParts().bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  }
  EXPECT_EQ(host.addresses(), (std::vector<std::string>{"127.0.0.1", "127.0.0.1"}));
}

TEST(Acceptor, TakesIpv6) {
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) GTEST_SKIP() << "no IPv6 on this machine";
  RawPeer peer(descriptor);
  Host host({}, milliseconds(30'000), {"::"});
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  address.sin6_port = htons(host.port());
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    GTEST_SKIP() << "no IPv6 loopback address on this machine";
  }
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  EXPECT_EQ(host.addresses().at(0), "::1");
}

TEST(Acceptor, TellsAPortThatIsTaken) {
  Host host;
  ListenerOptions options;
  options.name = "second";
  options.address = "127.0.0.1";
  options.port = host.port();
  Acceptor second({options}, {}, nullptr, nullptr, nullptr);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::configuration);
  EXPECT_NE(started.error().message.find(std::to_string(host.port())), std::string::npos);
}

TEST(Acceptor, SurvivesRunningOutOfDescriptors) {
  Host host;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<int> filler;
  filler.reserve(256);
  rlimit small = before;
  small.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &small), 0);
  for (;;) {
    const int descriptor = ::dup(0);
    if (descriptor < 0) break;
    filler.push_back(descriptor);
  }
  // All descriptors are taken: this one waits in the listener's queue.
  ::close(filler.back());
  filler.pop_back();
  const RawPeer late = RawPeer::connect(host.port());
  late.send(RequestParts().bytes());
  EXPECT_EQ(late.receive(6, milliseconds(300)), "");
  for (const int descriptor : filler) ::close(descriptor);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(late.receive_pdu().substr(0, 1), "\2");
}

TEST(Acceptor, StopClosesHalfOpenConnections) {
  Host host;
  const RawPeer peer = RawPeer::connect(host.port());
  peer.send("\1");
  host.stop();
  EXPECT_TRUE(peer.is_closed());
}

}  // namespace
}  // namespace sluice::net
