// Syslog over TLS (RFC 5425, PS3.15 A.6): frames with a count of octets, to a collector
// whose certificate is checked.
#pragma once

#include <memory>

#include "gateway/audit/transport.h"
#include "gateway/config/config.h"

namespace sluice::audit {

// The destination's `tls` must be there.
[[nodiscard]] std::unique_ptr<Transport> make_tls_transport(
    const config::AuditDestination& destination);

}  // namespace sluice::audit
