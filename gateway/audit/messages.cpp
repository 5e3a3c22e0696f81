#include "gateway/audit/messages.h"

#include <algorithm>
#include <utility>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>

namespace sluice::audit {
namespace {

// PS3.16 CID 400 to 403, and PS3.15 A.5.3.
constexpr Code kApplicationActivity{"110100", "DCM", "Application Activity"};
constexpr Code kBeginTransferring{"110102", "DCM", "Begin Transferring DICOM Instances"};
constexpr Code kInstancesAccessed{"110103", "DCM", "DICOM Instances Accessed"};
constexpr Code kInstancesTransferred{"110104", "DCM", "DICOM Instances Transferred"};
constexpr Code kSecurityAlert{"110113", "DCM", "Security Alert"};
constexpr Code kUserAuthentication{"110114", "DCM", "User Authentication"};

constexpr Code kApplicationStart{"110120", "DCM", "Application Start"};
constexpr Code kApplicationStop{"110121", "DCM", "Application Stop"};
constexpr Code kLogin{"110122", "DCM", "Login"};
constexpr Code kNodeAuthentication{"110126", "DCM", "Node Authentication"};
constexpr Code kAuditRecordingStopped{"110133", "DCM", "Audit Recording Stopped"};
constexpr Code kStorageFault{"storage-fault", "99SLUICE", "Storage Fault"};

constexpr Code kApplication{"110150", "DCM", "Application"};
constexpr Code kDestinationRole{"110152", "DCM", "Destination Role ID"};
constexpr Code kSourceRole{"110153", "DCM", "Source Role ID"};

constexpr Code kStudyInstanceUid{"110180", "DCM", "Study Instance UID"};
constexpr Code kNodeId{"110182", "DCM", "Node ID"};
constexpr Code kPatientNumber{"2", "RFC-3881", "Patient Number"};
constexpr Code kUri{"12", "RFC-3881", "URI"};

constexpr int kPerson = 1;
constexpr int kSystemObject = 2;
constexpr int kPatient = 1;
constexpr int kReport = 3;
constexpr int kSecurityResource = 13;

// A.5.2.2.
std::string ae_titles_text(const std::vector<std::string>& ae_titles) {
  std::string text;
  for (const std::string& ae_title : ae_titles) {
    text += (text.empty() ? "AETITLES=" : ";") + ae_title;
  }
  return text;
}

Participant this_process(const Self& self, const std::vector<std::string>& ae_titles) {
  return {.user_id = self.process_id,
          .alternative_user_id = ae_titles_text(ae_titles),
          .user_name = "sluice",
          .access_point_type = AccessPoint::machine_name,
          .access_point = self.host_name};
}

Participant other_node(const Node& node) {
  // A folder has no AE title: its URI is who it is.
  return {.user_id = node.ae_title.empty() ? node.access_point : node.ae_title,
          .alternative_user_id =
              node.ae_title.empty() ? std::string() : ae_titles_text({node.ae_title}),
          .access_point_type = node.access_point_type,
          .access_point = node.access_point};
}

// In UTF-8 when the set is known. What is not goes on as it is, and the writer shows it.
std::string to_utf8(const std::string& text, const std::string& character_set) {
  const bool is_ascii = std::ranges::all_of(text, [](char character) {
    return static_cast<unsigned char>(character) < 0x80 && character != '\x1b';
  });
  if (is_ascii) return text;
  DcmSpecificCharacterSet converter;
  const OFString source(character_set.data(), character_set.size());
  OFString converted;
  if (converter.selectCharacterSet(source, "ISO_IR 192").bad() ||
      converter.convertString(text.data(), text.size(), converted, "\\^=").bad()) {
    return text;
  }
  return {converted.c_str(), converted.size()};
}

Object study_object(const Subject& subject, const SopClasses& sop_classes) {
  return {.id = subject.study_instance_uid,
          // Mandatory (A.5.3.3), and a study has no name but this.
          .name = subject.study_instance_uid,
          .type_code = kSystemObject,
          .role = kReport,
          .id_type = kStudyInstanceUid,
          .sop_classes = sop_classes};
}

Object patient_object(const Subject& subject) {
  return {.id = to_utf8(subject.patient_id, subject.specific_character_set),
          .name = to_utf8(subject.patient_name, subject.specific_character_set),
          .type_code = kPerson,
          .role = kPatient,
          .id_type = kPatientNumber};
}

std::vector<Participant> both_ends(const Self& self, const Route& route) {
  Participant own = this_process(self, {route.own_ae_title});
  Participant peer = other_node(route.peer);
  const bool sent = route.direction == Direction::sent;
  // C-STORE is pushed: who sends has asked for it.
  Participant& source = sent ? own : peer;
  Participant& destination = sent ? peer : own;
  source.role = kSourceRole;
  source.is_requestor = true;
  destination.role = kDestinationRole;
  return {std::move(source), std::move(destination)};
}

Event security_alert(const Self& self, const Code& type, Outcome outcome,
                     const std::string& description, Time time) {
  return {.id = kSecurityAlert,
          .action = 'E',
          .time = time,
          .outcome = outcome,
          .outcome_description = description,
          .type = type,
          .participants = {this_process(self, self.ae_titles)}};
}

Object alert_subject(const Code& id_type, const std::string& id, const std::string& name,
                     const std::string& description) {
  return {.id = id,
          .name = name,
          .type_code = kSystemObject,
          .role = kSecurityResource,
          .id_type = id_type,
          .details = {{"Alert Description", description}}};
}

}  // namespace

Event application_activity(const Self& self, bool started, Time time) {
  Participant application = this_process(self, self.ae_titles);
  application.role = kApplication;
  return {.id = kApplicationActivity,
          .action = 'E',
          .time = time,
          .type = started ? kApplicationStart : kApplicationStop,
          .participants = {std::move(application)}};
}

Event begin_transferring(const Self& self, const Route& route, const Subject& subject,
                         const std::string& sop_class_uid, Time time) {
  Object study = study_object(subject, {});
  study.details = {{"ContainsSOPClass", sop_class_uid}};
  return {.id = kBeginTransferring,
          .action = 'E',
          .time = time,
          .participants = both_ends(self, route),
          .objects = {std::move(study), patient_object(subject)}};
}

Event instances_transferred(const Self& self, const Route& route, const Subject& subject,
                            const SopClasses& sop_classes, Outcome outcome,
                            const std::string& reason, Time time) {
  return {.id = kInstancesTransferred,
          // A copy is made anew of each instance that is received; of what a destination
          // holds already, the sender knows nothing: R by A.5.3.7.
          .action = route.direction == Direction::received ? 'C' : 'R',
          .time = time,
          .outcome = outcome,
          .outcome_description = reason,
          .participants = both_ends(self, route),
          .objects = {study_object(subject, sop_classes), patient_object(subject)}};
}

Event instances_deleted(const Self& self, const Person& person, const std::string& reason,
                        const Subject& subject, const SopClasses& sop_classes, bool erased,
                        Time time) {
  Participant who{.user_id = person.login + "@" + self.host_name,
                  .user_name = person.name,
                  .is_requestor = true,
                  .access_point_type = AccessPoint::machine_name,
                  .access_point = self.host_name};
  Object study = study_object(subject, sop_classes);
  study.life_cycle = erased ? LifeCycle::permanent_erasure : LifeCycle::logical_deletion;
  study.details = {{"Reason", reason}};
  return {.id = kInstancesAccessed,
          .action = 'D',
          .time = time,
          .participants = {std::move(who), this_process(self, self.ae_titles)},
          .objects = {std::move(study), patient_object(subject)}};
}

Event node_refused(const Self& self, const Node& node, Outcome outcome,
                   const std::string& description, Time time) {
  Event event = security_alert(self, kNodeAuthentication, outcome, description, time);
  event.participants.push_back(other_node(node));
  event.objects = {alert_subject(kNodeId, node.access_point, node.ae_title, description)};
  return event;
}

Event storage_fault(const Self& self, const std::string& uri, const std::string& description,
                    Time time) {
  Event event = security_alert(self, kStorageFault, Outcome::serious_failure, description, time);
  event.objects = {alert_subject(kUri, uri, "storage", description)};
  return event;
}

Event messages_lost(const Self& self, std::uint64_t count, const std::string& reason, Time time) {
  const std::string description =
      "audit messages lost: " + std::to_string(count) + " (" + reason + ")";
  Event event =
      security_alert(self, kAuditRecordingStopped, Outcome::serious_failure, description, time);
  event.objects = {alert_subject(kNodeId, self.host_name, "audit trail", description)};
  return event;
}

Event user_authentication(const Self& self, const std::string& user, const Node& node,
                          Outcome outcome, const std::string& description, Time time) {
  Participant authenticated = other_node(node);
  authenticated.user_id = user;
  authenticated.is_requestor = true;
  return {.id = kUserAuthentication,
          .action = 'E',
          .time = time,
          .outcome = outcome,
          .outcome_description = description,
          .type = kLogin,
          .participants = {std::move(authenticated), this_process(self, self.ae_titles)}};
}

}  // namespace sluice::audit
