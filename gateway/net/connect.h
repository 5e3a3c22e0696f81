// Opens a TCP connection under one deadline.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <sys/socket.h>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"
#include "gateway/net/connection.h"

namespace sluice::net {

struct Connected {
  FileDescriptor socket;
  std::string address;  // the numeric one that answered
};

struct ConnectError : Error {
  int error_number = 0;  // of the address that was tried last; 0: the host is not known
};
using ConnectResult = tl::expected<Connected, ConnectError>;

// Tries every address of the host, IPv6 and IPv4, in the resolver's order, as
// connect_to_first() does. The look-up of a name is bounded by the resolver's own time-outs.
// Errors: transient.
[[nodiscard]] ConnectResult connect_to(const std::string& host, std::uint16_t port,
                                       SteadyTime deadline);

struct SocketAddress {
  sockaddr_storage address{};
  socklen_t length = 0;
};

// Tries one after the other. An address that does not answer takes its share of the time and
// leaves the rest to the others. Errors: transient, with each address and why it was not.
[[nodiscard]] ConnectResult connect_to_first(std::span<const SocketAddress> addresses,
                                             SteadyTime deadline);

}  // namespace sluice::net
