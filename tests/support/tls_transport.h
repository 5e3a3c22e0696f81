// A raw peer's bytes over TLS.
//
//   RawPeer peer = connect_tls(port, {.certificate = ..., .key = ..., .ca = ...});
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "tests/support/raw_peer.h"
#include "tests/support/tls_peer.h"

namespace sluice::test {

class TlsTransport : public RawTransport {
 public:
  // Behind the handshake.
  explicit TlsTransport(TlsPeer peer) : peer_(std::move(peer)) {
    const int flags = ::fcntl(peer_.descriptor(), F_GETFL, 0);
    ::fcntl(peer_.descriptor(), F_SETFL, flags | O_NONBLOCK);
  }
  ~TlsTransport() override = default;

  ssize_t send(const char* bytes, std::size_t length) override {
    return run([&] { return SSL_write(peer_.ssl(), bytes, static_cast<int>(length)); }, kPatience);
  }
  ssize_t receive(char* bytes, std::size_t length) override {
    return run([&] { return SSL_read(peer_.ssl(), bytes, static_cast<int>(length)); }, kPatience);
  }
  [[nodiscard]] bool wait_readable(std::chrono::milliseconds time) override {
    char byte = 0;
    const ssize_t got = run([&] { return SSL_peek(peer_.ssl(), &byte, 1); }, time);
    return got > 0 || end() != PeerEnd::none || is_broken_;
  }
  [[nodiscard]] bool is_hung_up() override { return polled(POLLRDHUP, {}); }
  void reset() override {
    const linger at_once{1, 0};
    ::setsockopt(peer_.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  // A close_notify; what follows is for the caller.
  void end_in_order() { peer_.end_in_order(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPatience{20'000};

  [[nodiscard]] bool polled(short events, std::chrono::milliseconds time) const {
    pollfd polled{peer_.descriptor(), events, 0};
    return ::poll(&polled, 1, static_cast<int>(time.count())) > 0;
  }

  // One call of OpenSSL, again and again until it is done, fails or the time is over.
  template <typename Call>
  ssize_t run(Call call, std::chrono::milliseconds time) {
    const auto limit = Clock::now() + time;
    for (;;) {
      ERR_clear_error();
      errno = 0;
      const int result = call();
      if (result > 0) return result;
      const int error_number = errno;
      const int error = SSL_get_error(peer_.ssl(), result);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        note(error, error_number);
        return -1;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now());
      const short events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      if (left.count() <= 0 || !polled(events, left)) return -1;
    }
  }

  void note(int error, int error_number) {
    is_broken_ = true;
    if (error == SSL_ERROR_ZERO_RETURN) {
      // The FIN must follow.
      char byte = 0;
      const bool ended =
          polled(POLLIN, kPatience) && ::recv(peer_.descriptor(), &byte, 1, MSG_PEEK) == 0;
      if (ended) note_end(PeerEnd::in_order);
    } else if (error == SSL_ERROR_SYSCALL && error_number == ECONNRESET) {
      note_end(PeerEnd::reset);
    } else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      note_end(PeerEnd::cut_off);
    }
  }

  TlsPeer peer_;
  bool is_broken_ = false;
};

// Throws when there is no handshake.
inline RawPeer connect_tls(std::uint16_t port, const TlsWish& wish) {
  TlsPeer peer = TlsPeer::connect(port, wish);
  if (!peer.handshake()) throw std::runtime_error("no TLS handshake: " + peer.error());
  return RawPeer(std::make_unique<TlsTransport>(std::move(peer)));
}

}  // namespace sluice::test
