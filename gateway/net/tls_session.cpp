#include "gateway/net/tls_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include "gateway/net/certificate.h"

namespace sluice::net {

// OpenSSL's own socket BIO raises SIGPIPE, and leaves acknowledgements to the system's
// delay (see Connection).
struct WireBio {
  using Wire = TlsSession::Wire;

  static Wire& wire(BIO* bio) { return *static_cast<Wire*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* buffer, int length) {
    Wire& own = wire(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t got = ::recv(own.socket, buffer, static_cast<std::size_t>(length), 0);
    if (got > 0) {
      const int on = 1;
      static_cast<void>(::setsockopt(own.socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)));
    } else if (got == 0) {
      own.ended = true;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      BIO_set_retry_read(bio);
    } else {
      own.error_number = errno;
    }
    return static_cast<int>(got);
  }

  static int write(BIO* bio, const char* bytes, int length) {
    Wire& own = wire(bio);
    BIO_clear_retry_flags(bio);
    const int flags = MSG_NOSIGNAL | (own.more ? MSG_MORE : 0);
    const ssize_t sent = ::send(own.socket, bytes, static_cast<std::size_t>(length), flags);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        BIO_set_retry_write(bio);
      } else {
        own.error_number = errno;
      }
    }
    return static_cast<int>(sent);
  }

  static long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return wire(bio).ended ? 1 : 0;
    return 0;
  }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
      if (method == nullptr) throw std::bad_alloc();
      BIO_meth_set_read(method, read);
      BIO_meth_set_write(method, write);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

namespace {

TlsFailure refused_by_peer(int reason, unsigned long error) {
  const char* text = ERR_reason_error_string(error);
  std::string detail = "the peer refused: " + std::string(text == nullptr ? "an alert" : text);
  switch (reason) {
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return {"protocol version", detail + "; it speaks neither TLS 1.2 nor 1.3"};
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return {"refused by peer", detail + "; it may want a certificate, or other cipher suites"};
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return {"refused by peer", detail + "; give certificate and key"};
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return {"refused by peer", detail + "; our CA must be made known to it"};
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return {"refused by peer", detail + "; it does not take our certificate"};
    default:
      return {"refused by peer", detail};
  }
}

// The reasons of ERR_LIB_SSL; see openssl/sslerr.h.
TlsFailure failure_of_handshake(int reason, unsigned long error) {
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return {"protocol version", "the peer wants TLS older than 1.2"};
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
      return {"not TLS", "the peer does not speak TLS; is it set to plain DICOM?"};
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_WRONG_SIGNATURE_TYPE:
    case SSL_R_WRONG_CURVE:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
    case SSL_R_WRONG_CIPHER_RETURNED:
      return {"no shared cipher",
              "no cipher suite, group or signature in common; ECDHE with AES-GCM or "
              "ChaCha20-Poly1305 is needed"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return {"no certificate", "the peer showed no certificate, and needs one here"};
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return {"cut off", "the peer closed the connection without ending TLS"};
    default:
      break;
  }
  if (reason >= SSL_AD_REASON_OFFSET) return refused_by_peer(reason, error);
  const char* text = ERR_reason_error_string(error);
  return {"broken TLS", text == nullptr ? "TLS failed" : "TLS failed: " + std::string(text)};
}

// The one that says most: what SSL found, rather than the parser below it.
unsigned long take_error() noexcept {
  unsigned long found = 0;
  while (const unsigned long next = ERR_get_error()) {
    if (found == 0 || (ERR_GET_LIB(found) != ERR_LIB_SSL && ERR_GET_LIB(next) == ERR_LIB_SSL)) {
      found = next;
    }
  }
  return found;
}

}  // namespace

TlsSession::TlsSession(SslHandle ssl, int socket) : ssl_(std::move(ssl)) {
  wire_.socket = socket;
  BIO* const bio = BIO_new(WireBio::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, &wire_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
}

std::ptrdiff_t TlsSession::outcome(int result) noexcept {
  if (result > 0) return result;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wants_ = POLLIN;
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_WANT_WRITE:
      wants_ = POLLOUT;
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      failed_ = true;
      error_ = take_error();
      errno = EPROTO;
      return -1;
  }
}

TlsSession::Step TlsSession::handshake() noexcept {
  if (failed_) return Step::failed;
  ERR_clear_error();
  const std::ptrdiff_t result = outcome(SSL_do_handshake(ssl_.get()));
  if (result > 0) return Step::done;
  if (result < 0 && errno == EAGAIN) return Step::again;
  failed_ = true;  // an end in order, before there was anything, is none
  return Step::failed;
}

std::ptrdiff_t TlsSession::receive(std::span<std::byte> buffer) noexcept {
  if (failed_) {
    errno = EPROTO;
    return -1;
  }
  ERR_clear_error();
  constexpr std::size_t kMost = std::size_t{1} << 30U;  // SSL_read() takes an int
  const int wanted = static_cast<int>(std::min(buffer.size(), kMost));
  return outcome(SSL_read(ssl_.get(), buffer.data(), wanted));
}

std::ptrdiff_t TlsSession::send(std::span<const std::byte> bytes, bool more) noexcept {
  if (failed_) {
    errno = EPROTO;
    return -1;
  }
  ERR_clear_error();
  // A record at a time, so that the last one is known and pushes the packets out.
  const std::size_t length = std::min<std::size_t>(bytes.size(), SSL3_RT_MAX_PLAIN_LENGTH);
  wire_.more = more || length < bytes.size();
  const std::ptrdiff_t sent =
      outcome(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(length)));
  if (sent == 0) {
    failed_ = true;  // nothing may be written after our close_notify
    errno = EPROTO;
    return -1;
  }
  if (sent < 0 && failed_) {
    find_alert();
    errno = EPROTO;
  }
  return sent;
}

// In TLS 1.3 a server that does not want our certificate says so behind our handshake, and
// may have reset the connection when we write. Its alert still waits to be read.
void TlsSession::find_alert() noexcept {
  if (error_ != 0) return;
  ERR_clear_error();
  std::byte next{};
  const int result = SSL_read(ssl_.get(), &next, 1);
  if (result <= 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_SSL) error_ = take_error();
}

void TlsSession::close_notify() noexcept {
  if (failed_ || SSL_in_init(ssl_.get()) != 0) return;
  ERR_clear_error();
  wire_.more = false;
  if (SSL_shutdown(ssl_.get()) < 0) ERR_clear_error();
}

bool TlsSession::was_cut_off() const {
  return failed_ && (error_ == 0 || (ERR_GET_LIB(error_) == ERR_LIB_SSL &&
                                     ERR_GET_REASON(error_) == SSL_R_UNEXPECTED_EOF_WHILE_READING));
}

bool TlsSession::was_refused() const {
  return failed_ && ERR_GET_LIB(error_) == ERR_LIB_SSL &&
         ERR_GET_REASON(error_) >= SSL_AD_REASON_OFFSET;
}

TlsFailure TlsSession::failure() const {
  if (ERR_GET_LIB(error_) == ERR_LIB_SSL) {
    const int reason = ERR_GET_REASON(error_);
    const long verified = SSL_get_verify_result(ssl_.get());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
      return {reason_of_verification(verified), text_of_verification(verified)};
    }
    return failure_of_handshake(reason, error_);
  }
  if (error_ != 0) {
    const char* text = ERR_reason_error_string(error_);
    return {"broken TLS", text == nullptr ? "TLS failed" : "TLS failed: " + std::string(text)};
  }
  if (wire_.error_number != 0) {
    return {"connection", std::generic_category().message(wire_.error_number)};
  }
  return {"cut off", "the peer closed the connection"};
}

std::optional<PeerCertificate> TlsSession::peer_certificate() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return std::nullopt;
  return PeerCertificate{subject_of(*certificate), names_of(*certificate),
                         fingerprint_of(*certificate)};
}

std::string TlsSession::version() const {
  return SSL_get_version(ssl_.get());
}

std::string TlsSession::cipher_suite() const {
  return SSL_get_cipher_name(ssl_.get());
}

int TlsSession::verify(int good, X509_STORE_CTX* store) {
  const int index = SSL_get_ex_data_X509_STORE_CTX_idx();
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, index));
  auto* const session = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  const X509* shown = X509_STORE_CTX_get0_cert(store);
  if (session != nullptr && shown != nullptr && session->shown_subject_.empty()) {
    try {
      session->shown_subject_ = subject_of(*shown);
    } catch (const std::exception&) {
      return 0;  // no memory; no exception may pass through OpenSSL
    }
  }
  // The peer's own certificate must be covered by a CRL where there are any; a CA that
  // publishes none of its own CAs does not end all connections.
  if (good == 0 && X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL &&
      X509_STORE_CTX_get_error_depth(store) > 0) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  return good;
}

}  // namespace sluice::net
