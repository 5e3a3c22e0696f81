#include "gateway/net/refusal.h"

#include <string>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice::net {

void Refusals::tell(const Refusal& refusal) {
  const bool connection = refusal.of == Refusal::Of::connection;
  count("sluice_associations_total", {{"outcome", connection ? "refused" : "rejected"},
                                      {"reason", std::string(refusal.reason)}});
  if (hook_) hook_(refusal);
  const auto left_out = (connection ? connections_ : associations_).take();
  if (!left_out) return;
  log::warning(connection ? "connection refused" : "association rejected",
               {{"peer_address", refusal.peer_address},
                {"listener", refusal.listener},
                {"calling_ae_title", refusal.calling_ae_title},
                {"called_ae_title", refusal.called_ae_title},
                {"reason", refusal.reason},
                {"lines_left_out_before", *left_out}});
}

}  // namespace sluice::net
