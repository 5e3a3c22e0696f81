#include "gateway/net/security_alert.h"

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice::net {

void raise(const SecurityAlert& alert, const SecurityAlertHook& hook) {
  count("sluice_security_alerts_total",
        {{"kind", alert.kind}, {"name", alert.name}, {"reason", alert.reason}});
  log::warning("refused for security", {{alert.kind, alert.name},
                                        {"peer_address", alert.peer_address},
                                        {"reason", alert.reason},
                                        {"detail", alert.detail},
                                        {"certificate", alert.certificate},
                                        {"calling_ae_title", alert.calling_ae_title}});
  if (hook) hook(alert);
}

}  // namespace sluice::net
