// What the load generator and the sink have in common: sockets on loopback, and PDUs.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace sluice::bench {

constexpr std::size_t kMaxPdu = 131072;  // the most that dcmnet takes

[[noreturn]] inline void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// The other side ended the connection.
struct Closed : std::runtime_error {
  Closed() : std::runtime_error("the peer closed the connection") {}
};

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {
    if (descriptor_ < 0) fail("socket");
  }
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  Socket& operator=(Socket&&) = delete;

  static Socket connect(std::uint16_t port) {
    Socket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    if (::connect(made.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
        0) {
      fail("connect to port " + std::to_string(port));
    }
    made.send_at_once();
    return made;
  }
  static Socket listen(std::uint16_t port) {
    Socket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(made.descriptor_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const sockaddr_in address = loopback(port);
    if (::bind(made.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
            0 ||
        ::listen(made.descriptor_, SOMAXCONN) != 0) {
      fail("listen on port " + std::to_string(port));
    }
    return made;
  }
  [[nodiscard]] Socket accept() const {
    Socket made(::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC));
    made.send_at_once();
    return made;
  }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t length = sizeof(address);
    ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin_port);
  }

  void read(std::span<char> into) const {
    while (!into.empty()) into = into.subspan(take(into.data(), into.size()));
  }
  // Read as any receiver must, and forgotten.
  void skip(std::size_t length) const {
    static thread_local std::array<char, 262144> buffer;
    while (length > 0) length -= take(buffer.data(), std::min(length, buffer.size()));
  }
  void write(std::span<iovec> parts) const {
    while (!parts.empty()) {
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = std::min<std::size_t>(parts.size(), kMostParts);
      const ssize_t sent = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) throw Closed();
      parts = behind(parts, static_cast<std::size_t>(sent));
    }
  }
  void write(std::string text) const {
    iovec part{text.data(), text.size()};
    write({&part, 1});
  }

 private:
  static constexpr std::size_t kMostParts = 1024;

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  void send_at_once() const {
    const int yes = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }
  [[nodiscard]] std::size_t take(char* into, std::size_t length) const {
    for (;;) {
      const ssize_t got = ::recv(descriptor_, into, length, 0);
      if (got > 0) return static_cast<std::size_t>(got);
      if (got < 0 && errno == EINTR) continue;
      throw Closed();
    }
  }
  static std::span<iovec> behind(std::span<iovec> parts, std::size_t sent) {
    while (!parts.empty() && sent >= parts.front().iov_len) {
      sent -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (!parts.empty()) {
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + sent;
      parts.front().iov_len -= sent;
    }
    return parts;
  }

  int descriptor_;
};

inline std::uint32_t big32_at(const char* bytes) {
  std::uint32_t number = 0;
  for (int n = 0; n < 4; ++n) number = number << 8U | static_cast<unsigned char>(bytes[n]);
  return number;
}

// The first 6 bytes of a PDU (PS3.8 9.3).
struct PduHead {
  int type = 0;
  std::size_t length = 0;
};
inline PduHead read_pdu_head(const Socket& socket) {
  std::array<char, 6> head{};
  socket.read(head);
  return {head[0], big32_at(head.data() + 2)};
}
inline std::string read_body(const Socket& socket, std::size_t length) {
  std::string body(length, '\0');
  socket.read(body);
  return body;
}

// The value of a command element (group 0000, Implicit VR Little Endian), without padding; ""
// where it is absent.
inline std::string command_value(const std::string& command, std::uint16_t element) {
  for (std::size_t at = 0; at + 8 <= command.size();) {
    const auto byte = [&](std::size_t n) {
      return std::uint32_t{static_cast<unsigned char>(command[at + n])};
    };
    const std::uint32_t number = byte(2) | byte(3) << 8U;
    const std::size_t length = byte(4) | byte(5) << 8U | byte(6) << 16U | byte(7) << 24U;
    if (length > command.size() - at - 8) return "";
    if (number == element) {
      std::string value = command.substr(at + 8, length);
      if (value.size() > 2 && value.back() == '\0') value.pop_back();
      return value;
    }
    at += 8 + length;
  }
  return "";
}
inline std::size_t command_number(const std::string& command, std::uint16_t element) {
  const std::string value = command_value(command, element);
  if (value.size() < 2) return 0;
  return static_cast<unsigned char>(value[0]) | static_cast<unsigned char>(value[1]) << 8U;
}

}  // namespace sluice::bench
