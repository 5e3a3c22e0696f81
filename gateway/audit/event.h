// An audit message (PS3.15 A.5) as plain data, and its XML by the schema of PS3.15 A.5.1.
// messages.h fills it, message by message; nothing else should.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::audit {

using Time = std::chrono::system_clock::time_point;

// A coded value; all of them are constants of the code.
struct Code {
  std::string_view value;
  std::string_view system = "DCM";
  std::string_view meaning;
};

// EventOutcomeIndicator.
enum class Outcome { success = 0, minor_failure = 4, serious_failure = 8, major_failure = 12 };

// NetworkAccessPointTypeCode; `none` leaves both of its attributes out.
enum class AccessPoint { none = 0, machine_name = 1, ip_address = 2, uri = 5 };

struct Participant {
  std::string user_id;
  std::string alternative_user_id;  // "" leaves it out
  std::string user_name;            // "" leaves it out
  bool is_requestor = false;
  std::optional<Code> role;
  AccessPoint access_point_type = AccessPoint::none;
  std::string access_point;
};

// ParticipantObjectDataLifeCycle; `none` leaves it out.
enum class LifeCycle { none = 0, logical_deletion = 14, permanent_erasure = 15 };

struct Object {
  std::string id;
  std::string name;
  int type_code = 2;  // 1 person, 2 system object
  int role = 3;       // ParticipantObjectTypeCodeRole
  LifeCycle life_cycle = LifeCycle::none;
  Code id_type;
  std::vector<std::pair<std::string, std::string>> details;  // base64 in the message
  std::map<std::string, std::uint64_t> sop_classes;          // and their number of instances
};

struct Event {
  Code id;
  char action = 'E';  // C, R, U, D, E
  Time time;
  Outcome outcome = Outcome::success;
  std::string outcome_description;  // "" leaves it out
  std::optional<Code> type;
  std::vector<Participant> participants;
  std::vector<Object> objects;
};

// AuditSourceIdentification: who reports.
struct Source {
  std::string source_id;
  std::string site_id;  // AuditEnterpriseSiteID; "" leaves it out
};

// "2026-11-25T19:00:00.123Z": UTC, milliseconds (A.5.2.5, RFC 5424 6.2.3).
[[nodiscard]] std::string date_time(Time time);

// No line break in it, and below 32 KiB, which every collector must take (PS3.15 A.6):
// longer texts are cut.
[[nodiscard]] std::string to_xml(const Event& event, const Source& source);

}  // namespace sluice::audit
