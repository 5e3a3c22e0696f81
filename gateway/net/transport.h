// dcmnet over our connections.
//
// dcmnet opens and accepts sockets in its own way: IPv4 only when it listens, without
// a deadline, one address per name. So the sockets come from elsewhere, and dcmnet
// gets each by an overridden DcmTransportLayer: a HandOver names the connection that
// the next ASC_receiveAssociation() or ASC_requestAssociation() of this thread uses.
//
// dcmnet never closes a connection: whoever shares it does, under a deadline.
#pragma once

#include <cstdint>
#include <memory>

#include "gateway/base/error.h"
#include "gateway/net/connection.h"

struct T_ASC_Network;

namespace sluice::net {

// dcmnet's static state and its one network key, made at the first call; for accepting
// and for requesting. Call it once before the first thread starts. Errors: configuration.
[[nodiscard]] Result<T_ASC_Network*> dcmnet_network();

// Where ASC_requestAssociation() is to connect to, "127.0.0.1:PORT": a listener of this
// process, whose connection is dropped again in favour of the one handed over.
[[nodiscard]] const char* hand_over_address();

class HandOver {
 public:
  // `max_pdu`: the length that dcmnet is told to receive.
  HandOver(std::shared_ptr<Connection> connection, std::uint32_t max_pdu);
  ~HandOver();
  HandOver(const HandOver&) = delete;
  HandOver& operator=(const HandOver&) = delete;
};

}  // namespace sluice::net
