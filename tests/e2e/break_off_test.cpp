// A sender that leaves inside an instance, behind each of its PDVs in turn: by an A-ABORT,
// by a reset, and by closing; over TCP and over TLS. Nothing of the instance is left, nothing
// of it goes on its way, and the gateway takes the next one.
#include <algorithm>
#include <fstream>
#include <functional>
#include <ios>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/attacks_on_data_sets.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/tls_certificates.h"
#include "tests/support/tls_transport.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kCutOff = "not stored: the association ended inside the instance";

// A C-STORE as PDVs, each in a PDU of its own: three of its command set, five of its data
// set. What came is a whole data set behind each of the five: only that it was not the last
// tells that there was to be more.
std::vector<std::string> pdvs_of_a_store() {
  const std::string command = store_request(kCtStorage, kAttacker);
  const std::size_t size = command.size() / 3 + 1;
  std::vector<std::string> all;
  for (std::size_t i = 0; i < 3; ++i) {
    all.push_back(data_pdu(pdv(implicit_ct, true, i == 2, command.substr(i * size, size))));
  }
  all.push_back(data_pdu(pdv(implicit_ct, false, false, small_data_set(kCtStorage, kAttacker))));
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string more = implicit_head(0x0029, 0x1010 + i, 4) + "more";
    all.push_back(data_pdu(pdv(implicit_ct, false, i == 3, more)));
  }
  return all;
}

struct Leaving {
  std::function<void(RawPeer&)> leave;
  std::string reason;           // of the gateway's line over TCP
  std::string reason_over_tls;  // the same
};

std::vector<Leaving> ways_to_leave() {
  return {
      {[](RawPeer& peer) {
         peer.send(abort_pdu(0, 0));
         peer.close();
       },
       "the peer aborted the association", "the peer aborted the association"},
      {[](RawPeer& peer) { peer.reset(); }, "Connection reset by peer", "Connection reset by peer"},
      {[](RawPeer& peer) { peer.close(); }, "the peer closed the connection",
       "without ending TLS"}};
}

// Nothing that was sent to or from this port waits to be read, or to arrive: what comes with
// a reset would be thrown away. By /proc/net/tcp, see proc(5).
bool all_is_read(std::uint16_t port) {
  constexpr unsigned kEstablished = 1;
  std::ifstream file("/proc/net/tcp");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::ranges::replace(line, ':', ' ');
    std::istringstream words(line);
    unsigned number = 0;
    unsigned address = 0;
    unsigned local = 0;
    unsigned remote = 0;
    unsigned state = 0;
    unsigned unsent = 0;
    unsigned unread = 0;
    words >> number >> std::hex >> address >> local >> address >> remote >> state >> unsent >>
        unread;
    if (!words) throw std::runtime_error("no line of /proc/net/tcp: " + line);
    const bool is_ours = state == kEstablished && (local == port || remote == port);
    if (is_ours && (unsent != 0 || unread != 0)) return false;
  }
  return true;
}

class BreakOff : public ::testing::TestWithParam<bool> {
 protected:
  BreakOff()
      : gateway_(folder_.path("gateway"),
                 "[[destination]]\nname = \"archive\"\naddress = \"file://" +
                     folder_.path("archive") + "\"\n[[route]]\ndestinations = [\"archive\"]\n",
                 "", GetParam() ? certificates_.listener() : "") {
    gateway_.start();
  }

  [[nodiscard]] RawPeer associated_peer() const {
    RawPeer peer = GetParam() ? connect_tls(gateway_.port(), certificates_.modality())
                              : RawPeer::connect(gateway_.port());
    peer.send(attacked_association().bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
    return peer;
  }

  TemporaryFolder folder_;
  TlsCertificates certificates_;
  GatewayProcess gateway_;
};

// Behind the last PDV the instance is whole; what then becomes of it is another promise.
TEST_P(BreakOff, BehindEachPdvLeavesNothing) {
  const std::vector<std::string> pdvs = pdvs_of_a_store();
  std::size_t ended = 0;
  for (const Leaving& way : ways_to_leave()) {
    const std::string& reason = GetParam() ? way.reason_over_tls : way.reason;
    for (std::size_t sent = 1; sent < pdvs.size(); ++sent) {
      SCOPED_TRACE(reason + " behind PDV " + std::to_string(sent));
      RawPeer peer = associated_peer();
      for (std::size_t i = 0; i < sent; ++i) ASSERT_TRUE(peer.send(pdvs[i]));
      ASSERT_TRUE(wait_until([&] { return all_is_read(gateway_.port()); }));
      way.leave(peer);
      ASSERT_TRUE(gateway_.wait_for_lines("association ended", ++ended)) << gateway_.log();
      const auto line = gateway_.lines("association ended").back();
      EXPECT_THAT(line.at("reason").get<std::string>(), HasSubstr(reason));
      EXPECT_THAT(gateway_.spooled(), SizeIs(0));
    }
  }
  // Behind the first three PDVs there is a command and so an instance, though without a byte.
  EXPECT_THAT(gateway_.lines(kCutOff), SizeIs(3 * (pdvs.size() - 3)));
  const RawPeer peer = associated_peer();
  for (const std::string& each : pdvs) peer.send(each);
  EXPECT_THAT(peer.receive_pdu(), HasSubstr(element(0x0900, little16(0))));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  EXPECT_THAT(gateway_.lines("stored"), SizeIs(1));
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

INSTANTIATE_TEST_SUITE_P(Carriers, BreakOff, testing::Bool(),
                         [](const auto& carrier) { return carrier.param ? "Tls" : "Tcp"; });

}  // namespace
}  // namespace sluice::test
