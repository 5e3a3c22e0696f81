#include "gateway/audit/socket_transport.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gateway/audit/syslog.h"
#include "gateway/net/connect.h"

namespace sluice::audit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kConnectTimeout{5};
constexpr std::chrono::seconds kSendTimeout{30};
constexpr milliseconds kSlice{100};  // between two looks for an interrupt

std::string error_text(int error_number) {
  return std::generic_category().message(error_number);
}

class TcpTransport final : public SocketTransport {
 public:
  TcpTransport(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

  Result<void> open() override {
    if (is_open()) return {};
    auto connected = connect_collector(host_, port_);
    if (!connected) return tl::unexpected(connected.error());
    take(std::move(*connected));
    return {};
  }

  [[nodiscard]] milliseconds trial() const override { return kStreamTrial; }

 protected:
  [[nodiscard]] std::string framed(std::string_view message) const override {
    return octet_counted(message);
  }
  [[nodiscard]] std::string peer_name() const override {
    return host_ + " port " + std::to_string(port_);
  }

 private:
  std::string host_;
  std::uint16_t port_;
};

class UnixTransport final : public SocketTransport {
 public:
  explicit UnixTransport(std::string path) : path_(std::move(path)) {}

  Result<void> open() override {
    if (is_open()) return {};
    is_stream_ = false;
    auto error = try_connect(SOCK_DGRAM);
    if (error == EPROTOTYPE) {
      is_stream_ = true;
      error = try_connect(SOCK_STREAM);
    }
    if (error == 0) return {};
    return failure(ErrorCode::transient, "cannot connect to " + path_ + ": " + error_text(error));
  }

  // What is not read yet counts as on its way, so there is nothing to wait for.
  [[nodiscard]] milliseconds trial() const override { return milliseconds(0); }

 protected:
  [[nodiscard]] std::string framed(std::string_view message) const override {
    return std::string(message) + (is_stream_ ? "\n" : "");
  }
  [[nodiscard]] std::string peer_name() const override { return path_; }

 private:
  // 0 or the error number.
  int try_connect(int type) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    FileDescriptor made(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made.is_valid() ||
        ::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return errno;
    }
    take(std::move(made));
    return 0;
  }

  std::string path_;
  bool is_stream_ = false;
};

}  // namespace

Result<FileDescriptor> connect_collector(const std::string& host, std::uint16_t port) {
  auto connected = net::connect_to(host, port, steady_clock::now() + kConnectTimeout);
  if (!connected) return tl::unexpected(connected.error());
  // A collector that vanished without a word is noticed within this time.
  const int timeout = static_cast<int>(milliseconds(kSendTimeout).count());
  const int on = 1;
  const int idle = 30;
  const int interval = 10;
  const int socket = connected->socket.get();
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
  (void)::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  return std::move(connected->socket);
}

bool SocketTransport::wait(bool writable, SteadyTime deadline) const {
  for (;;) {
    const auto now = steady_clock::now();
    if (is_interrupted() || now >= deadline) return false;
    const auto left = std::chrono::ceil<milliseconds>(deadline - now);
    pollfd polled{socket_.get(), static_cast<short>(writable ? POLLOUT : POLLIN), 0};
    const int ready =
        ::poll(&polled, 1, static_cast<int>(std::min<milliseconds>(left, kSlice).count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the next call tells the error
  }
}

tl::unexpected<Error> SocketTransport::lost(const std::string& reason) {
  close();
  return failure(ErrorCode::transient, "connection to " + peer_name() + " lost: " + reason);
}

SocketTransport::Moved SocketTransport::write_some(std::string_view bytes) {
  const ssize_t sent =
      ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return {Moved::What::bytes, static_cast<std::size_t>(sent)};
  if (errno == EAGAIN || errno == ENOBUFS) return {Moved::What::wait_writable};
  if (errno == EINTR) return {Moved::What::bytes, 0};
  if (errno == EMSGSIZE) return {Moved::What::too_long};
  return {Moved::What::failed, 0, error_text(errno)};
}

SocketTransport::Moved SocketTransport::read_some(std::span<char> buffer) {
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got > 0) return {Moved::What::bytes, static_cast<std::size_t>(got)};
  if (got == 0) return {Moved::What::end};
  if (errno == EAGAIN) return {Moved::What::wait_readable};
  if (errno == EINTR) return {Moved::What::bytes, 0};
  return {Moved::What::failed, 0, error_text(errno)};
}

void SocketTransport::end_writing() {
  (void)::shutdown(socket_.get(), SHUT_WR);
}

Result<void> SocketTransport::send(std::string_view message) {
  if (auto opened = open(); !opened) return opened;
  const std::string frame = framed(message);
  std::string_view rest = frame;
  auto deadline = steady_clock::now() + kSendTimeout;
  while (!rest.empty()) {
    const Moved moved = write_some(rest);
    switch (moved.what) {
      case Moved::What::bytes:
        rest.remove_prefix(moved.bytes);
        if (moved.bytes > 0) deadline = steady_clock::now() + kSendTimeout;
        break;
      case Moved::What::too_long:
        return failure(ErrorCode::permanent, "a message of " + std::to_string(frame.size()) +
                                                 " bytes is too long for " + peer_name());
      case Moved::What::failed:
      case Moved::What::end:
        return lost(moved.reason);
      default:
        if (!wait(moved.what == Moved::What::wait_writable, deadline)) {
          return lost(is_interrupted() ? "stopped" : "it takes nothing any more");
        }
    }
  }
  return {};
}

// A collector has nothing to say; a connection that is at its end does.
SocketTransport::Moved SocketTransport::drop_what_came() {
  std::array<char, 512> buffer{};
  for (;;) {
    Moved moved = read_some(buffer);
    if (moved.what != Moved::What::bytes) return moved;
  }
}

Result<bool> SocketTransport::is_taken() {
  if (!is_open()) return failure(ErrorCode::transient, peer_name() + " is not connected");
  const Moved last = drop_what_came();
  if (last.what == Moved::What::end) return lost("closed by the collector");
  if (last.what == Moved::What::failed) return lost(last.reason);
  int unacknowledged = 0;
  if (::ioctl(socket_.get(), SIOCOUTQ, &unacknowledged) != 0) return lost(error_text(errno));
  return unacknowledged == 0;
}

bool SocketTransport::finish(SteadyTime deadline) {
  if (!is_open()) return false;
  end_writing();
  bool taken = false;
  for (;;) {
    const Moved last = drop_what_came();
    int unacknowledged = 0;
    taken = last.what == Moved::What::end &&
            ::ioctl(socket_.get(), SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
    if (last.what == Moved::What::end || last.what == Moved::What::failed) break;
    if (!wait(last.what == Moved::What::wait_writable, deadline)) break;
  }
  close();
  return taken;
}

void SocketTransport::close() {
  socket_.reset();
}

std::unique_ptr<Transport> make_tcp_transport(const std::string& host, std::uint16_t port) {
  return std::make_unique<TcpTransport>(host, port);
}

std::unique_ptr<Transport> make_unix_transport(const std::string& path) {
  return std::make_unique<UnixTransport>(path);
}

}  // namespace sluice::audit
