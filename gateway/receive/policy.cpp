#include "gateway/receive/policy.h"

#include <algorithm>

#include "gateway/pipeline/route.h"

namespace sluice {

std::optional<net::Rejection> check_ae_titles(const config::Listener& listener,
                                              const net::AssociateRequest& request) {
  const auto& called = listener.ae_titles;
  if (!called.empty() &&
      std::find(called.begin(), called.end(), request.called_ae_title) == called.end()) {
    return net::kCalledAeTitleNotRecognized;
  }
  const auto& calling = listener.calling_ae_titles;
  const auto matches = [&](const std::string& glob) {
    return matches_glob(glob, request.calling_ae_title);
  };
  if (!calling.empty() && std::none_of(calling.begin(), calling.end(), matches)) {
    return net::kCallingAeTitleNotRecognized;
  }
  return std::nullopt;
}

}  // namespace sluice
