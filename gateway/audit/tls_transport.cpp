#include "gateway/audit/tls_transport.h"

#include <cerrno>
#include <utility>

#include <poll.h>

#include "gateway/audit/socket_transport.h"
#include "gateway/audit/syslog.h"
#include "gateway/net/security_alert.h"
#include "gateway/net/tls.h"

namespace sluice::audit {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kHandshakeTimeout{5};

class TlsTransport final : public SocketTransport {
 public:
  explicit TlsTransport(config::AuditDestination destination)
      : destination_(std::move(destination)) {}

  Result<void> open() override {
    if (is_open()) return {};
    if (context_ == nullptr) {
      // Not before: the gateway starts without its collector's CA, and says so.
      auto made =
          net::TlsContext::open(*destination_.tls, net::TlsSide::destination, destination_.host);
      if (!made) return failure(ErrorCode::transient, made.error().message);
      context_ = std::move(*made);
    }
    auto connected = connect_collector(destination_.host, destination_.port);
    if (!connected) return tl::unexpected(connected.error());
    take(std::move(*connected));
    auto session = context_->session(socket());
    if (!session) return lost(session.error().message);
    session_ = std::move(*session);
    return shake_hands();
  }

  [[nodiscard]] std::chrono::milliseconds trial() const override { return kStreamTrial; }

  void close() override {
    session_.reset();  // it looks at the socket
    SocketTransport::close();
  }

 protected:
  Moved write_some(std::string_view bytes) override {
    return moved(session_->send(std::as_bytes(std::span(bytes)), false));
  }
  Moved read_some(std::span<char> buffer) override {
    const std::ptrdiff_t got = session_->receive(std::as_writable_bytes(buffer));
    return got == 0 ? Moved{Moved::What::end} : moved(got);
  }
  void end_writing() override {
    session_->close_notify();
    SocketTransport::end_writing();
  }
  [[nodiscard]] std::string framed(std::string_view message) const override {
    return octet_counted(message);
  }
  [[nodiscard]] std::string peer_name() const override {
    return destination_.host + " port " + std::to_string(destination_.port);
  }

 private:
  Result<void> shake_hands() {
    const auto deadline = steady_clock::now() + kHandshakeTimeout;
    for (;;) {
      switch (session_->handshake()) {
        case net::TlsSession::Step::done:
          return {};
        case net::TlsSession::Step::again:
          if (wait(session_->wants() == POLLOUT, deadline)) continue;
          return lost("no TLS handshake in time");
        case net::TlsSession::Step::failed: {
          const net::TlsFailure why = session_->failure();
          net::raise({std::string(why.reason), why.detail, "audit", destination_.address,
                      destination_.host, session_->shown_subject(), ""},
                     {});
          return lost("TLS: " + why.detail);
        }
      }
    }
  }

  Moved moved(std::ptrdiff_t result) {
    if (result >= 0) return {Moved::What::bytes, static_cast<std::size_t>(result)};
    if (errno == EAGAIN) {
      return {session_->wants() == POLLOUT ? Moved::What::wait_writable
                                           : Moved::What::wait_readable};
    }
    return {Moved::What::failed, 0, session_->failure().detail};
  }

  const config::AuditDestination destination_;
  std::shared_ptr<net::TlsContext> context_;
  std::unique_ptr<net::TlsSession> session_;
};

}  // namespace

std::unique_ptr<Transport> make_tls_transport(const config::AuditDestination& destination) {
  return std::make_unique<TlsTransport>(destination);
}

}  // namespace sluice::audit
