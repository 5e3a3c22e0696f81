// Every attack on the receiving side, against the built program, over TCP and over TLS:
// what it answers and when, how it ends, that nothing is left of it, that its memory stays
// flat, and that a good sender beside it notices nothing.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/attacks_on_data_sets.h"
#include "tests/e2e/attacks_on_messages.h"
#include "tests/e2e/attacks_on_requests.h"
#include "tests/e2e/gateway_memory.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/tls_certificates.h"
#include "tests/support/raw_peer.h"
#include "tests/support/tls_transport.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::Not;

// Of a good sender's instance, with a busy disk under it.
constexpr milliseconds kUnnoticed{5'000};
constexpr std::size_t kFlat = std::size_t{16} << 20U;

// Sends one small instance after the other on one association, until it ends.
class GoodSender {
 public:
  explicit GoodSender(RawPeer peer) : peer_(std::move(peer)) {
    peer_.send(RequestParts{.calling = "GOOD"}.bytes());
    EXPECT_EQ(peer_.receive_pdu().substr(0, 1), "\2");
    store();
    thread_ = std::thread([this] {
      while (!ending_) store();
    });
  }
  ~GoodSender() { end(); }
  GoodSender(const GoodSender&) = delete;
  GoodSender& operator=(const GoodSender&) = delete;

  // Those that were acknowledged; every one was.
  std::size_t end() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
    EXPECT_LT(slowest_, kUnnoticed);
    return number_;
  }

 private:
  void store() {
    const std::string uid = "1.2.3.4." + std::to_string(++number_);
    const auto begun = steady_clock::now();
    peer_.send(store_message(implicit_ct, small_data_set(kCtStorage, uid), uid));
    EXPECT_THAT(peer_.receive_pdu(), HasSubstr(element(0x0900, little16(0)))) << uid;
    slowest_ = std::max(slowest_, steady_clock::now() - begun);
    std::this_thread::sleep_for(milliseconds(5));  // it is no flood
  }

  RawPeer peer_;
  std::atomic<bool> ending_ = false;
  std::size_t number_ = 0;
  steady_clock::duration slowest_{0};
  std::thread thread_;
};

enum class Carrier { tcp, tls };

class AttackedGateway : public ::testing::Test {
 protected:
  explicit AttackedGateway(Carrier carrier, const std::string& options = "")
      : is_tls_(carrier == Carrier::tls),
        gateway_(folder_.path("gateway"),
                 "[[destination]]\nname = \"archive\"\naddress = \"file://" +
                     folder_.path("archive") + "\"\n[[route]]\ndestinations = [\"archive\"]\n",
                 "max_instance_size = \"8 MiB\"\nduplicate_window = \"0s\"\n"
                 "other_bytes = \"deliver\"\n" +
                     options,
                 kHurriedListener + (is_tls_ ? certificates_.listener() : "")) {
    gateway_.start();
  }

  [[nodiscard]] RawPeer connect() const {
    return is_tls_ ? connect_tls(gateway_.port(), certificates_.modality())
                   : RawPeer::connect(gateway_.port());
  }

  // The attack, and what comes back.
  void play(const Attack& attack) const {
    auto begun = steady_clock::now();  // with the handshake, which shares the request's time
    const RawPeer peer = connect();
    if (attack.is_associated) {
      peer.send(attacked_association().bytes());
      ASSERT_EQ(peer.receive_pdu().substr(0, 1), "\2") << "no association";
      begun = steady_clock::now();
    }
    attack.play(peer);
    const Answer& answer = attack.answer;
    if (answer.has_status) expect_status(peer, answer.status);
    if (!answer.pdu.empty()) {
      EXPECT_EQ(peer.receive_pdu(), answer.pdu);
    }
    const auto took = steady_clock::now() - begun;
    EXPECT_GE(took, attack.after);
    EXPECT_LT(took, attack.after + kAtOnce);
    if (!answer.pdu.empty() || answer.is_reset) {
      EXPECT_EQ(peer.wait_for_end(), answer.is_reset ? PeerEnd::reset : PeerEnd::in_order);
    } else if (answer.has_status) {
      expect_open(peer);
    }
  }

  static void expect_status(const RawPeer& peer, std::size_t status) {
    const std::string response = peer.receive_pdu();
    EXPECT_THAT(response, HasSubstr(element(0x0100, little16(0x8001))));
    EXPECT_THAT(response, HasSubstr(element(0x0900, little16(status))));
    const std::string comment = little16(0) + little16(0x0902);
    EXPECT_EQ(response.find(comment) != std::string::npos, status != 0);
  }

  static void expect_open(const RawPeer& peer) {
    peer.send(data_pdu(pdv(verification, true, true, echo_request(2))));
    EXPECT_THAT(peer.receive_pdu(), HasSubstr(element(0x0100, little16(0x8030))));
    peer.send(release_request());
    EXPECT_EQ(peer.receive_pdu(), release_response());
  }

  // Exactly so many went on their way, and nothing is left of any other.
  void expect_only(std::size_t instances) const {
    EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", instances}})) << gateway_.log();
    EXPECT_TRUE(gateway_.wait_for_empty_spool());
    std::size_t files = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_.path("archive"))) {
      files += entry.is_regular_file() ? 1U : 0U;
    }
    EXPECT_EQ(files, instances);
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      EXPECT_TRUE(entry.path().filename() == "gateway" || entry.path().filename() == "archive");
    }
    EXPECT_FALSE(std::filesystem::exists("/tmp/sluice-was-here"));
  }

  void expect_clean_log() const {
    const std::string log = gateway_.log();
    EXPECT_TRUE(std::ranges::all_of(log, [](char each) {
      return each == '\n' || (each >= ' ' && each <= '~');
    })) << log;
    EXPECT_THAT(log, Not(HasSubstr("Secret")));
  }

  const bool is_tls_;
  TemporaryFolder folder_;
  TlsCertificates certificates_;
  GatewayProcess gateway_;
};

struct Attacks {
  std::string name;
  std::vector<Attack> (*make)();
};

// Over TLS all attacks run, TlsInstead too: TLS inside TLS is bytes like any others.
class HostileModality : public AttackedGateway,
                        public testing::WithParamInterface<std::tuple<Attacks, Carrier>> {
 protected:
  HostileModality() : AttackedGateway(std::get<Carrier>(GetParam())) {}
};

TEST_P(HostileModality, GetsItsAnswerAndLeavesNothing) {
  GoodSender good(connect());
  std::size_t instances = 0;
  const std::size_t before = resident_memory(gateway_.process_id());
  for (const Attack& attack : std::get<Attacks>(GetParam()).make()) {
    SCOPED_TRACE(attack.name);
    forget_peak_memory(gateway_.process_id());
    play(attack);
    if (!kSanitized) {
      EXPECT_LT(peak_memory(gateway_.process_id()), before + kFlat);
    }
    instances += instances_of(attack.answer);
  }
  expect_only(good.end() + instances);
  expect_clean_log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

INSTANTIATE_TEST_SUITE_P(
    Tables, HostileModality,
    testing::Combine(testing::Values(Attacks{"Requests", attacks_on_requests},
                                     Attacks{"Messages", attacks_on_messages},
                                     Attacks{"Nesting", attacks_by_nesting},
                                     Attacks{"Lengths", attacks_by_lengths},
                                     Attacks{"Structures", attacks_by_structure},
                                     Attacks{"Deflation", attacks_by_deflation},
                                     Attacks{"Identities", attacks_by_identity}),
                     testing::Values(Carrier::tcp, Carrier::tls)),
    [](const auto& table) {
      return std::get<0>(table.param).name +
             (std::get<1>(table.param) == Carrier::tls ? "OverTls" : "OverTcp");
    });

struct TagPolicy {
  const char* name;
  Answer answer;
  const char* state;  // of the delivery; "": there is none
};

class IrregularTags : public AttackedGateway, public testing::WithParamInterface<TagPolicy> {
 protected:
  IrregularTags()
      : AttackedGateway(Carrier::tcp,
                        "irregular_tags = \"" + std::string(GetParam().name) + "\"\n") {}

  static std::vector<std::string> values(const nlohmann::json& list, const std::string& key) {
    std::vector<std::string> all;
    for (const auto& each : list) all.push_back(each.at(key));
    return all;
  }
};

// What the sender is told, what becomes of the instance, and that it is flagged where a
// person looks.
TEST_P(IrregularTags, AreFlaggedAndTreatedAsConfigured) {
  const auto expected = testing::ElementsAre("(0008,0016) out of order", "(0020,0011) twice");
  for (const Attack& attack : attacks_by_irregular_tags(GetParam().answer)) {
    SCOPED_TRACE(attack.name);
    play(attack);
  }
  const auto lines = gateway_.lines("tags twice or out of order");
  EXPECT_THAT(values(lines, "tags"), expected) << gateway_.log();
  EXPECT_THAT(values(lines, "level"), testing::Each("warning"));
  EXPECT_THAT(values(lines, "policy"), testing::Each(GetParam().name));
  const std::string state = GetParam().state;
  if (state.empty()) {
    const auto listed = gateway_.run({"queue", "list", "--all", "--json"}).json();
    EXPECT_THAT(listed.at("deliveries"), testing::IsEmpty());
    EXPECT_THAT(values(listed.at("rejections"), "reason"), testing::Each(HasSubstr("tags (00")));
    EXPECT_THAT(gateway_.spooled(), testing::IsEmpty());
  } else {
    EXPECT_TRUE(gateway_.wait_for_counts({{state, 2}})) << gateway_.log();
    const auto listed = gateway_.run({"queue", "list", "--state", state, "--json"}).json();
    EXPECT_THAT(values(listed.at("deliveries"), "irregular_tags"), expected);
  }
  expect_clean_log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

INSTANTIATE_TEST_SUITE_P(Policies, IrregularTags,
                         testing::Values(TagPolicy{"deliver", answered(0), "delivered"},
                                         TagPolicy{"quarantine", answered(0), "quarantined"},
                                         TagPolicy{"reject", answered(0xC000), ""}),
                         [](const auto& policy) { return std::string(policy.param.name); });

}  // namespace
}  // namespace sluice::test
