// An audit message as a syslog message (RFC 5424, PS3.15 A.6):
//
//   <85>1 2026-11-25T19:00:00.123Z host sluice 4711 DICOM+RFC3881 [meta sequenceId="17"] BOM XML
//
// PRI has facility 10 (security) and severity 5, or 4 when the event is a failure. The
// sequenceId (RFC 5424 7.3.1) is the number of the message in audit.db, modulo 2^31: a
// collector sees by it what was sent twice, and what is missing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/audit/event.h"

namespace sluice::audit {

// What is known when the message is made: all before the structured data.
[[nodiscard]] std::string syslog_header(Outcome outcome, Time time, std::string_view host_name,
                                        std::string_view process_id);

// The whole. Has no line break where header and XML have none.
[[nodiscard]] std::string syslog_message(std::string_view header, std::int64_t sequence,
                                         std::string_view xml);

// As a frame of a stream (RFC 6587 3.4.1, RFC 5425 4.3): its length in octets, a space, it.
[[nodiscard]] std::string octet_counted(std::string_view message);

}  // namespace sluice::audit
