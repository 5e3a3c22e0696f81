#include "gateway/receive/policy.h"

#include <algorithm>

#include "gateway/base/glob.h"

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

// A name that a destination can be told whole. Its length is for the queue's sake, which
// keeps it with each instance; a control character is in no name.
bool can_be_passed(const std::string& user_name) {
  constexpr std::size_t kLongestUserName = 256;
  return user_name.size() <= kLongestUserName &&
         std::none_of(user_name.begin(), user_name.end(), [](char character) {
           const auto byte = static_cast<unsigned char>(character);
           return byte < 0x20 || byte == 0x7F;
         });
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
  if (request.user_identity) {
    if (listener.user_identity == config::UserIdentity::refuse) {
      return net::Objection{net::kNoReasonGiven, "user identity not taken here"};
    }
    if (listener.user_identity == config::UserIdentity::pass &&
        !can_be_passed(request.user_identity->user_name)) {
      return net::Objection{net::kNoReasonGiven, "user name cannot be passed on"};
    }
  }
  return std::nullopt;
}

}  // namespace sluice
