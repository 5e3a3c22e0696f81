// A dispatcher at work, and the PACS behind it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "gateway/deliver/dispatcher.h"
#include "tests/deliver/gateway_parts.h"
#include "tests/deliver/scripted_pacs.h"

namespace sluice::test {

inline std::unique_ptr<Dispatcher> dispatch(GatewayParts& parts) {
  auto dispatcher =
      std::make_unique<Dispatcher>(parts.current(), parts.spool(), parts.queue(), parts.ledger());
  dispatcher->start();
  return dispatcher;
}

// One destination "pacs" and the PACS behind it.
struct OnePacs {
  explicit OnePacs(ScriptedPacs::React react = {}, const std::string& options = "")
      : pacs(std::move(react)),
        parts(dicom_destination("pacs", pacs.port(), options) + route("\"pacs\"")) {}

  std::string receive(const std::string& uid) {
    return parts.receive(small_instance(uid), {"pacs"});
  }

  ScriptedPacs pacs;
  GatewayParts parts;
};

inline ScriptedPacs::React always(std::size_t status) {
  return [status](const StoredByPacs&, int) {
    Reaction reaction;
    reaction.status = status;
    return reaction;
  };
}

}  // namespace sluice::test
