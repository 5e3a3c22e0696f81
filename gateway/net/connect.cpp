#include "gateway/net/connect.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

namespace sluice::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

std::string numeric(const addrinfo& address) {
  std::array<char, NI_MAXHOST> text{};
  const int failed = ::getnameinfo(address.ai_addr, address.ai_addrlen, text.data(), text.size(),
                                   nullptr, 0, NI_NUMERICHOST);
  return failed != 0 ? std::string("?") : std::string(text.data());
}

// 0 or the error number.
int connect_socket(int socket, const addrinfo& address, SteadyTime deadline) {
  if (::connect(socket, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return ETIMEDOUT;
    pollfd polled{socket, POLLOUT, 0};
    const int ready =
        ::poll(&polled, 1, static_cast<int>(std::min<std::int64_t>(left, 86'400'000)));
    if (ready < 0 && errno != EINTR) return errno;
    if (ready > 0) break;
  }
  int error = 0;
  socklen_t length = sizeof(error);
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

}  // namespace

Result<Connected> connect_to(const std::string& host, std::uint16_t port, SteadyTime deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    return failure(ErrorCode::transient, "cannot look up host '" + host +
                                             "': " + ::gai_strerror(failed) +
                                             "; check the destination's address");
  }
  const std::unique_ptr<addrinfo, AddressListDeleter> list(found);
  std::string reasons;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    FileDescriptor socket(
        ::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const std::string text = numeric(*address);
    const int error = socket.is_valid() ? connect_socket(socket.get(), *address, deadline) : errno;
    if (error == 0) return Connected{std::move(socket), text};
    if (!reasons.empty()) reasons += ", ";
    reasons += text + ": " + std::generic_category().message(error);
  }
  return failure(ErrorCode::transient, "cannot connect to " + host + " port " +
                                           std::to_string(port) + " (" + reasons + ")");
}

}  // namespace sluice::net
