// Whose association a listener takes.
#pragma once

#include <optional>
#include <string>

#include "gateway/config/config.h"
#include "gateway/net/acceptor.h"

namespace sluice {

// The rejection of PS3.8 9.3.4 for an AE title that is not in the listener's lists;
// an empty list takes any. The called one is told first. A calling AE title that a peer of
// the listener names is recognized from that peer's addresses only.
// A user identity (PS3.7 D.3.3.7) is objected to without a reason, the standard has none:
// where the listener refuses them, or shall pass a name on that cannot be.
[[nodiscard]] std::optional<net::Objection> check_request(const config::Listener& listener,
                                                          const std::string& peer_address,
                                                          const net::AssociateRequest& request);

}  // namespace sluice
