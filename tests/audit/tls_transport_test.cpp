// Syslog over TLS (RFC 5425), to a collector that is believed and to one that is not.
#include <chrono>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/audit/transport.h"
#include "tests/support/certificates.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tls_peer.h"

namespace sluice::audit {
namespace {

using namespace sluice::test;
using testing::HasSubstr;

class TlsTransport : public testing::Test {
 protected:
  TlsTransport() : authority_(folder_.path("")) {
    const Issued issued = authority_.issue("collector");
    collector_.certificate = issued.certificate;
    collector_.key = issued.key;
    destination_.scheme = "syslogs";
    destination_.host = "127.0.0.1";
    destination_.port = listener_.port();
    destination_.tls.emplace();
    destination_.tls->ca = authority_.file();
  }

  TemporaryFolder folder_;
  Authority authority_;
  TlsWish collector_;
  RawListener listener_;
  config::AuditDestination destination_;
};

TEST_F(TlsTransport, CountsOctetsAndEndsInOrder) {
  std::string received;
  std::thread collector([&] {
    TlsPeer peer(listener_.accept().release(), true, collector_);
    ASSERT_TRUE(peer.handshake()) << peer.error();
    received = peer.receive(100'000);
    peer.end_in_order();
  });
  const auto transport = make_transport(destination_);
  EXPECT_TRUE(transport->send("first"));
  const std::string large(30'000, 'x');
  EXPECT_TRUE(transport->send(large));
  EXPECT_TRUE(transport->finish(std::chrono::steady_clock::now() + std::chrono::seconds(20)));
  collector.join();
  EXPECT_EQ(received, "5 first30000 " + large);
}

TEST_F(TlsTransport, SendsNothingToACollectorOfAnotherAuthority) {
  const Authority other(folder_.path(""), "Other CA");
  destination_.tls->ca = other.file();
  std::string received;
  std::thread collector([&] {
    TlsPeer peer(listener_.accept().release(), true, collector_);
    if (peer.handshake()) received = peer.receive(1);
  });
  const auto transport = make_transport(destination_);
  const auto sent = transport->send("secret");
  collector.join();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::transient);
  EXPECT_THAT(sent.error().message, HasSubstr("TLS"));
  EXPECT_EQ(received, "");
}

}  // namespace
}  // namespace sluice::audit
