// TLS on a listener: who is let in, who is not, and what is said of it.
#include "gateway/net/tls.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "tests/net/tls_host.h"

namespace sluice::net {
namespace {

using namespace sluice::test;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

constexpr int kAccepted = 2;
constexpr int kRejected = 3;

class TlsListener : public testing::Test {
 protected:
  // The handshake, or in TLS 1.3 what follows it, fails, and the reason is told.
  void expect_refusal(const TlsWish& wish, const std::string& reason) const {
    TlsHost host(files_.listener);
    const Labels labels{{"kind", "listener"}, {"name", "test"}, {"reason", reason}};
    const auto before = counted("sluice_security_alerts_total", labels);
    TlsPeer peer = TlsPeer::connect(host.port(), wish);
    EXPECT_EQ(ask_for_association(peer), -1);
    EXPECT_TRUE(host.wait_for_alert(reason));
    ASSERT_EQ(host.alerts().size(), 1U) << host.alerts().at(0).reason;
    EXPECT_EQ(host.alerts()[0].peer_address, "127.0.0.1");
    EXPECT_EQ(counted("sluice_security_alerts_total", labels), before + 1);
  }

  TlsFiles files_;
};

TEST_F(TlsListener, SpeaksTls12And13) {
  TlsHost host(files_.listener);
  for (const auto& [version, name] :
       {std::pair(TLS1_2_VERSION, "TLSv1.2"), std::pair(TLS1_3_VERSION, "TLSv1.3")}) {
    TlsWish wish = files_.client();
    wish.least_version = wish.most_version = version;
    TlsPeer peer = TlsPeer::connect(host.port(), wish);
    EXPECT_EQ(ask_for_association(peer), kAccepted) << peer.error();
    EXPECT_EQ(peer.version(), name);
  }
  EXPECT_TRUE(host.alerts().empty());
}

TEST_F(TlsListener, TakesEveryoneWhereNoCertificateIsAskedFor) {
  files_.listener.ca.clear();
  files_.listener.client_certificate = "none";
  TlsHost host(files_.listener);
  TlsPeer peer = TlsPeer::connect(host.port(), {.ca = files_.servers.file()});
  EXPECT_EQ(ask_for_association(peer), kAccepted) << peer.error();
}

TEST_F(TlsListener, RefusesTls11) {
  TlsWish wish = files_.client();
  wish.least_version = wish.most_version = TLS1_1_VERSION;
  wish.security_level = 0;
  expect_refusal(wish, "protocol version");
}

TEST_F(TlsListener, RefusesCipherSuitesWithoutForwardSecrecyOrAead) {
  for (const char* suites : {"ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256"}) {
    TlsWish wish = files_.client();
    wish.most_version = TLS1_2_VERSION;
    wish.security_level = 0;
    wish.cipher_suites = suites;
    expect_refusal(wish, "no shared cipher");
  }
}

TEST_F(TlsListener, RefusesAClientWithoutCertificate) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    expect_refusal({.ca = files_.servers.file(), .most_version = version}, "no certificate");
  }
}

TEST_F(TlsListener, RefusesACertificateOfAnotherAuthority) {
  TlsWish wish = files_.client();
  const Issued foreign = files_.servers.issue("foreign");
  wish.certificate = foreign.certificate;
  wish.key = foreign.key;
  expect_refusal(wish, "unknown CA");
}

TEST_F(TlsListener, RefusesAnExpiredCertificate) {
  expect_refusal(files_.client("old", {.begins = hours(-48), .ends = hours(-1)}),
                 "certificate expired");
}

TEST_F(TlsListener, RefusesACertificateOfTomorrow) {
  expect_refusal(files_.client("early", {.begins = hours(24), .ends = hours(48)}),
                 "certificate not yet valid");
}

TEST_F(TlsListener, RefusesARevokedCertificateAndTakesItsNeighbour) {
  const TlsWish revoked = files_.client("revoked");
  files_.listener.crl = files_.clients.revoke({files_.last_serial});
  expect_refusal(revoked, "certificate revoked");
  TlsHost host(files_.listener);
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client("neighbour"));
  EXPECT_EQ(ask_for_association(peer), kAccepted) << peer.error();
}

TEST_F(TlsListener, RefusesWhenTheCrlIsOutOfDate) {
  const TlsWish wish = files_.client();
  files_.listener.crl = files_.clients.revoke({}, hours(-1));
  expect_refusal(wish, "no current CRL");
}

TEST_F(TlsListener, RefusesACertificateThatNoCrlCovers) {
  const TlsWish wish = files_.client();
  files_.listener.crl = files_.servers.revoke({});
  expect_refusal(wish, "no current CRL");
}

TEST_F(TlsListener, NamesTheCertificateThatWasRefused) {
  TlsHost host(files_.listener);
  TlsPeer peer = TlsPeer::connect(
      host.port(), files_.client("old", {.common_name = "scanner\n7", .ends = hours(-1)}));
  EXPECT_EQ(ask_for_association(peer), -1);
  ASSERT_TRUE(host.wait_for_alert("certificate expired"));
  EXPECT_THAT(host.alerts()[0].certificate, HasSubstr("CN=scanner"));
}

TEST_F(TlsListener, RefusesPlainDicom) {
  TlsHost host(files_.listener);
  const RawPeer peer = RawPeer::connect(host.port());
  peer.send(RequestParts().bytes());
  EXPECT_TRUE(host.wait_for_alert("not TLS"));
  EXPECT_EQ(peer.receive(1), "");
}

TEST_F(TlsListener, RejectsAnAeTitleThatIsBoundToAnotherCertificate) {
  files_.listener.ae_titles = {{"ct1", {"CT1", "CT2"}}, {"mr1", {"MR1"}}};
  TlsHost host(files_.listener);
  const TlsWish wish = files_.client();
  TlsPeer good = TlsPeer::connect(host.port(), wish);
  EXPECT_EQ(ask_for_association(good, {.calling = "CT2"}), kAccepted);
  for (const char* title : {"MR1", "UNKNOWN"}) {
    TlsPeer peer = TlsPeer::connect(host.port(), wish);
    ASSERT_TRUE(peer.handshake());
    peer.send(RequestParts{.calling = title}.bytes());
    EXPECT_EQ(peer.receive_pdu(), reject_pdu(1, 1, 3));
    EXPECT_TRUE(peer.is_ended_in_order());
  }
  ASSERT_EQ(host.alerts().size(), 2U);
  EXPECT_EQ(host.alerts()[0].reason, "AE title of another");
  EXPECT_EQ(host.alerts()[0].calling_ae_title, "MR1");
  EXPECT_EQ(host.alerts()[0].certificate, "CN=ct1");
}

TEST_F(TlsListener, AnOptionalCertificateGuardsTheAeTitlesThatAreBoundToOne) {
  files_.listener.client_certificate = "optional";
  files_.listener.ae_titles = {{"ct1", {"CT1"}}, {"router", {"*"}}};
  TlsHost host(files_.listener);
  const TlsWish nobody{.ca = files_.servers.file()};
  TlsPeer thief = TlsPeer::connect(host.port(), nobody);
  EXPECT_EQ(ask_for_association(thief, {.calling = "CT1"}), kRejected);
  TlsPeer guest = TlsPeer::connect(host.port(), nobody);
  EXPECT_EQ(ask_for_association(guest, {.calling = "OTHER"}), kAccepted);
  TlsPeer router =
      TlsPeer::connect(host.port(), files_.client("router", {.common_name = "router"}));
  EXPECT_EQ(ask_for_association(router, {.calling = "CT1"}), kAccepted);
}

TEST_F(TlsListener, FindsTheHolderByDnsNameAndByFingerprint) {
  const TlsWish wish =
      files_.client("named", {.common_name = "x", .alternatives = "DNS:CT1.Example"});
  BIO* const file = BIO_new_file(wish.certificate.c_str(), "r");
  const CertificateHandle certificate(PEM_read_bio_X509(file, nullptr, nullptr, nullptr));
  BIO_free(file);
  for (const std::string& name :
       {std::string("ct1.example"), "sha256:" + fingerprint_of(*certificate)}) {
    files_.listener.ae_titles = {{name, {"CT1"}}};
    TlsHost host(files_.listener);
    TlsPeer peer = TlsPeer::connect(host.port(), wish);
    EXPECT_EQ(ask_for_association(peer, {.calling = "CT1"}), kAccepted) << name;
  }
}

TEST_F(TlsListener, TakesARequestInRecordsOfAByte) {
  TlsHost host(files_.listener);
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
  ASSERT_TRUE(peer.handshake());
  for (const char byte : RequestParts().bytes()) ASSERT_TRUE(peer.send(std::string(1, byte)));
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
}

TEST_F(TlsListener, AnswersABrokenRequestByAnAbortOverTls) {
  TlsHost host(files_.listener);
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
  ASSERT_TRUE(peer.handshake());
  peer.send(pdu(1, "too short"));
  EXPECT_EQ(peer.receive_pdu(), abort_pdu(2, 6));
  EXPECT_TRUE(peer.is_ended_in_order());
}

TEST_F(TlsListener, DoesNotRenegotiate) {
  TlsHost host(files_.listener);
  TlsWish wish = files_.client();
  wish.most_version = TLS1_2_VERSION;
  TlsPeer peer = TlsPeer::connect(host.port(), wish);
  ASSERT_EQ(ask_for_association(peer), kAccepted);
  SSL_renegotiate(peer.ssl());
  EXPECT_FALSE(peer.handshake());
  EXPECT_THAT(peer.error(), HasSubstr("renegotiation"));
}

TEST_F(TlsListener, DoesNotResume) {
  TlsHost host(files_.listener);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsWish wish = files_.client();
    wish.most_version = version;
    TlsPeer first = TlsPeer::connect(host.port(), wish);
    ASSERT_EQ(ask_for_association(first), kAccepted);
    SSL_SESSION* const session = SSL_get1_session(first.ssl());
    TlsPeer second = TlsPeer::connect(host.port(), wish);
    SSL_set_session(second.ssl(), session);
    EXPECT_EQ(ask_for_association(second), kAccepted);
    EXPECT_EQ(SSL_session_reused(second.ssl()), 0);
    SSL_SESSION_free(session);
  }
}

TEST_F(TlsListener, TellsAnEndInOrderFromBeingCutOff) {
  for (const bool in_order : {true, false}) {
    TlsHost host(files_.listener);
    TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
    ASSERT_EQ(ask_for_association(peer), kAccepted);
    // Inside a message.
    peer.send(data_pdu(pdv(1, true, false, echo_request())));
    if (in_order) peer.end_in_order();
    peer.close();
    const TlsHost::Ending ending = host.wait_for_ending();
    EXPECT_EQ(ending.ended.kind, Ended::Kind::connection);
    EXPECT_EQ(ending.connection,
              in_order ? Connection::Ending::closed_by_peer : Connection::Ending::broken);
    EXPECT_THAT(ending.ended.reason, in_order ? HasSubstr("the peer closed the connection")
                                              : HasSubstr("without ending TLS"));
  }
}

TEST_F(TlsListener, NoticesAForgedRecord) {
  TlsHost host(files_.listener);
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
  ASSERT_EQ(ask_for_association(peer), kAccepted);
  const std::string forged = std::string("\x17\x03\x03\0\x20", 5) + std::string(32, 'x');
  ASSERT_GT(::send(peer.descriptor(), forged.data(), forged.size(), MSG_NOSIGNAL), 0);
  const TlsHost::Ending ending = host.wait_for_ending();
  EXPECT_EQ(ending.connection, Connection::Ending::broken);
  EXPECT_THAT(ending.ended.reason, HasSubstr("TLS failed"));
}

// The first bytes of a handshake, as the peer would send them.
std::string client_hello() {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL* const ssl = SSL_new(context);
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl);
  SSL_do_handshake(ssl);
  char* bytes = nullptr;
  const long length = BIO_get_mem_data(out, &bytes);
  std::string hello(bytes, static_cast<std::size_t>(length));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return hello;
}

TEST_F(TlsListener, EndsAHandshakeThatDribblesPastItsDeadline) {
  TlsHost host(files_.listener, {}, milliseconds(300));
  const RawPeer peer = RawPeer::connect(host.port());
  const auto begun = steady_clock::now();
  const std::string hello = client_hello();
  std::size_t sent = 0;
  while (sent < hello.size() && !peer.is_closed(milliseconds(20))) {
    peer.send(hello.substr(sent++, 1));
  }
  EXPECT_TRUE(peer.is_closed());
  EXPECT_GE(steady_clock::now() - begun, milliseconds(250));
  EXPECT_LT(steady_clock::now() - begun, milliseconds(5000));
  EXPECT_LT(sent, hello.size());
}

TEST_F(TlsListener, EndsAClientThatIsSilentBehindItsHandshake) {
  TlsHost host(files_.listener, {}, milliseconds(300));
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
  ASSERT_TRUE(peer.handshake());
  EXPECT_EQ(peer.receive_pdu(), abort_pdu(0, 0));
  EXPECT_TRUE(peer.is_ended_in_order());
}

// Half of the time goes for the handshake: what is left is for the request, and no more.
TEST_F(TlsListener, HandshakeAndRequestShareOneDeadline) {
  constexpr milliseconds kAll{3'000};
  constexpr milliseconds kHalf{1'500};
  TlsHost host(files_.listener, {}, kAll);
  const auto begun = steady_clock::now();
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
  std::this_thread::sleep_until(begun + kHalf);  // the time that passes is what is tested
  ASSERT_TRUE(peer.handshake()) << peer.error();
  ASSERT_TRUE(peer.send(RequestParts().bytes().substr(0, 100)));
  EXPECT_EQ(peer.receive_pdu(), abort_pdu(0, 0));
  EXPECT_TRUE(peer.is_ended_in_order());
  const auto took = steady_clock::now() - begun;
  EXPECT_GE(took, kAll);
  EXPECT_LT(took, kHalf + kAll);
}

TEST_F(TlsListener, ServesBesideThreeHundredHalfOpenHandshakes) {
  Limits limits;
  limits.half_open_per_address = 400;
  TlsHost host(files_.listener, limits);
  const TlsWish wish = files_.client();
  const auto time_of_one = [&] {
    const auto begun = steady_clock::now();
    TlsPeer peer = TlsPeer::connect(host.port(), wish);
    EXPECT_EQ(ask_for_association(peer), kAccepted) << peer.error();
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun);
  };
  const milliseconds alone = time_of_one();
  const std::string hello = client_hello();
  std::vector<RawPeer> half_open;
  for (std::size_t i = 0; i < 300; ++i) {
    half_open.push_back(RawPeer::connect(host.port()));
    // Some say nothing, some half a hello, some let the listener sign and go no further.
    if (i % 3 != 0) half_open.back().send(i % 3 == 1 ? hello : hello.substr(0, hello.size() / 2));
  }
  const milliseconds beside = time_of_one();
  RecordProperty("milliseconds_alone", static_cast<int>(alone.count()));
  RecordProperty("milliseconds_beside", static_cast<int>(beside.count()));
  EXPECT_LT(beside, milliseconds(2000));
  for (const std::size_t i : {0U, 1U, 2U}) {
    if (i == 1) continue;  // has its answer to read
    EXPECT_FALSE(half_open[i].is_closed(milliseconds(1)));
  }
}

TEST_F(TlsListener, AFloodOfHandshakesPushesOutItsOldest) {
  Limits limits;
  limits.half_open_per_address = 3;
  TlsHost host(files_.listener, limits);
  std::vector<RawPeer> half_open;
  for (int i = 0; i < 3; ++i) {
    half_open.push_back(RawPeer::connect(host.port()));
    half_open.back().send("\x16");
  }
  TlsPeer peer = TlsPeer::connect(host.port(), files_.client());
  EXPECT_EQ(ask_for_association(peer), kAccepted) << peer.error();
  EXPECT_TRUE(half_open[0].is_closed());
  EXPECT_FALSE(half_open[1].is_closed(milliseconds(1)));
}

TEST_F(TlsListener, TakesRenewedCertificatesWithoutARestart) {
  files_.listener.crl = files_.clients.revoke({});
  TlsHost host(files_.listener);
  const TlsWish wish = files_.client();
  TlsPeer before = TlsPeer::connect(host.port(), wish);
  EXPECT_EQ(ask_for_association(before), kAccepted) << before.error();
  static_cast<void>(files_.clients.revoke({files_.last_serial}));
  const bool refused = wait_until([&] {
    TlsPeer after = TlsPeer::connect(host.port(), wish);
    return ask_for_association(after) == -1;
  });
  EXPECT_TRUE(refused);
  EXPECT_TRUE(host.wait_for_alert("certificate revoked"));
}

TEST_F(TlsListener, KeepsWhatWasGoodWhenAChangedFileIsNot) {
  TlsHost host(files_.listener);
  const TlsWish wish = files_.client();
  // A renewal of which only half is there yet.
  const TemporaryFolder other;
  Authority(other.path("")).issue("gateway");
  std::filesystem::rename(other.path("gateway.key"), files_.listener.key);
  const auto until = steady_clock::now() + milliseconds(1500);
  do {
    TlsPeer peer = TlsPeer::connect(host.port(), wish);
    ASSERT_EQ(ask_for_association(peer), kAccepted) << peer.error();
  } while (steady_clock::now() < until);
}

TEST(PlainListener, TellsAClientThatSpeaksTls) {
  std::vector<SecurityAlert> alerts;
  std::mutex mutex;
  StopSignal stop;
  ListenerOptions options;
  options.name = "plain";
  options.address = "127.0.0.1";
  options.security_alert = [&](const SecurityAlert& alert) {
    const std::lock_guard lock(mutex);
    alerts.push_back(alert);
  };
  Acceptor acceptor({options}, {}, nullptr, nullptr, &stop);
  ASSERT_TRUE(acceptor.start());
  TlsPeer peer = TlsPeer::connect(acceptor.ports()[0]);
  EXPECT_FALSE(peer.handshake());
  acceptor.stop();
  ASSERT_EQ(alerts.size(), 1U);
  EXPECT_EQ(alerts[0].reason, "TLS on a plain port");
}

}  // namespace
}  // namespace sluice::net
