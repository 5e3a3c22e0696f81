// What an acceptor goes by: its listeners, how many associations there may be, and who decides
// on a request. Constant; a client keeps those that it found when it connected.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/network.h"
#include "gateway/net/associate_request.h"
#include "gateway/net/connection.h"
#include "gateway/net/security_alert.h"
#include "gateway/net/tls.h"

namespace sluice::net {

struct ListenerOptions {
  std::string name;
  std::string address = "::";          // takes both families, or IPv4 where there is no IPv6
  std::uint16_t port = 0;              // 0: a free one
  std::vector<config::Network> allow;  // a client elsewhere is closed at once
  // From accept to the last byte of the RQ, the TLS handshake included.
  std::chrono::milliseconds request_timeout{10'000};
  Timeouts timeouts;                // of the association
  std::shared_ptr<TlsContext> tls;  // nullptr: plain TCP
  SecurityAlertHook security_alert;
};

struct Limits {
  int associations = 200;
  int associations_per_address = 100;
  std::size_t half_open = 1024;
  std::size_t half_open_per_address = 256;
};

// Counts an association for as long as it lives. Any thread.
class Slot {
 public:
  Slot() = default;
  virtual ~Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
};

// A request that was read and found good. Its bytes are the first that the connection gives.
struct Arrival {
  std::size_t listener = 0;  // index
  std::shared_ptr<Connection> connection;
  AssociateRequest request;
  std::unique_ptr<Slot> slot;
};

// Why a request is not accepted: what the peer is told, and what the log says.
struct Objection {
  Rejection answer;
  std::string_view reason;  // one of a few fixed texts
};

struct AcceptorRules {
  // What is to be said against a request by the rules, or nullopt.
  using Policy = std::function<std::optional<Objection>(
      std::size_t listener, const std::string& peer_address, const AssociateRequest&)>;
  // Takes the association over. False: it cannot be served now, and is rejected.
  using Handler = std::function<bool(Arrival&)>;

  std::vector<ListenerOptions> listeners;
  Limits limits;
  Policy policy;
  Handler handler;
};

// Those of one listener.
struct ListenerRules {
  std::shared_ptr<const AcceptorRules> all;
  std::size_t index = 0;

  [[nodiscard]] const ListenerOptions& options() const { return all->listeners[index]; }
};

}  // namespace sluice::net
