// Sockets that listen already when the program starts: a service manager has bound them,
// to a port that the program itself may not have, and hands them over by the environment
// (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; sd_listen_fds(3)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"

namespace sluice::net {

struct InheritedSocket {
  FileDescriptor socket;
  std::string name;  // FileDescriptorName=; else that of the socket unit, or ""
  std::uint16_t port = 0;
  bool is_v6 = false;
};

// Those that are meant for this process; empty when it was started otherwise. The variables
// are gone afterwards and the sockets closed on exec, so that no child takes them for its
// own. Before any thread starts; once. Errors: configuration.
[[nodiscard]] Result<std::vector<InheritedSocket>> take_inherited_sockets();

struct ListenerPlace {
  std::string name;
  std::uint16_t port = 0;  // 0: no port of its own
};

// One for each listener, in their order; not valid where it has to bind its own. A socket
// belongs to the listener of its name, else to that of its port. Errors: configuration, for
// a socket that belongs to none, and for two that belong to one.
[[nodiscard]] Result<std::vector<InheritedSocket>> assign_to_listeners(
    std::vector<InheritedSocket> sockets, const std::vector<ListenerPlace>& listeners);

}  // namespace sluice::net
