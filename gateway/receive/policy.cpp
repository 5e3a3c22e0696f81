#include "gateway/receive/policy.h"

#include <algorithm>

#include "gateway/pipeline/route.h"

namespace sluice {

namespace {

net::Objection objection_of(const net::Rejection& rejection) {
  return {rejection, net::reason_text(rejection)};
}

// True when no peer names this AE title, or one that does has the address.
bool is_at_its_address(const config::Listener& listener, const std::string& peer_address,
                       const std::string& calling_ae_title) {
  bool named = false;
  for (const config::Peer& peer : listener.peers) {
    if (!matches_glob(peer.calling_ae_title, calling_ae_title)) continue;
    if (config::is_in_any(peer.allow, peer_address)) return true;
    named = true;
  }
  return !named;
}

}  // namespace

std::optional<net::Objection> check_request(const config::Listener& listener,
                                            const std::string& peer_address,
                                            const net::AssociateRequest& request) {
  const auto& called = listener.ae_titles;
  if (!called.empty() &&
      std::find(called.begin(), called.end(), request.called_ae_title) == called.end()) {
    return objection_of(net::kCalledAeTitleNotRecognized);
  }
  const auto& calling = listener.calling_ae_titles;
  const auto matches = [&](const std::string& glob) {
    return matches_glob(glob, request.calling_ae_title);
  };
  if (!calling.empty() && std::none_of(calling.begin(), calling.end(), matches)) {
    return objection_of(net::kCallingAeTitleNotRecognized);
  }
  if (!is_at_its_address(listener, peer_address, request.calling_ae_title)) {
    return net::Objection{net::kCallingAeTitleNotRecognized,
                          "calling AE title from an address not its own"};
  }
  return std::nullopt;
}

}  // namespace sluice
