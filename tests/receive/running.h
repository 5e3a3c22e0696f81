// A gateway that listens, with everything behind it but queue and ledger real.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "gateway/net/command_set.h"
#include "gateway/receive/server.h"
#include "tests/receive/fakes.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {

inline const std::string kInstance = "1.2.3.4.5";
inline const std::string kRoute = "[[route]]\ndestinations = [\"pacs\"]\n";

struct Running {
  explicit Running(const std::function<void(config::Config&)>& change = {},
                   const std::string& gateway_options = "", const std::string& folder = "")
      : gateway(kRoute, gateway_options, folder) {
    if (change) change(gateway.config);
    server = std::make_unique<Server>(gateway.setup(), gateway.parts());
    const auto started = server->start();
    if (!started) throw std::runtime_error(started.error().message);
    port = server->ports().at(0);
  }

  // An associated peer.
  [[nodiscard]] RawPeer associate(const RequestParts& parts = {}) const {
    RawPeer peer = RawPeer::connect(port);
    peer.send(parts.bytes());
    EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
    return peer;
  }

  // Nothing was kept, and no file is left.
  void expect_nothing() const {
    EXPECT_TRUE(wait_until([&] { return gateway.files() == 0; }));
    EXPECT_TRUE(gateway.queue.added().empty());
  }

  Gateway gateway;
  std::unique_ptr<Server> server;
  std::uint16_t port = 0;
};

// The command set of a response.
inline net::CommandSet response(const RawPeer& peer) {
  const std::string bytes = peer.receive_pdu();
  if (bytes.size() < 12 || bytes[0] != 4 || bytes[11] != 3) {
    ADD_FAILURE() << "no response";
    return {};
  }
  const auto set = net::CommandSet::parse(std::as_bytes(std::span(bytes).subspan(12)));
  EXPECT_TRUE(set);
  return set.value_or(net::CommandSet());
}

inline std::string store_pdus(const std::string& data_set, int context = 3,
                              std::size_t message_id = 1, const std::string& sop_class = kCtStorage,
                              const std::string& instance = kInstance) {
  return data_pdu(pdv(context, true, true, store_request(sop_class, instance, message_id))) +
         data_pdu(pdv(context, false, true, data_set));
}

inline std::string data_set() {
  return small_data_set(kCtStorage, kInstance);
}

}  // namespace sluice::test
