// Which AE titles a listener takes.
#pragma once

#include <optional>

#include "gateway/config/config.h"
#include "gateway/net/associate_request.h"
#include "gateway/net/pdu.h"

namespace sluice {

// The rejection of PS3.8 9.3.4 for an AE title that is not in the listener's lists;
// an empty list takes any. The called one is told first.
[[nodiscard]] std::optional<net::Rejection> check_ae_titles(const config::Listener& listener,
                                                            const net::AssociateRequest& request);

}  // namespace sluice
