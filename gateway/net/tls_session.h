// One TLS connection over a socket that does not block: what Connection and HalfOpen
// speak through where a listener or destination has TLS (PS3.15 B.12).
//
// Nothing here waits: whoever calls polls the socket for wants() and calls again. One
// thread at a time; the socket must stay open while the session is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/net/openssl_handles.h"

namespace sluice::net {

// Who the peer is, by a certificate that was verified.
struct PeerCertificate {
  std::string subject;             // "CN=ct1,O=Hospital"; may hold any character
  std::vector<std::string> names;  // common names and dNSNames, in small letters
  std::string fingerprint;         // SHA-256 of it, 64 small hexadecimal digits
};

// Why there is no TLS, or none any more.
struct TlsFailure {
  std::string_view reason;  // one of a few, for a counter: "unknown CA", "no certificate"
  std::string detail;       // what a person is to look at
};

class TlsSession {
 public:
  enum class Step { done, again, failed };

  // `ssl` is told its role and rules already; the socket is the caller's.
  TlsSession(SslHandle ssl, int socket);
  ~TlsSession() = default;
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // As far as it goes without waiting. When it failed, the peer was told by an alert.
  [[nodiscard]] Step handshake() noexcept;

  // At least one byte; 0 when the peer ended TLS in order, by a close_notify; -1 with
  // errno EAGAIN, or EPROTO when the connection is broken, cut off without one too.
  [[nodiscard]] std::ptrdiff_t receive(std::span<std::byte> buffer) noexcept;

  // How many bytes were taken, or -1 as receive(); after EAGAIN the same bytes must come
  // again. `more`: others follow at once, and may share packets.
  [[nodiscard]] std::ptrdiff_t send(std::span<const std::byte> bytes, bool more) noexcept;

  // Tells the peer that nothing follows, if that can be had without waiting.
  void close_notify() noexcept;

  // What to poll for after EAGAIN or Step::again: POLLIN or POLLOUT.
  [[nodiscard]] short wants() const { return wants_; }

  // After a failed step or EPROTO.
  [[nodiscard]] bool has_failed() const { return failed_; }
  // The connection ended, without a word.
  [[nodiscard]] bool was_cut_off() const;
  // By an alert: the peer does not want us.
  [[nodiscard]] bool was_refused() const;
  [[nodiscard]] TlsFailure failure() const;

  // After the handshake; nullopt when the peer had none to show.
  [[nodiscard]] std::optional<PeerCertificate> peer_certificate() const;
  // The subject of what it showed, verified or not; "" for none.
  [[nodiscard]] const std::string& shown_subject() const { return shown_subject_; }
  [[nodiscard]] std::string version() const;       // "TLSv1.3"
  [[nodiscard]] std::string cipher_suite() const;  // OpenSSL's name

  // Judges a certificate of the peer's chain; for SSL_CTX_set_verify().
  static int verify(int good, X509_STORE_CTX* store);

 private:
  // What the BIO, OpenSSL's end of the socket, knows.
  struct Wire {
    int socket = -1;
    bool more = false;  // what is written next is not the last
    bool ended = false;
    int error_number = 0;
  };
  friend struct WireBio;

  [[nodiscard]] std::ptrdiff_t outcome(int result) noexcept;
  void find_alert() noexcept;

  Wire wire_;
  SslHandle ssl_;
  short wants_ = 0;
  bool failed_ = false;
  unsigned long error_ = 0;  // OpenSSL's, of the failure
  std::string shown_subject_;
};

}  // namespace sluice::net
