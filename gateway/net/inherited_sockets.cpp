#include "gateway/net/inherited_sockets.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/base/log.h"

namespace sluice::net {
namespace {

constexpr int kFirstDescriptor = 3;  // SD_LISTEN_FDS_START
constexpr int kMostSockets = 1024;

// Read once and then gone.
std::string take_variable(const char* name) {
  const char* const value = std::getenv(name);
  std::string taken = value == nullptr ? "" : value;
  static_cast<void>(::unsetenv(name));
  return taken;
}

std::optional<int> number_of(std::string_view text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

std::vector<std::string> split(std::string_view names) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = std::min(names.find(':'), names.size());
    parts.emplace_back(names.substr(0, end));
    if (end == names.size()) return parts;
    names.remove_prefix(end + 1);
  }
}

bool has_option(int socket, int option, int wanted) {
  int value = 0;
  socklen_t length = sizeof(value);
  return ::getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
}

// Sets port and family. False when it is no listening TCP socket.
bool look_at(InheritedSocket& inherited) {
  const int socket = inherited.socket.get();
  if (!has_option(socket, SO_TYPE, SOCK_STREAM) || !has_option(socket, SO_ACCEPTCONN, 1)) {
    return false;
  }
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::getsockname(socket, generic, &length) != 0) return false;
  if (address.ss_family == AF_INET) {
    inherited.port = ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
    return true;
  }
  if (address.ss_family != AF_INET6) return false;
  inherited.port = ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  inherited.is_v6 = true;
  return true;
}

std::string description(const InheritedSocket& inherited) {
  return "the service manager's socket '" + log::escape(inherited.name) + "'";
}

}  // namespace

Result<std::vector<InheritedSocket>> take_inherited_sockets() {
  const auto process = number_of(take_variable("LISTEN_PID"));
  const std::string count_text = take_variable("LISTEN_FDS");
  const std::vector<std::string> names = split(take_variable("LISTEN_FDNAMES"));
  std::vector<InheritedSocket> sockets;
  // Set for another process, and passed on to this one by one that did not clear them.
  if (process != ::getpid()) return sockets;
  const auto count = number_of(count_text);
  if (!count || *count < 0 || *count > kMostSockets) {
    return failure(ErrorCode::configuration,
                   "LISTEN_FDS is '" + log::escape(count_text) + "', no number of sockets");
  }
  for (int i = 0; i < *count; ++i) {
    InheritedSocket inherited;
    inherited.socket = FileDescriptor(kFirstDescriptor + i);
    // A count that is not the sockets' says that the names are not theirs either.
    const bool named = names.size() == static_cast<std::size_t>(*count);
    if (named) inherited.name = names[static_cast<std::size_t>(i)];
    if (::fcntl(inherited.socket.get(), F_SETFD, FD_CLOEXEC) != 0 || !look_at(inherited)) {
      return failure(ErrorCode::configuration,
                     description(inherited) + " (descriptor " +
                         std::to_string(kFirstDescriptor + i) +
                         ") is no TCP socket that listens; its unit needs ListenStream= with a "
                         "port, and Accept=no");
    }
    sockets.push_back(std::move(inherited));
  }
  return sockets;
}

Result<std::vector<InheritedSocket>> assign_to_listeners(
    std::vector<InheritedSocket> sockets, const std::vector<ListenerPlace>& listeners) {
  std::vector<InheritedSocket> assigned(listeners.size());
  for (InheritedSocket& inherited : sockets) {
    auto found = std::ranges::find(listeners, inherited.name, &ListenerPlace::name);
    if (found == listeners.end()) {
      found = std::ranges::find(listeners, inherited.port, &ListenerPlace::port);
    }
    const std::string what = description(inherited) + " on port " + std::to_string(inherited.port);
    if (found == listeners.end()) {
      return failure(ErrorCode::configuration,
                     what +
                         " belongs to no listener; write a listener's name as "
                         "FileDescriptorName= in its unit, or its port into a [[listener]]");
    }
    InheritedSocket& place = assigned[static_cast<std::size_t>(found - listeners.begin())];
    if (place.socket.is_valid()) {
      return failure(ErrorCode::configuration,
                     what + " belongs to listener '" + found->name +
                         "', which has one already; give each socket a listener of its own");
    }
    place = std::move(inherited);
  }
  return assigned;
}

}  // namespace sluice::net
