#include "gateway/audit/event.h"

#include <array>
#include <cstdio>
#include <ctime>

#include <openssl/evp.h>

#include "gateway/audit/xml.h"

namespace sluice::audit {
namespace {

// Bytes of any one text. Escaped, a byte takes six at most.
constexpr std::size_t kLongestText = 256;
// Where the list of SOP classes ends, should somebody have filled it with markup, so that
// the patient behind it still fits below 32 KiB.
constexpr std::size_t kEndOfSopClasses = std::size_t{26} * 1024;
constexpr std::size_t kLongestUid = 64;

std::string limited(std::string_view text) {
  return shortened(text, kLongestText);
}

std::string base64(std::string_view bytes) {
  // Four characters for three bytes, and the NUL that OpenSSL adds.
  std::vector<unsigned char> out((bytes.size() + 2) / 3 * 4 + 1);
  const int length =
      EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  return {out.begin(), out.begin() + length};
}

void write_code(XmlWriter& xml, std::string_view element, const Code& code) {
  xml.open(element);
  xml.attribute("csd-code", code.value);
  xml.attribute("codeSystemName", code.system);
  xml.attribute("originalText", code.meaning);
  xml.close();
}

void write_identification(XmlWriter& xml, const Event& event) {
  xml.open("EventIdentification");
  xml.attribute("EventActionCode", std::string_view(&event.action, 1));
  xml.attribute("EventDateTime", date_time(event.time));
  xml.attribute("EventOutcomeIndicator", std::to_string(static_cast<int>(event.outcome)));
  write_code(xml, "EventID", event.id);
  if (event.type) write_code(xml, "EventTypeCode", *event.type);
  if (!event.outcome_description.empty()) {
    xml.open("EventOutcomeDescription");
    xml.text(limited(event.outcome_description));
    xml.close();
  }
  xml.close();
}

void write_participant(XmlWriter& xml, const Participant& participant) {
  xml.open("ActiveParticipant");
  xml.attribute("UserID", limited(participant.user_id));
  if (!participant.alternative_user_id.empty()) {
    xml.attribute("AlternativeUserID", limited(participant.alternative_user_id));
  }
  if (!participant.user_name.empty()) xml.attribute("UserName", limited(participant.user_name));
  xml.attribute("UserIsRequestor", participant.is_requestor ? "true" : "false");
  if (participant.access_point_type != AccessPoint::none) {
    xml.attribute("NetworkAccessPointID", limited(participant.access_point));
    xml.attribute("NetworkAccessPointTypeCode",
                  std::to_string(static_cast<int>(participant.access_point_type)));
  }
  if (participant.role) write_code(xml, "RoleIDCode", *participant.role);
  xml.close();
}

void write_source(XmlWriter& xml, const Source& source) {
  xml.open("AuditSourceIdentification");
  if (!source.site_id.empty()) xml.attribute("AuditEnterpriseSiteID", limited(source.site_id));
  xml.attribute("AuditSourceID", limited(source.source_id));
  xml.open("AuditSourceTypeCode");
  xml.attribute("csd-code", "4");  // application server process
  xml.close();
  xml.close();
}

void write_sop_classes(XmlWriter& xml, const Object& object) {
  if (object.sop_classes.empty()) return;
  xml.open("ParticipantObjectDescription");
  for (const auto& [uid, count] : object.sop_classes) {
    if (xml.size() > kEndOfSopClasses) break;
    xml.open("SOPClass");
    xml.attribute("UID", shortened(uid, kLongestUid));
    xml.attribute("NumberOfInstances", std::to_string(count));
    xml.close();
  }
  xml.close();
}

void write_object(XmlWriter& xml, const Object& object) {
  xml.open("ParticipantObjectIdentification");
  xml.attribute("ParticipantObjectID", limited(object.id));
  xml.attribute("ParticipantObjectTypeCode", std::to_string(object.type_code));
  xml.attribute("ParticipantObjectTypeCodeRole", std::to_string(object.role));
  if (object.life_cycle != LifeCycle::none) {
    xml.attribute("ParticipantObjectDataLifeCycle",
                  std::to_string(static_cast<int>(object.life_cycle)));
  }
  write_code(xml, "ParticipantObjectIDTypeCode", object.id_type);
  xml.open("ParticipantObjectName");
  xml.text(limited(object.name));
  xml.close();
  for (const auto& [type, value] : object.details) {
    xml.open("ParticipantObjectDetail");
    xml.attribute("type", type);
    xml.attribute("value", base64(limited(value)));
    xml.close();
  }
  write_sop_classes(xml, object);
  xml.close();
}

}  // namespace

std::string date_time(Time time) {
  const auto whole = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(whole);
  const std::time_t clock = std::chrono::system_clock::to_time_t(seconds);
  std::tm broken_down{};
  gmtime_r(&clock, &broken_down);
  std::array<char, 32> text{};
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &broken_down);
  std::string fraction = std::to_string(1000 + (whole - seconds).count());
  fraction.front() = '.';
  return std::string(text.data(), length) + fraction + "Z";
}

std::string to_xml(const Event& event, const Source& source) {
  XmlWriter xml;
  xml.open("AuditMessage");
  write_identification(xml, event);
  for (const Participant& participant : event.participants) write_participant(xml, participant);
  write_source(xml, source);
  for (const Object& object : event.objects) write_object(xml, object);
  xml.close();
  return xml.take();
}

}  // namespace sluice::audit
