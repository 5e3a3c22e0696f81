#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/audit/messages.h"
#include "gateway/audit/recorder.h"
#include "gateway/audit/syslog.h"
#include "gateway/audit/transfers.h"
#include "gateway/audit/xml.h"
#include "tests/audit/parsed_message.h"

namespace sluice::audit {
namespace {

using namespace sluice::test;
using testing::HasSubstr;
using testing::Not;

const Self kSelf{"gateway.example", "4711", {"SLUICE", "SLUICE2"}};
const Source kSource{"sluice-1", "Hospital"};
const Time kTime{std::chrono::milliseconds(1'764'097'200'123)};
const Subject kSubject{"PID-1", "Doe^Jane", "", "1.2.3"};
const Route kReceived{
    Direction::received, "SLUICE", {"MODALITY", AccessPoint::ip_address, "192.0.2.1"}};
const Route kSent{Direction::sent, "SLUICE", {"PACS", AccessPoint::machine_name, "pacs.example"}};

Tree parsed(const Event& event) {
  const std::string xml = to_xml(event, kSource);
  expect_valid(xml, SLUICE_AUDIT_SCHEMA);
  return parse_xml(xml);
}

std::string event_code(const Tree& tree) {
  return code_of(tree, "EventIdentification.EventID");
}
std::string type_code(const Tree& tree) {
  return code_of(tree, "EventIdentification.EventTypeCode");
}
std::string event_attribute(const Tree& tree, const std::string& name) {
  return attribute(child(tree, "EventIdentification"), name);
}

// Patient ID and Study Instance UID as PS3.15 A.5.3.7 names them.
void expect_study_and_patient(const Tree& tree) {
  const Tree study = child(tree, "ParticipantObjectIdentification", 0);
  EXPECT_EQ(attribute(study, "ParticipantObjectTypeCode"), "2");
  EXPECT_EQ(attribute(study, "ParticipantObjectTypeCodeRole"), "3");
  EXPECT_EQ(code_of(study, "ParticipantObjectIDTypeCode"), "110180/DCM/Study Instance UID");
  EXPECT_EQ(attribute(study, "ParticipantObjectID"), "1.2.3");
  const Tree patient = child(tree, "ParticipantObjectIdentification", 1);
  EXPECT_EQ(attribute(patient, "ParticipantObjectTypeCode"), "1");
  EXPECT_EQ(attribute(patient, "ParticipantObjectTypeCodeRole"), "1");
  EXPECT_EQ(code_of(patient, "ParticipantObjectIDTypeCode"), "2/RFC-3881/Patient Number");
  EXPECT_EQ(attribute(patient, "ParticipantObjectID"), "PID-1");
  EXPECT_EQ(patient.get<std::string>("ParticipantObjectName"), "Doe^Jane");
}

TEST(AuditMessage, TellsThatTheApplicationStarts) {
  const Tree tree = parsed(application_activity(kSelf, true, kTime));
  EXPECT_EQ(event_code(tree), "110100/DCM/Application Activity");
  EXPECT_EQ(type_code(tree), "110120/DCM/Application Start");
  EXPECT_EQ(event_attribute(tree, "EventActionCode"), "E");
  EXPECT_EQ(event_attribute(tree, "EventOutcomeIndicator"), "0");
  EXPECT_EQ(event_attribute(tree, "EventDateTime"), "2025-11-25T19:00:00.123Z");
  const Tree application = child(tree, "ActiveParticipant");
  EXPECT_EQ(attribute(application, "UserID"), "4711");
  EXPECT_EQ(attribute(application, "AlternativeUserID"), "AETITLES=SLUICE;SLUICE2");
  EXPECT_EQ(code_of(application, "RoleIDCode"), "110150/DCM/Application");
  EXPECT_EQ(attribute(application, "NetworkAccessPointID"), "gateway.example");
  EXPECT_EQ(attribute(application, "NetworkAccessPointTypeCode"), "1");
  const Tree source = child(tree, "AuditSourceIdentification");
  EXPECT_EQ(attribute(source, "AuditSourceID"), "sluice-1");
  EXPECT_EQ(attribute(source, "AuditEnterpriseSiteID"), "Hospital");
}

TEST(AuditMessage, TellsThatTheApplicationStops) {
  EXPECT_EQ(type_code(parsed(application_activity(kSelf, false, kTime))),
            "110121/DCM/Application Stop");
}

TEST(AuditMessage, TellsThatATransferBegins) {
  const Tree tree = parsed(begin_transferring(kSelf, kReceived, kSubject, "1.2.840", kTime));
  EXPECT_EQ(event_code(tree), "110102/DCM/Begin Transferring DICOM Instances");
  EXPECT_EQ(event_attribute(tree, "EventActionCode"), "E");
  expect_study_and_patient(tree);
}

TEST(AuditMessage, TellsWhatWasReceivedFromWhom) {
  const Tree tree = parsed(instances_transferred(kSelf, kReceived, kSubject, {{"1.2.840.1", 7}},
                                                 Outcome::success, "", kTime));
  EXPECT_EQ(event_code(tree), "110104/DCM/DICOM Instances Transferred");
  EXPECT_EQ(event_attribute(tree, "EventActionCode"), "C");
  const Tree source = child(tree, "ActiveParticipant", 0);
  EXPECT_EQ(attribute(source, "UserID"), "MODALITY");
  EXPECT_EQ(attribute(source, "AlternativeUserID"), "AETITLES=MODALITY");
  EXPECT_EQ(attribute(source, "UserIsRequestor"), "true");
  EXPECT_EQ(code_of(source, "RoleIDCode"), "110153/DCM/Source Role ID");
  EXPECT_EQ(attribute(source, "NetworkAccessPointID"), "192.0.2.1");
  EXPECT_EQ(attribute(source, "NetworkAccessPointTypeCode"), "2");
  const Tree destination = child(tree, "ActiveParticipant", 1);
  EXPECT_EQ(attribute(destination, "UserID"), "4711");
  EXPECT_EQ(attribute(destination, "UserIsRequestor"), "false");
  EXPECT_EQ(code_of(destination, "RoleIDCode"), "110152/DCM/Destination Role ID");
  expect_study_and_patient(tree);
  const Tree sop_class =
      child(child(child(tree, "ParticipantObjectIdentification"), "ParticipantObjectDescription"),
            "SOPClass");
  EXPECT_EQ(attribute(sop_class, "UID"), "1.2.840.1");
  EXPECT_EQ(attribute(sop_class, "NumberOfInstances"), "7");
}

TEST(AuditMessage, TellsWhatWasSentToWhom) {
  const Tree tree = parsed(instances_transferred(kSelf, kSent, kSubject, {{"1.2.840.1", 7}},
                                                 Outcome::minor_failure, "status A700", kTime));
  EXPECT_EQ(event_attribute(tree, "EventActionCode"), "R");
  EXPECT_EQ(event_attribute(tree, "EventOutcomeIndicator"), "4");
  EXPECT_EQ(tree.get<std::string>("EventIdentification.EventOutcomeDescription"), "status A700");
  const Tree source = child(tree, "ActiveParticipant", 0);
  EXPECT_EQ(attribute(source, "UserID"), "4711");
  EXPECT_EQ(code_of(source, "RoleIDCode"), "110153/DCM/Source Role ID");
  const Tree destination = child(tree, "ActiveParticipant", 1);
  EXPECT_EQ(attribute(destination, "UserID"), "PACS");
  EXPECT_EQ(attribute(destination, "NetworkAccessPointTypeCode"), "1");
}

TEST(AuditMessage, TellsWhoGaveInstancesUp) {
  const Tree tree = parsed(instances_deleted(kSelf, {"jane", "jane (uid 7)"}, "scanned twice",
                                             kSubject, {{"1.2.840.1", 1}}, true, kTime));
  EXPECT_EQ(event_code(tree), "110103/DCM/DICOM Instances Accessed");
  EXPECT_EQ(event_attribute(tree, "EventActionCode"), "D");
  EXPECT_EQ(attribute(child(tree, "ActiveParticipant"), "UserID"), "jane@gateway.example");
  expect_study_and_patient(tree);
  const Tree study = child(tree, "ParticipantObjectIdentification");
  EXPECT_EQ(attribute(study, "ParticipantObjectDataLifeCycle"), "15");
}

TEST(AuditMessage, AlertsOfANodeThatWasRefused) {
  const Tree tree =
      parsed(node_refused(kSelf, kReceived.peer, Outcome::minor_failure, "no", kTime));
  EXPECT_EQ(event_code(tree), "110113/DCM/Security Alert");
  EXPECT_EQ(type_code(tree), "110126/DCM/Node Authentication");
  EXPECT_EQ(event_attribute(tree, "EventOutcomeIndicator"), "4");
  const Tree subject = child(tree, "ParticipantObjectIdentification");
  EXPECT_EQ(code_of(subject, "ParticipantObjectIDTypeCode"), "110182/DCM/Node ID");
  EXPECT_EQ(attribute(subject, "ParticipantObjectID"), "192.0.2.1");
  const Tree detail = child(subject, "ParticipantObjectDetail");
  EXPECT_EQ(attribute(detail, "type"), "Alert Description");
  EXPECT_EQ(attribute(detail, "value"), "bm8=");
}

TEST(AuditMessage, AlertsOfAStorageFaultAndOfLostMessages) {
  const Tree fault = parsed(storage_fault(kSelf, "file:///data/spool", "write failed", kTime));
  EXPECT_EQ(event_code(fault), "110113/DCM/Security Alert");
  EXPECT_EQ(type_code(fault), "storage-fault/99SLUICE/Storage Fault");
  EXPECT_EQ(code_of(child(fault, "ParticipantObjectIdentification"), "ParticipantObjectIDTypeCode"),
            "12/RFC-3881/URI");
  const Tree lost = parsed(messages_lost(kSelf, 17, "list full", kTime));
  EXPECT_EQ(type_code(lost), "110133/DCM/Audit Recording Stopped");
  EXPECT_THAT(lost.get<std::string>("EventIdentification.EventOutcomeDescription"),
              HasSubstr("audit messages lost: 17"));
}

TEST(AuditMessage, TellsWhomACertificateAuthenticated) {
  const Tree tree = parsed(
      user_authentication(kSelf, "CN=ct1", kReceived.peer, Outcome::success, "TLSv1.3", kTime));
  EXPECT_EQ(event_code(tree), "110114/DCM/User Authentication");
  EXPECT_EQ(type_code(tree), "110122/DCM/Login");
  EXPECT_EQ(attribute(child(tree, "ActiveParticipant"), "UserID"), "CN=ct1");
}

TEST(AuditMessage, StaysWellFormedAndOnOneLineWhateverANameHolds) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const std::vector<std::string> hostile = {
      every_byte,
      "\"/><AuditMessage x=\"",
      "]]>&amp;<!--",
      "\r\n<85>1 - - forged",
      "\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80\xFF",
      std::string("\0\0", 2),
      "\xEF\xBF\xBE\xEF\xBF\xBF\xE2\x80\xA8",
      std::string(100'000, '"'),
  };
  for (const std::string& text : hostile) {
    const Subject subject{text, text, "", text};
    const Route route{Direction::received, text, {text, AccessPoint::ip_address, text}};
    SopClasses classes;
    for (int i = 0; i < 200; ++i) classes[std::to_string(i) + text] = 1;
    const std::string xml =
        to_xml(instances_transferred(kSelf, route, subject, classes, Outcome::success, text, kTime),
               kSource);
    expect_valid(xml, SLUICE_AUDIT_SCHEMA);
    EXPECT_LT(xml.size(), 32'000U);
    EXPECT_THAT(xml, Not(HasSubstr("\n")));
    EXPECT_EQ(parse_xml(xml).count("ActiveParticipant"), 2U);
  }
}

TEST(AuditMessage, ShowsNamesInTheirCharacterSet) {
  const Subject latin{"P\xC4", "M\xFCller", "ISO_IR 100", "1.2.3"};
  const Tree tree = parsed(begin_transferring(kSelf, kSent, latin, "1.2", kTime));
  const Tree patient = child(tree, "ParticipantObjectIdentification", 1);
  EXPECT_EQ(attribute(patient, "ParticipantObjectID"), "P\xC3\x84");
  EXPECT_EQ(patient.get<std::string>("ParticipantObjectName"), "M\xC3\xBCller");
}

TEST(Xml, ShowsWhatItCannotHold) {
  EXPECT_EQ(escape_xml(std::string("a\x01"
                                   "b\x7F",
                                   4)),
            "a\xE2\x90\x81"
            "b\xE2\x90\xA1");
  EXPECT_EQ(escape_xml("\xC3\xA4\xC3"), "\xC3\xA4\xEF\xBF\xBD");
  EXPECT_EQ(escape_xml("a\tb\nc"), "a&#9;b&#10;c");
  EXPECT_EQ(shortened("\xC3\xA4\xC3\xA4\xC3\xA4", 6), "\xC3\xA4\xC3\xA4\xC3\xA4");
  EXPECT_EQ(shortened("\xC3\xA4\xC3\xA4\xC3\xA4x", 6), "\xC3\xA4...");
}

TEST(Syslog, HasFacilityTenAndASeverityByOutcome) {
  const std::string header = syslog_header(Outcome::success, kTime, "host", "7");
  EXPECT_EQ(header, "<85>1 2025-11-25T19:00:00.123Z host sluice 7 DICOM+RFC3881");
  EXPECT_THAT(syslog_header(Outcome::serious_failure, kTime, "a b", "7"), HasSubstr("<84>1 "));
  EXPECT_THAT(syslog_header(Outcome::success, kTime, "a b", "7"), HasSubstr(" a_b sluice "));
  EXPECT_EQ(syslog_message(header, 17, "<x/>"),
            header + " [meta sequenceId=\"17\"] \xEF\xBB\xBF<x/>");
  EXPECT_THAT(syslog_message(header, 2'147'483'648, ""), HasSubstr("sequenceId=\"1\""));
  EXPECT_EQ(octet_counted("\xC3\xA4x"), "3 \xC3\xA4x");
}

class Listed : public Sink {
 public:
  void add(Message message) noexcept override { messages.push_back(std::move(message)); }
  [[nodiscard]] std::vector<std::string> codes() const {
    std::vector<std::string> codes;
    for (const Message& message : messages) codes.push_back(event_code(parse_xml(message.xml)));
    return codes;
  }
  std::vector<Message> messages;
};

TEST(Transfers, SumUpInstancesByStudyOutcomeAndSopClass) {
  Listed listed;
  Recorder recorder(kSelf, kSource, listed);
  {
    Transfers transfers(&recorder, kReceived);
    for (int i = 0; i < 5; ++i) {
      transfers.begin(kSubject, "1.2.840.1", kTime);
      transfers.add(kSubject, "1.2.840.1", Outcome::success, "");
    }
    transfers.add(kSubject, "1.2.840.2", Outcome::success, "");
    transfers.add(kSubject, "1.2.840.1", Outcome::minor_failure, "disk full");
  }
  ASSERT_EQ(listed.messages.size(), 3U);
  EXPECT_THAT(listed.messages[0].xml, HasSubstr("110102"));
  EXPECT_THAT(listed.messages[1].xml, HasSubstr("UID=\"1.2.840.1\" NumberOfInstances=\"5\""));
  EXPECT_THAT(listed.messages[1].xml, HasSubstr("UID=\"1.2.840.2\" NumberOfInstances=\"1\""));
  EXPECT_THAT(listed.messages[2].xml, HasSubstr("EventOutcomeIndicator=\"4\""));
  EXPECT_THAT(listed.messages[2].xml, HasSubstr("NumberOfInstances=\"1\""));
  EXPECT_THAT(listed.messages[2].xml, HasSubstr("disk full"));
}

TEST(Transfers, TellTheOldestStudyWhenThereAreTooMany) {
  constexpr int kStudies = 1000;
  Listed listed;
  Recorder recorder(kSelf, kSource, listed);
  Transfers transfers(&recorder, kReceived);
  for (int i = 0; i < kStudies; ++i) {
    const Subject subject{"P", "", "", "1." + std::to_string(i)};
    transfers.begin(subject, "1.2", kTime);
    transfers.add(subject, "1.2", Outcome::success, "");
  }
  // All have begun, and all but the few that are held in memory are told already.
  EXPECT_EQ(listed.messages.size(), 2U * kStudies - 64);
  transfers.tell();
  EXPECT_EQ(listed.messages.size(), 2U * kStudies);
}

TEST(Transfers, BeginOnceTowardsADestinationThatIsAway) {
  Listed listed;
  Recorder recorder(kSelf, kSource, listed);
  Transfers transfers(&recorder, kSent);
  for (int attempt = 0; attempt < 10; ++attempt) {
    transfers.begin(kSubject, "1.2", kTime);
    transfers.tell();
  }
  EXPECT_EQ(listed.messages.size(), 1U);
}

TEST(Recorder, TellsOfTheSameRefusalOnce) {
  Listed listed;
  Recorder recorder(kSelf, kSource, listed);
  for (int i = 0; i < 1000; ++i) {
    recorder.node_refused(kReceived.peer, Outcome::minor_failure, "not recognized");
  }
  recorder.node_refused(kReceived.peer, Outcome::minor_failure, "another reason");
  recorder.keep_house();
  EXPECT_EQ(listed.messages.size(), 2U);
}

}  // namespace
}  // namespace sluice::audit
