// Opens a TCP connection under one deadline.
#pragma once

#include <cstdint>
#include <string>

#include "gateway/base/error.h"
#include "gateway/net/connection.h"
#include "gateway/net/file_descriptor.h"

namespace sluice::net {

struct Connected {
  FileDescriptor socket;
  std::string address;  // the numeric one that answered
};

// Tries every address of the host, IPv6 and IPv4, in the resolver's order. The look-up
// of a name is bounded by the resolver's own time-outs. Errors: transient.
[[nodiscard]] Result<Connected> connect_to(const std::string& host, std::uint16_t port,
                                           SteadyTime deadline);

}  // namespace sluice::net
