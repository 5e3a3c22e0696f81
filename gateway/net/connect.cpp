#include "gateway/net/connect.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <vector>

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

// sockaddr_storage is there to be cast (RFC 3493 3.10).
const sockaddr* generic(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.address);
}

std::string numeric(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> text{};
  const int failed = ::getnameinfo(generic(address), address.length, text.data(), text.size(),
                                   nullptr, 0, NI_NUMERICHOST);
  return failed != 0 ? std::string("?") : std::string(text.data());
}

// 0 or the error number.
int connect_socket(int socket, const SocketAddress& address, SteadyTime deadline) {
  if (::connect(socket, generic(address), address.length) == 0) return 0;
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

std::vector<SocketAddress> copied(const addrinfo* list) {
  std::vector<SocketAddress> all;
  for (; list != nullptr; list = list->ai_next) {
    SocketAddress& address = all.emplace_back();
    address.length = std::min<socklen_t>(list->ai_addrlen, sizeof(address.address));
    std::memcpy(&address.address, list->ai_addr, address.length);
  }
  return all;
}

tl::unexpected<ConnectError> not_reached(std::string message, int error_number) {
  return tl::unexpected(ConnectError{{ErrorCode::transient, std::move(message)}, error_number});
}

}  // namespace

ConnectResult connect_to(const std::string& host, std::uint16_t port, SteadyTime deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return not_reached("cannot look up host '" + host + "': " + ::gai_strerror(error) +
                           "; check the destination's address",
                       0);
  }
  const std::unique_ptr<addrinfo, AddressListDeleter> list(found);
  auto connected = connect_to_first(copied(found), deadline);
  if (connected) return connected;
  return not_reached("cannot connect to " + host + " port " + std::to_string(port) + " (" +
                         connected.error().message + ")",
                     connected.error().error_number);
}

ConnectResult connect_to_first(std::span<const SocketAddress> addresses, SteadyTime deadline) {
  std::string reasons;
  int last_error = 0;
  for (; !addresses.empty(); addresses = addresses.subspan(1)) {
    const SocketAddress& address = addresses.front();
    const SteadyTime now = steady_clock::now();
    const auto share = (deadline - now) / static_cast<std::int64_t>(addresses.size());
    FileDescriptor socket(
        ::socket(address.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int error =
        socket.is_valid() ? connect_socket(socket.get(), address, now + share) : errno;
    const std::string text = numeric(address);
    if (error == 0) return Connected{std::move(socket), text};
    last_error = error;
    if (!reasons.empty()) reasons += ", ";
    reasons += text + ": " + std::generic_category().message(error);
  }
  return not_reached(std::move(reasons), last_error);
}

}  // namespace sluice::net
