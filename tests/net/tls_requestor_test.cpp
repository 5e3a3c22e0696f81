// TLS towards a destination: whom it trusts, and what becomes of everyone else.
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/net/tls.h"
#include "tests/net/script.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tls_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

class TlsRequestor : public testing::Test {
 protected:
  TlsRequestor() : servers_(folder_.path("")), clients_(folder_.path(""), "Client CA") {
    tls_.ca = servers_.file();
    use(servers_.issue("pacs"));
  }
  void use(const Issued& issued) {
    pacs_.certificate = issued.certificate;
    pacs_.key = issued.key;
  }

  // A PACS in a thread of its own, behind its handshake.
  [[nodiscard]] std::function<void(RawPeer&)> pacs(std::function<void(TlsPeer&)> play) {
    return [this, play = std::move(play)](RawPeer& raw) {
      TlsPeer peer(raw.release(), true, pacs_);
      if (peer.handshake()) play(peer);
    };
  }
  static void accept(TlsPeer& peer) {
    static_cast<void>(peer.receive_pdu());
    peer.send(associate_accept(kAll, 16384));
  }

  [[nodiscard]] RequestorOptions tls_options(std::uint16_t port) {
    RequestorOptions all = options(port);
    auto context = TlsContext::open(tls_, TlsSide::destination, all.host);
    EXPECT_TRUE(context) << context.error().message;
    all.tls = *context;
    all.name = "pacs";
    all.security_alert = [this](const SecurityAlert& alert) { alerts_.push_back(alert); };
    return all;
  }

  // No association, which is trouble of the connection, and told.
  void expect_refusal(const std::string& reason, const std::string& message) {
    const Script script(pacs([](TlsPeer& peer) { static_cast<void>(peer.receive_pdu()); }));
    const auto opened = Requestor::open(tls_options(script.port()));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::transient);
    EXPECT_THAT(opened.error().message, HasSubstr(message));
    ASSERT_EQ(alerts_.size(), 1U);
    EXPECT_EQ(alerts_[0].reason, reason);
    EXPECT_EQ(alerts_[0].kind, "destination");
    EXPECT_EQ(alerts_[0].name, "pacs");
  }

  TemporaryFolder folder_;
  Authority servers_;
  Authority clients_;
  config::Tls tls_;
  TlsWish pacs_;
  std::vector<SecurityAlert> alerts_;
};

TEST_F(TlsRequestor, StoresOverTls12And13) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    pacs_.least_version = pacs_.most_version = version;
    std::string received;
    std::optional<Script> script(
        std::in_place, pacs([&](TlsPeer& peer) {
          accept(peer);
          std::size_t message_id = 0;
          for (;;) {
            const std::string pdu = peer.receive_pdu();
            if (pdu.size() < 12) return;
            if ((pdu[11] & 1) == 0) {
              received += pdu.substr(12);
            } else {
              const std::size_t at = pdu.find(little16(0) + little16(0x0110) + little32(2)) + 8;
              message_id = static_cast<unsigned char>(pdu.at(at)) +
                           256U * static_cast<unsigned char>(pdu.at(at + 1));
            }
            if ((pdu[11] & 3) == 2) break;
          }
          peer.send(
              data_pdu(pdv(1, true, true, store_response(kCtStorage, kInstance, message_id))));
          static_cast<void>(peer.receive_pdu());
          peer.send(release_response());
        }));
    auto association = Requestor::open(tls_options(script->port()));
    ASSERT_TRUE(association) << association.error().message;
    std::string bytes(300'000, 'x');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
    StringSource source(bytes);
    const auto response = association->store(1, kCtStorage, kInstance, source);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 0);
    association->release();
    script.reset();  // its thread has ended
    EXPECT_TRUE(received == bytes);
  }
  EXPECT_TRUE(alerts_.empty());
}

TEST_F(TlsRequestor, ShowsItsCertificateToWhoAsks) {
  const Issued own = clients_.issue("sluice");
  tls_.certificate = own.certificate;
  tls_.key = own.key;
  pacs_.ca = clients_.file();
  pacs_.asks_for_certificate = true;
  const Script script(pacs([](TlsPeer& peer) { accept(peer); }));
  EXPECT_TRUE(Requestor::open(tls_options(script.port())));
}

TEST_F(TlsRequestor, TellsWhenTheDestinationWantsACertificate) {
  pacs_.ca = clients_.file();
  pacs_.asks_for_certificate = true;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    pacs_.most_version = version;
    alerts_.clear();
    expect_refusal("refused by peer", "certificate");
  }
}

TEST_F(TlsRequestor, RefusesAnUnknownAuthority) {
  use(clients_.issue("pacs"));
  expect_refusal("unknown CA", "is not in ca");
}

TEST_F(TlsRequestor, RefusesAnExpiredCertificate) {
  use(servers_.issue("pacs", {.ends = hours(-1)}));
  expect_refusal("certificate expired", "must get a new one");
}

TEST_F(TlsRequestor, RefusesACertificateOfTomorrow) {
  use(servers_.issue("pacs", {.begins = hours(24), .ends = hours(48)}));
  expect_refusal("certificate not yet valid", "clocks");
}

TEST_F(TlsRequestor, RefusesARevokedCertificate) {
  const Issued issued = servers_.issue("pacs");
  use(issued);
  tls_.crl = servers_.revoke({issued.serial});
  expect_refusal("certificate revoked", "revoked");
}

TEST_F(TlsRequestor, RefusesTheCertificateOfAnotherHost) {
  use(servers_.issue("other", {.common_name = "127.0.0.1", .alternatives = "DNS:other.example"}));
  expect_refusal("wrong name", "name in [destination.tls]");
}

TEST_F(TlsRequestor, TakesTheNameThatIsToBeExpected) {
  use(servers_.issue("other", {.alternatives = "DNS:other.example"}));
  tls_.name = "other.example";
  const Script script(pacs([](TlsPeer& peer) { accept(peer); }));
  EXPECT_TRUE(Requestor::open(tls_options(script.port())));
}

TEST_F(TlsRequestor, RefusesTls11) {
  pacs_.least_version = pacs_.most_version = TLS1_1_VERSION;
  pacs_.security_level = 0;
  expect_refusal("protocol version", "TLS");
}

TEST_F(TlsRequestor, RefusesAKeyThatIsTooShort) {
  pacs_.security_level = 0;
  use(servers_.issue("short", {.rsa_bits = 1024}));
  expect_refusal("bad certificate", "key too weak");
}

TEST_F(TlsRequestor, TellsADestinationThatSpeaksPlainDicom) {
  const Script script([](RawPeer& peer) {
    static_cast<void>(peer.receive(1));
    peer.send(abort_pdu(2, 2));
  });
  const auto opened = Requestor::open(tls_options(script.port()));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("does not speak TLS"));
  ASSERT_EQ(alerts_.size(), 1U);
  EXPECT_EQ(alerts_[0].reason, "not TLS");
}

TEST_F(TlsRequestor, GivesUpASilentHandshakeAfterTheConnectTimeout) {
  // It reads the hello and never answers.
  const Script script([](RawPeer& peer) { static_cast<void>(peer.receive(1 << 20)); });
  RequestorOptions impatient = tls_options(script.port());
  impatient.connect_timeout = milliseconds(200);
  const auto begun = steady_clock::now();
  const auto opened = Requestor::open(impatient);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::transient);
  EXPECT_THAT(opened.error().message, HasSubstr("no TLS connection: the deadline passed"));
  EXPECT_LT(steady_clock::now() - begun, milliseconds(5000));
}

TEST_F(TlsRequestor, DoesNotTakeAnAnswerThatIsCutOff) {
  const Script script(pacs([](TlsPeer& peer) {
    accept(peer);
    while (true) {
      const std::string pdu = peer.receive_pdu();
      if (pdu.size() < 12 || (pdu[11] & 3) == 2) break;
    }
    const std::string answer =
        data_pdu(pdv(1, true, true, store_response(kCtStorage, kInstance, 1)));
    peer.send(answer.substr(0, answer.size() - 1));
    peer.close();
  }));
  auto association = Requestor::open(tls_options(script.port()));
  ASSERT_TRUE(association) << association.error().message;
  StringSource source("data");
  const auto response = association->store(1, kCtStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::transient);
  EXPECT_THAT(response.error().message, HasSubstr("without ending TLS"));
}

TEST_F(TlsRequestor, IsOpenUntilThePeerEndsWhateverTlsSaysInBetween) {
  std::atomic<bool> end = false;
  const Script script(pacs([&](TlsPeer& peer) {
    accept(peer);
    // Bytes on the wire that are none of DICOM's: a new key (RFC 8446 4.6.3).
    SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
    static_cast<void>(SSL_do_handshake(peer.ssl()));
    while (!end) std::this_thread::yield();
    peer.end_in_order();
  }));
  auto association = Requestor::open(tls_options(script.port()));
  ASSERT_TRUE(association) << association.error().message;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(association->is_open());
    std::this_thread::sleep_for(milliseconds(2));
  }
  end = true;
  EXPECT_TRUE(wait_until([&] { return !association->is_open(); }));
}

TEST_F(TlsRequestor, CanBeInterrupted) {
  std::atomic<bool> end = false;
  const Script script(pacs([&](TlsPeer& peer) {
    accept(peer);
    while (!end) std::this_thread::yield();
  }));
  auto association = Requestor::open(tls_options(script.port()));
  ASSERT_TRUE(association) << association.error().message;
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));
    association->interrupt();
  });
  StringSource source("data");
  const auto response = association->store(1, kCtStorage, kInstance, source);
  ASSERT_FALSE(response);
  EXPECT_THAT(response.error().message, HasSubstr("stopped"));
  other.join();
  end = true;
}

}  // namespace
}  // namespace sluice::net
