// Brings the alerts of TLS, on listeners and towards destinations, into the audit trail.
#pragma once

#include "gateway/audit/recorder.h"
#include "gateway/net/security_alert.h"

namespace sluice::audit {

// Empty without a recorder, which must outlive the hook.
[[nodiscard]] inline net::SecurityAlertHook security_alerts(Recorder* recorder) {
  if (recorder == nullptr) return {};
  return [recorder](const net::SecurityAlert& alert) {
    std::string description = alert.reason + ": " + alert.detail;
    if (!alert.certificate.empty()) description += "; certificate " + alert.certificate;
    recorder->node_refused({alert.calling_ae_title, AccessPoint::ip_address, alert.peer_address},
                           Outcome::minor_failure, description);
  };
}

}  // namespace sluice::audit
