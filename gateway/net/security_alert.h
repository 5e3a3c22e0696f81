// The one place that hears of a peer that was refused for the sake of security.
//
//   raise({"unknown CA", detail, "listener", name, address}, hook);
//
// Every refusal is counted (sluice_security_alerts_total, by reason and by listener or
// destination), logged, and given to the hook, an audit trail perhaps. Any thread; the
// hook may be called from several at once and must not block.
#pragma once

#include <functional>
#include <string>

namespace sluice::net {

struct SecurityAlert {
  std::string reason;  // one of a few fixed ones, such as "unknown CA"
  std::string detail;  // for a person; holds text from the network
  std::string kind;    // "listener" or "destination"
  std::string name;    // of that one
  std::string peer_address;
  std::string certificate;       // the subject of the peer's, "" when it showed none
  std::string calling_ae_title;  // "" when it got no chance to tell
};

using SecurityAlertHook = std::function<void(const SecurityAlert&)>;

void raise(const SecurityAlert& alert, const SecurityAlertHook& hook);

}  // namespace sluice::net
