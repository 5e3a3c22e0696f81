// What the audit trail tells of instances on their way through the built program.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/audit/collector.h"
#include "tests/audit/parsed_message.h"
#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"
#include "tests/e2e/tls_certificates.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kBegin = "110102/DCM/Begin Transferring DICOM Instances";
constexpr const char* kTransferred = "110104/DCM/DICOM Instances Transferred";
constexpr const char* kActivity = "110100/DCM/Application Activity";
constexpr const char* kAccessed = "110103/DCM/DICOM Instances Accessed";
constexpr const char* kAlert = "110113/DCM/Security Alert";
constexpr const char* kUser = "110114/DCM/User Authentication";

class Audit : public ::testing::Test {
 protected:
  [[nodiscard]] std::string routing(const std::string& collector) const {
    return "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs_.address() +
           "\"\nassociations = 1\nretry_min = \"50ms\"\nretry_max = \"200ms\"\n\n"
           "[[route]]\ndestinations = [\"pacs\"]\n\n"
           "[audit]\nsource_id = \"sluice-test\"\nsite_id = \"Hospital\"\n"
           "[[audit.destination]]\naddress = \"" +
           collector + "\"\nretry_min = \"50ms\"\nretry_max = \"200ms\"\n";
  }

  // The messages with this code, in their order.
  static std::vector<Tree> messages(const Collector& collector, const std::string& code) {
    std::vector<Tree> found;
    for (const std::string& message : collector.messages()) {
      Tree tree = parse_xml(xml_of(message));
      if (code_of(tree, "EventIdentification.EventID") == code) found.push_back(std::move(tree));
    }
    return found;
  }
  static bool wait_for(const Collector& collector, const std::string& code, std::size_t count) {
    return wait_until([&] { return messages(collector, code).size() >= count; }, kDeadline);
  }

  // Those whose source, or destination, is this AE title.
  static std::vector<Tree> with_peer(const std::vector<Tree>& all, std::size_t participant,
                                     const std::string& user_id) {
    std::vector<Tree> found;
    for (const Tree& tree : all) {
      if (attribute(child(tree, "ActiveParticipant", participant), "UserID") == user_id) {
        found.push_back(tree);
      }
    }
    return found;
  }
  static std::string description(const Tree& tree) {
    return child(tree, "EventIdentification").get<std::string>("EventOutcomeDescription", "");
  }
  static std::string study(const Tree& tree) {
    return attribute(child(tree, "ParticipantObjectIdentification", 0), "ParticipantObjectID");
  }
  static std::string patient(const Tree& tree) {
    return attribute(child(tree, "ParticipantObjectIdentification", 1), "ParticipantObjectID");
  }
  static int instances(const std::vector<Tree>& all, const std::string& study_instance_uid) {
    int sum = 0;
    for (const Tree& tree : all) {
      if (study(tree) != study_instance_uid) continue;
      const Tree sop_class = child(
          child(child(tree, "ParticipantObjectIdentification"), "ParticipantObjectDescription"),
          "SOPClass");
      sum += std::stoi(attribute(sop_class, "NumberOfInstances"));
    }
    return sum;
  }

  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};
};

TEST_F(Audit, TellsOfEachStudyInBothDirections) {
  const Collector collector;
  GatewayProcess gateway(folder_.path("gateway"), routing(collector.address()));
  pacs_.start();
  gateway.start();
  auto images = make_series(folder_.path("a"), "1.2.3.1", 5,
                            {{DCM_StudyInstanceUID, "1.2.3.100"}, {DCM_PatientID, "PID-A"}});
  const auto more = make_series(folder_.path("b"), "1.2.3.2", 3,
                                {{DCM_StudyInstanceUID, "1.2.3.200"}, {DCM_PatientID, "PID-B"}});
  images.insert(images.end(), more.begin(), more.end());
  EXPECT_TRUE(send_images(gateway.port(), images));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 8}}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();

  for (const std::string& message : collector.messages()) {
    EXPECT_THAT(message, ::testing::StartsWith("<85>1 "));
    EXPECT_THAT(message, HasSubstr(" DICOM+RFC3881 [meta sequenceId="));
    EXPECT_THAT(message, HasSubstr("AuditSourceID=\"sluice-test\""));
  }
  const auto activities = messages(collector, kActivity);
  ASSERT_EQ(activities.size(), 2U);
  EXPECT_EQ(code_of(activities[0], "EventIdentification.EventTypeCode"),
            "110120/DCM/Application Start");
  EXPECT_EQ(code_of(activities[1], "EventIdentification.EventTypeCode"),
            "110121/DCM/Application Stop");
  const auto begun = with_peer(messages(collector, kBegin), 0, "MODALITY");
  ASSERT_EQ(begun.size(), 2U);
  EXPECT_EQ(study(begun[0]), "1.2.3.100");
  EXPECT_EQ(patient(begun[0]), "PID-A");
  const auto received = with_peer(messages(collector, kTransferred), 0, "MODALITY");
  ASSERT_EQ(received.size(), 2U);
  EXPECT_EQ(patient(received[1]), "PID-B");
  EXPECT_EQ(instances(received, "1.2.3.100"), 5);
  EXPECT_EQ(instances(received, "1.2.3.200"), 3);
  const auto sent = with_peer(messages(collector, kTransferred), 1, "PACS");
  EXPECT_EQ(instances(sent, "1.2.3.100"), 5);
  EXPECT_EQ(instances(sent, "1.2.3.200"), 3);
  EXPECT_GE(with_peer(messages(collector, kBegin), 1, "PACS").size(), 2U);
  EXPECT_THAT(gateway.log(), Not(HasSubstr("PID-A")));
}

TEST_F(Audit, OutlastsAKillAndACollectorThatIsAway) {
  const std::uint16_t port = quiet_port();
  GatewayProcess gateway(folder_.path("gateway"),
                         routing("syslog://127.0.0.1:" + std::to_string(port)));
  pacs_.start();
  gateway.start();
  EXPECT_TRUE(send_images(gateway.port(), make_series(folder_.path("a"), "1.2.3.1", 4,
                                                      {{DCM_StudyInstanceUID, "1.2.3.100"}})));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 4}}));
  // Both directions are told and committed: nothing else says so while there is no collector.
  EXPECT_TRUE(wait_until(
      [&] {
        return run_program({"sqlite3", gateway.data_dir() + "/audit.db",
                            "SELECT count(*) FROM messages WHERE xml LIKE '%110104%'"})
                   .out == "2\n";
      },
      kDeadline));
  gateway.kill();
  const Collector collector(port);
  gateway.start();
  EXPECT_TRUE(wait_for(collector, kActivity, 2));
  EXPECT_TRUE(wait_for(collector, kTransferred, 2));
  EXPECT_EQ(instances(with_peer(messages(collector, kTransferred), 0, "MODALITY"), "1.2.3.100"), 4);
  EXPECT_EQ(instances(with_peer(messages(collector, kTransferred), 1, "PACS"), "1.2.3.100"), 4);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST_F(Audit, AlertsOfAnAeTitleThatIsNotTaken) {
  const Collector collector;
  GatewayProcess gateway(folder_.path("gateway"), routing(collector.address()));
  gateway.start();
  std::string toml = read_file(gateway.config_file());
  EXPECT_EQ(gateway.stop(), 0);
  const std::string port = "port = 0\n";
  toml.replace(toml.find(port), port.size(), port + "calling_ae_titles = [\"CT*\"]\n");
  std::ofstream(gateway.config_file()) << toml;
  gateway.start();
  for (int i = 0; i < 3; ++i) {
    (void)run_program({"echoscu", "-aet", "EVIL", "127.0.0.1", std::to_string(gateway.port())});
  }
  EXPECT_TRUE(wait_for(collector, kAlert, 1));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  const auto alerts = messages(collector, kAlert);
  ASSERT_EQ(alerts.size(), 1U);  // the same within a minute
  EXPECT_EQ(code_of(alerts[0], "EventIdentification.EventTypeCode"),
            "110126/DCM/Node Authentication");
  EXPECT_EQ(attribute(child(alerts[0], "ActiveParticipant", 1), "UserID"), "EVIL");
  EXPECT_EQ(attribute(child(alerts[0], "ParticipantObjectIdentification"), "ParticipantObjectID"),
            "127.0.0.1");
}

// Over TLS: one without a certificate, and one whose certificate is not for its AE title.
TEST_F(Audit, AlertsOfTlsClientsThatAreRefused) {
  const Collector collector;
  const TlsCertificates certificates;
  GatewayProcess gateway(folder_.path("gateway"), routing(collector.address()), "",
                         certificates.listener("[listener.tls.ae_titles]\nmodality = \"CT1\"\n"));
  gateway.start();
  const auto images = make_series(folder_.path("a"), "1.2.3.1", 1);
  EXPECT_FALSE(send_images(gateway.port(), images, certificates.dcmtk_nobody()));
  EXPECT_TRUE(wait_for(collector, kAlert, 1));
  EXPECT_FALSE(send_images(gateway.port(), images, certificates.dcmtk_modality()));
  EXPECT_TRUE(wait_for(collector, kAlert, 2));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  const auto alerts = messages(collector, kAlert);
  ASSERT_EQ(alerts.size(), 2U);
  for (const Tree& alert : alerts) {
    EXPECT_EQ(code_of(alert, "EventIdentification.EventTypeCode"),
              "110126/DCM/Node Authentication");
    EXPECT_EQ(attribute(child(alert, "EventIdentification"), "EventOutcomeIndicator"), "4");
    EXPECT_EQ(attribute(child(alert, "ParticipantObjectIdentification"), "ParticipantObjectID"),
              "127.0.0.1");
  }
  EXPECT_THAT(description(alerts[0]), HasSubstr("no certificate"));
  EXPECT_THAT(description(alerts[1]), HasSubstr("AE title of another"));
  EXPECT_THAT(description(alerts[1]), HasSubstr("CN=modality"));
  EXPECT_EQ(attribute(child(alerts[1], "ActiveParticipant", 1), "UserID"), "MODALITY");
  EXPECT_TRUE(messages(collector, kUser).empty());
}

TEST_F(Audit, TellsWhoATlsClientIsByItsCertificate) {
  const Collector collector;
  const TlsCertificates certificates;
  GatewayProcess gateway(folder_.path("gateway"), routing(collector.address()), "",
                         certificates.listener());
  pacs_.start();
  gateway.start();
  EXPECT_TRUE(send_images(gateway.port(), make_series(folder_.path("a"), "1.2.3.1", 2),
                          certificates.dcmtk_modality()));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 2}}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  const auto logins = messages(collector, kUser);
  ASSERT_EQ(logins.size(), 1U);  // one for the association
  EXPECT_EQ(code_of(logins[0], "EventIdentification.EventTypeCode"), "110122/DCM/Login");
  EXPECT_EQ(attribute(child(logins[0], "EventIdentification"), "EventOutcomeIndicator"), "0");
  const Tree who = child(logins[0], "ActiveParticipant", 0);
  EXPECT_EQ(attribute(who, "UserID"), "CN=modality");
  EXPECT_EQ(attribute(who, "NetworkAccessPointID"), "127.0.0.1");
  EXPECT_TRUE(messages(collector, kAlert).empty());
}

// An association that was accepted, and is aborted for what it then does.
TEST_F(Audit, AlertsOfAnAssociationThatBreaksTheRules) {
  const Collector collector;
  GatewayProcess gateway(folder_.path("gateway"), routing(collector.address()));
  gateway.start();
  for (int i = 0; i < 2; ++i) {
    const RawPeer peer = RawPeer::connect(gateway.port());
    peer.send(RequestParts{.calling = "EVIL"}.bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
    peer.send(data_pdu(pdv(1, true, true, "no command")));
    EXPECT_EQ(peer.receive_pdu(), abort_pdu(2, 6));
  }
  EXPECT_TRUE(wait_for(collector, kAlert, 1));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  const auto alerts = messages(collector, kAlert);
  ASSERT_EQ(alerts.size(), 1U);  // the same within a minute
  EXPECT_EQ(attribute(child(alerts[0], "ActiveParticipant", 1), "UserID"), "EVIL");
  EXPECT_THAT(description(alerts[0]), HasSubstr("command set"));
}

TEST_F(Audit, TellsWhoDiscardedWhatWithoutAndBesideAGateway) {
  const Collector collector;
  GatewayProcess gateway(folder_.path("gateway"), routing(collector.address()));
  gateway.start();  // and no PACS
  const auto images = make_series(folder_.path("a"), "1.2.3.1", 2,
                                  {{DCM_StudyInstanceUID, "1.2.3.100"}, {DCM_PatientID, "PID-A"}});
  EXPECT_TRUE(send_images(gateway.port(), images));
  const auto discard = [&](const std::string& uid) {
    return wait_until(
        [&] {
          return gateway
                     .run({"queue", "discard", "--sop-instance-uid", uid, "--reason",
                           "scanned twice"})
                     .exit_code == 0;
        },
        kDeadline);
  };
  EXPECT_TRUE(discard("1.2.3.1.1"));
  EXPECT_TRUE(wait_for(collector, kAccessed, 1));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  EXPECT_TRUE(discard("1.2.3.1.2"));
  gateway.start();
  EXPECT_TRUE(wait_for(collector, kAccessed, 2));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  for (const Tree& tree : messages(collector, kAccessed)) {
    EXPECT_EQ(attribute(child(tree, "EventIdentification"), "EventActionCode"), "D");
    EXPECT_EQ(patient(tree), "PID-A");
    EXPECT_EQ(instances({tree}, "1.2.3.100"), 1);
    EXPECT_EQ(
        attribute(child(tree, "ParticipantObjectIdentification"), "ParticipantObjectDataLifeCycle"),
        "15");
  }
}

}  // namespace
}  // namespace sluice::test
