// A peer that speaks TLS as a test wants it, good or bad, by calls that wait. It shares
// nothing with the code under test but OpenSSL.
#pragma once

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include "tests/support/certificates.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {

struct TlsWish {
  std::string certificate;
  std::string key;
  std::string ca;  // "": anybody is believed
  int least_version = TLS1_2_VERSION;
  int most_version = TLS1_3_VERSION;
  std::string cipher_suites;          // of TLS 1.2; "": OpenSSL's
  int security_level = 1;             // 0 for what is long forbidden
  bool asks_for_certificate = false;  // as a server
};

class TlsPeer {
 public:
  // Nothing is sent before handshake().
  TlsPeer(int descriptor, bool is_server, const TlsWish& wish) : descriptor_(descriptor) {
    (void)std::signal(SIGPIPE, SIG_IGN);
    const timeval patience{20, 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    context_.reset(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    SSL_CTX* const context = context_.get();
    SSL_CTX_set_security_level(context, wish.security_level);
    SSL_CTX_set_min_proto_version(context, wish.least_version);
    SSL_CTX_set_max_proto_version(context, wish.most_version);
    bool good = wish.cipher_suites.empty() ||
                SSL_CTX_set_cipher_list(context, wish.cipher_suites.c_str()) == 1;
    if (!wish.certificate.empty()) {
      good = good && SSL_CTX_use_certificate_chain_file(context, wish.certificate.c_str()) == 1 &&
             SSL_CTX_use_PrivateKey_file(context, wish.key.c_str(), SSL_FILETYPE_PEM) == 1;
    }
    if (!wish.ca.empty()) {
      good = good && SSL_CTX_load_verify_locations(context, wish.ca.c_str(), nullptr) == 1;
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    }
    if (wish.asks_for_certificate) {
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    ssl_.reset(SSL_new(context));
    if (!good || SSL_set_fd(ssl_.get(), descriptor) != 1) throw std::runtime_error("no TLS peer");
    if (is_server) {
      SSL_set_accept_state(ssl_.get());
    } else {
      SSL_set_connect_state(ssl_.get());
    }
  }
  static TlsPeer connect(std::uint16_t port, const TlsWish& wish = {}) {
    return {RawPeer::connect(port).release(), false, wish};
  }
  ~TlsPeer() { close(); }
  TlsPeer(TlsPeer&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        context_(std::move(other.context_)),
        ssl_(std::move(other.ssl_)) {}
  TlsPeer& operator=(TlsPeer&&) = delete;
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  // False when it fails; error() says why.
  [[nodiscard]] bool handshake() {
    ERR_clear_error();
    const bool good = SSL_do_handshake(ssl_.get()) == 1;
    if (!good) note_error();
    return good;
  }
  // One record for up to 16 KiB.
  bool send(const std::string& bytes) {
    ERR_clear_error();
    if (SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0) return true;
    note_error();
    return false;
  }
  // Exactly this many bytes, or fewer when there are no more.
  [[nodiscard]] std::string receive(std::size_t length) {
    std::string bytes;
    while (bytes.size() < length) {
      std::string piece(length - bytes.size(), '\0');
      ERR_clear_error();
      const int got = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
      if (got <= 0) {
        ended_in_order_ = SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
        note_error();
        break;
      }
      bytes += piece.substr(0, static_cast<std::size_t>(got));
    }
    return bytes;
  }
  [[nodiscard]] std::string receive_pdu() {
    std::string header = receive(6);
    if (header.size() < 6) return {};
    std::size_t length = 0;
    for (std::size_t i = 2; i < 6; ++i) {
      length = length << 8U | static_cast<unsigned char>(header[i]);
    }
    return header + receive(length);
  }
  // The other side ended TLS by a close_notify, and nothing came before it.
  [[nodiscard]] bool is_ended_in_order() { return receive(1).empty() && ended_in_order_; }

  void end_in_order() { SSL_shutdown(ssl_.get()); }
  // Without a close_notify.
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

  [[nodiscard]] SSL* ssl() { return ssl_.get(); }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::string version() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  void note_error() {
    const char* text = ERR_reason_error_string(ERR_peek_error());
    if (text != nullptr) error_ = text;
  }

  int descriptor_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  std::string error_;
  bool ended_in_order_ = false;
};

}  // namespace sluice::test
