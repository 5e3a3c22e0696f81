#include "gateway/command/service_manager.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>

#include "gateway/base/file_descriptor.h"
#include "gateway/base/log.h"

namespace sluice::command {
namespace {

// 0, or the error number.
int send(const std::string& address, std::string_view state) {
  sockaddr_un peer{};
  peer.sun_family = AF_UNIX;
  if (address.size() >= sizeof(peer.sun_path)) return ENAMETOOLONG;
  std::copy(address.begin(), address.end(), std::begin(peer.sun_path));
  // An address of Linux's own name space, which begins with a NUL.
  if (address.front() == '@') peer.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.is_valid()) return errno;
  const ssize_t sent =
      ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&peer), length);
  return sent < 0 ? errno : 0;
}

}  // namespace

ServiceManager::ServiceManager() {
  const char* const address = std::getenv("NOTIFY_SOCKET");
  if (address != nullptr) address_ = address;
  static_cast<void>(::unsetenv("NOTIFY_SOCKET"));
}

void ServiceManager::tell(std::string_view state) const {
  if (address_.empty()) return;
  if (const int error = send(address_, state); error != 0) {
    log::warning("the service manager was not told",
                 {{"state", state}, {"reason", std::strerror(error)}});
  }
}

}  // namespace sluice::command
