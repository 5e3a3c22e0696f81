#include "gateway/audit/transport.h"

#include "gateway/audit/file_transport.h"
#include "gateway/audit/socket_transport.h"
#include "gateway/audit/tls_transport.h"

namespace sluice::audit {

std::unique_ptr<Transport> make_transport(const config::AuditDestination& address) {
  if (address.scheme == "file") return make_file_transport(address.path);
  if (address.scheme == "unix") return make_unix_transport(address.path);
  if (address.scheme == "syslogs") return make_tls_transport(address);
  return make_tcp_transport(address.host, address.port);
}

}  // namespace sluice::audit
