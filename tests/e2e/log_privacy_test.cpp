// The log of a gateway to which everything happens: above debug it names no patient, and
// nothing from the network forges a line or steers a terminal.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/deliver/scripted_pacs.h"
#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Whatever of these stands in a log is the patient's.
const std::vector<std::string> kPatient = {"Zebrafink", "Quagga", "PID-778899", "19010203",
                                           "ACC-665544"};

const Values kPatientValues = {{DCM_PatientName, "Zebrafink^Quagga"},
                               {DCM_PatientID, "PID-778899"},
                               {DCM_PatientBirthDate, "19010203"},
                               {DCM_AccessionNumber, "ACC-665544"}};

std::string log_destination(const std::string& name, const std::string& address,
                            const std::string& more = "") {
  return "[[destination]]\nname = \"" + name + "\"\naddress = \"" + address +
         "\"\nretry_min = \"50ms\"\nretry_max = \"100ms\"\n" + more;
}

std::string log_route(const std::string& modality, const std::string& destination) {
  return "[[route]]\nwhen = { Modality = \"" + modality +
         "\" }\nfilters = [\"sanitize_uids\", \"merge_studies\", \"numbers\"]\ndestinations = [\"" +
         destination + "\"]\n";
}

// A PACS that has a lot to say about the patient.
ScriptedPacs::React answers(std::size_t status) {
  return [status](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.status = status;
    reaction.comment = "Zebrafink^Quagga PID-778899 born 19010203 ACC-665544";
    return reaction;
  };
}

class LogPrivacy : public ::testing::Test {
 protected:
  LogPrivacy() {
    converting_.take_only({kImplicit});
    // A file where a folder should be: its sender fails for want of a place.
    std::ofstream(folder_.path("file")) << "in the way";
  }

  [[nodiscard]] static std::string address(const ScriptedPacs& pacs) {
    return "dicom://PACS@127.0.0.1:" + std::to_string(pacs.port());
  }
  [[nodiscard]] std::string routing() const {
    return "[[filter]]\nname = \"numbers\"\ntype = \"remap_series_number\"\n"
           "not_integer = \"quarantine\"\n" +
           log_destination("refusing", address(refusing_), "max_failures = 1\n") +
           log_destination("full", address(full_)) + log_destination("warning", address(warning_)) +
           log_destination("converting", address(converting_)) +
           log_destination("away", "dicom://PACS@127.0.0.1:1") +
           log_destination("blocked", "file://" + folder_.path("file") + "/archive") +
           log_route("CT", "refusing") + log_route("MR", "full") + log_route("US", "warning") +
           log_route("CR", "converting") + log_route("DX", "away") + log_route("NM", "blocked");
  }

  // Sends CT_small.dcm with the patient's data; false when it was refused.
  bool send(const std::string& modality, const Values& more = {}) {
    Values values = kPatientValues;
    values.emplace_back(DCM_Modality, modality);
    values.emplace_back(DCM_SOPInstanceUID, "1.2.3." + std::to_string(++sent_));
    values.insert(values.end(), more.begin(), more.end());
    const std::string file = folder_.path("image-" + std::to_string(sent_) + ".dcm");
    copy_image(fixture("CT_small.dcm"), file, values);
    return send_images(gateway_->port(), {file});
  }

  void send_what_ends_badly_or_well();
  void send_what_is_corrupt();
  void damage_what_rests();

  TemporaryFolder folder_;
  ScriptedPacs refusing_{answers(0xC123)};
  ScriptedPacs full_{answers(0xA700)};
  ScriptedPacs warning_{answers(0xB000)};
  ScriptedPacs converting_;
  std::unique_ptr<GatewayProcess> gateway_;
  int sent_ = 0;
};

void LogPrivacy::send_what_ends_badly_or_well() {
  EXPECT_TRUE(send("CT"));                                      // held
  EXPECT_TRUE(send("MR"));                                      // deferred by the PACS
  EXPECT_TRUE(send("US"));                                      // delivered with a warning
  EXPECT_TRUE(send("CR"));                                      // delivered after a conversion
  EXPECT_TRUE(send("DX"));                                      // deferred: nobody there
  EXPECT_TRUE(send("NM"));                                      // deferred: no folder
  EXPECT_TRUE(send("XX"));                                      // quarantined: no route
  EXPECT_TRUE(send("CT", {{DCM_SeriesNumber, "1.5"}}));         // quarantined by a filter
  EXPECT_FALSE(send("CT", {{DCM_SeriesInstanceUID, ""}}));      // rejected by a filter
  EXPECT_TRUE(send("CR", {{DCM_StudyInstanceUID, "1.02.3"}}));  // repaired
  EXPECT_TRUE(gateway_->wait_for_lines("held", 1)) << gateway_->log();
  EXPECT_TRUE(gateway_->wait_for_lines("deferred", 3)) << gateway_->log();
  EXPECT_TRUE(gateway_->wait_for_lines("delivered with a warning", 1)) << gateway_->log();
  EXPECT_TRUE(gateway_->wait_for_lines("delivered", 2)) << gateway_->log();
  EXPECT_FALSE(gateway_->lines("not stored").empty());
}

// A patient's name, and behind it bytes that end too early.
void LogPrivacy::send_what_is_corrupt() {
  const RawPeer peer = RawPeer::connect(gateway_->port());
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  const std::string name = "Zebrafink^Quagga";
  const std::string data = small_data_set(kCtStorage, "1.2.3.4").substr(0, 90) + little16(0x0010) +
                           little16(0x0010) + little32(name.size() + 100) + name;
  peer.send(data_pdu(pdv(3, true, true, store_request(kCtStorage, "1.2.3.4"))) +
            data_pdu(pdv(3, false, true, data)));
  EXPECT_FALSE(peer.receive_pdu().empty());
}

// A bit of the disk flips; then a person wants them sent.
void LogPrivacy::damage_what_rests() {
  for (const std::string& path : gateway_->spooled()) {
    if (!path.ends_with(".dcm")) continue;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-10, std::ios::end);
    file << "??????????";
  }
  EXPECT_EQ(
      gateway_->run({"queue", "retry", "--state", "quarantined", "--state", "held"}).exit_code, 0);
  EXPECT_TRUE(gateway_->wait_for_lines("cannot be routed anew; it stays in quarantine", 1))
      << gateway_->log();
  EXPECT_TRUE(gateway_->wait_for_lines("held", 2)) << gateway_->log();
}

TEST_F(LogPrivacy, NamesNoPatientAtLevelInfo) {
  gateway_ = std::make_unique<GatewayProcess>(folder_.path("gateway"), routing());
  gateway_->start();
  send_what_ends_badly_or_well();
  send_what_is_corrupt();
  damage_what_rests();
  EXPECT_EQ(gateway_->stop(), 0) << gateway_->log();
  for (const std::string& text : kPatient) EXPECT_THAT(gateway_->log(), Not(HasSubstr(text)));
  // What the PACS said is not lost: the queue has it, which is as private as the images.
  const auto held = gateway_->run({"queue", "list", "--state", "held", "--json"});
  EXPECT_EQ(held.exit_code, 0) << held.err;
}

// The check above would see a patient, were one there.
TEST_F(LogPrivacy, NamesPatientsAtLevelDebug) {
  gateway_ = std::make_unique<GatewayProcess>(folder_.path("gateway"), routing(),
                                              "log_level = \"debug\"\n");
  gateway_->start();
  EXPECT_TRUE(send("CT"));
  EXPECT_TRUE(gateway_->wait_for_lines("comment of a destination", 1)) << gateway_->log();
  EXPECT_EQ(gateway_->stop(), 0);
  for (const std::string& text : kPatient) EXPECT_THAT(gateway_->log(), HasSubstr(text));
  const auto held = gateway_->run({"queue", "list", "--state", "held", "--json"}).json();
  EXPECT_THAT(held.at("deliveries").at(0).at("reason").get<std::string>(), HasSubstr("Zebrafink"));
}

TEST_F(LogPrivacy, EscapesWhatWouldForgeALineOrSteerATerminal) {
  gateway_ = std::make_unique<GatewayProcess>(
      folder_.path("gateway"), "ae_titles = [\"SLUICE\"]\n" + routing(), "log_level = \"debug\"\n");
  gateway_->start();
  const std::string evil = "\r\n{\"x\":1}\x1B[2J";
  RequestParts parts;
  parts.calling = "CT" + evil;
  parts.called = "A" + evil;
  const RawPeer rejected = RawPeer::connect(gateway_->port());
  rejected.send(parts.bytes());
  EXPECT_EQ(rejected.receive(10), reject_pdu(1, 1, 7));
  parts.called = "SLUICE";
  const RawPeer peer = RawPeer::connect(gateway_->port());
  peer.send(parts.bytes());
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  const std::string uid = "1.2" + evil;
  for (const std::string& sop_class : {kCtStorage, kCtStorage + evil}) {
    peer.send(data_pdu(pdv(3, true, true, store_request(sop_class, uid))) +
              data_pdu(pdv(3, false, true, small_data_set(sop_class, uid))));
    EXPECT_FALSE(peer.receive_pdu().empty());
  }
  peer.send(release_request());
  EXPECT_EQ(peer.receive_pdu(), release_response());
  EXPECT_TRUE(gateway_->wait_for_lines("association ended", 1)) << gateway_->log();
  EXPECT_EQ(gateway_->stop(), 0);
  std::istringstream lines(gateway_->log());
  std::size_t escaped = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(parsed.is_object() && parsed.contains("message")) << line;
    for (const char character : line) {
      ASSERT_GE(static_cast<unsigned char>(character), 0x20) << line;
    }
    if (line.find("\\u001b[2J") != std::string::npos) ++escaped;
  }
  EXPECT_GE(escaped, 4U) << gateway_->log();
}

}  // namespace
}  // namespace sluice::test
