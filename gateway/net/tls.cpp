#include "gateway/net/tls.h"

#include <algorithm>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "gateway/base/log.h"
#include "gateway/config/address.h"

namespace sluice::net {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kLookInterval{1};
constexpr int kSecurityLevel = 2;  // 112 bits: RSA of 2048 bits, no SHA-1

// RFC 9325 4.2 and 4.4. AES-128 first: its 128 bits suffice, and it is the faster one.
constexpr const char* kCipherSuites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCipherSuites13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";
constexpr const char* kSignatures =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "RSA+SHA256:RSA+SHA384:RSA+SHA512";

tl::unexpected<Error> failed(const std::string& what) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* const text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return failure(ErrorCode::configuration,
                 what + (text == nullptr ? "" : ": " + std::string(text)));
}

// Where the system's openssl.cnf is stricter or laxer, this stands.
bool set_rules(SSL_CTX* context) {
  SSL_CTX_set_security_level(context, kSecurityLevel);
  SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
                                     SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
  // Without resumption each connection is judged by today's certificates and CRLs.
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // one system call a record, not two
  return SSL_CTX_set_num_tickets(context, 0) == 1 &&
         SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, kCipherSuites) == 1 &&
         SSL_CTX_set_ciphersuites(context, kCipherSuites13) == 1 &&
         SSL_CTX_set1_groups_list(context, kGroups) == 1 &&
         SSL_CTX_set1_sigalgs_list(context, kSignatures) == 1;
}

Result<void> set_own(SSL_CTX* context, const config::Tls& tls, const CertificateFiles& files) {
  bool first = true;
  for (const CertificateHandle& each : files.chain) {
    const int good = first ? SSL_CTX_use_certificate(context, each.get())
                           : static_cast<int>(SSL_CTX_add1_chain_cert(context, each.get()));
    if (good != 1) return failed("certificate " + tls.certificate + " cannot be used");
    first = false;
  }
  if (files.key != nullptr && SSL_CTX_use_PrivateKey(context, files.key.get()) != 1) {
    return failed("key " + tls.key + " cannot be used");
  }
  return {};
}

Result<void> set_trust(SSL_CTX* context, const config::Tls& tls, TlsSide side,
                       const CertificateFiles& files) {
  int mode = SSL_VERIFY_PEER;
  if (side == TlsSide::listener) {
    if (tls.client_certificate == "none") mode = SSL_VERIFY_NONE;
    if (tls.client_certificate == "required") mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  SSL_CTX_set_verify(context, mode, &TlsSession::verify);
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const CertificateHandle& each : files.authorities) {
    if (X509_STORE_add_cert(store, each.get()) != 1 ||
        (side == TlsSide::listener && SSL_CTX_add_client_CA(context, each.get()) != 1)) {
      return failed("ca " + tls.ca + " cannot be used");
    }
  }
  for (const CrlHandle& each : files.revocations) {
    if (X509_STORE_add_crl(store, each.get()) != 1)
      return failed("crl " + tls.crl + " cannot be used");
  }
  // What stands in `ca` is trusted, be it a root or not: a device's own certificate, too.
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
  if (!files.revocations.empty()) flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
  X509_VERIFY_PARAM* const rules = SSL_CTX_get0_param(context);
  if (X509_VERIFY_PARAM_set_flags(rules, flags) != 1) return failed("no rules for certificates");
  return {};
}

Result<SslContextHandle> make_context(const config::Tls& tls, TlsSide side,
                                      const CertificateFiles& files) {
  if (const CertificateProblem* mistake = files.mistake()) {
    return failure(ErrorCode::configuration, mistake->message);
  }
  ERR_clear_error();
  SslContextHandle context(
      SSL_CTX_new(side == TlsSide::listener ? TLS_server_method() : TLS_client_method()));
  if (context == nullptr || !set_rules(context.get()))
    return failed("OpenSSL has no TLS 1.2 or 1.3");
  if (auto set = set_own(context.get(), tls, files); !set) return tl::unexpected(set.error());
  if (auto set = set_trust(context.get(), tls, side, files); !set) {
    return tl::unexpected(set.error());
  }
  return context;
}

// Changes with the file, also when another takes its place.
std::string state_of(const std::string& path) {
  struct stat state {};
  if (path.empty() || ::stat(path.c_str(), &state) != 0) return "";
  return std::to_string(state.st_dev) + " " + std::to_string(state.st_ino) + " " +
         std::to_string(state.st_size) + " " + std::to_string(state.st_mtim.tv_sec) + "." +
         std::to_string(state.st_mtim.tv_nsec);
}

std::vector<std::string> states_of(const config::Tls& tls) {
  return {state_of(tls.certificate), state_of(tls.key), state_of(tls.ca), state_of(tls.crl)};
}

bool is_named(const PeerCertificate& certificate, const std::string& name) {
  return name == "sha256:" + certificate.fingerprint ||
         std::ranges::find(certificate.names, name) != certificate.names.end();
}

// RFC 9525: the name that was configured, never one that was looked up.
bool expect_name(SSL* ssl, const std::string& name) {
  if (config::is_ip_address(name)) {
    const std::string address = name.substr(0, name.find('%'));  // without the scope
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address.c_str()) == 1;
  }
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // SSL_set_tlsext_host_name() without its cast in the old style.
  std::string copy = name;
  return SSL_set1_host(ssl, name.c_str()) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy.data()) == 1;
}

}  // namespace

TlsContext::TlsContext(config::Tls tls, TlsSide side, std::string name)
    : tls_(std::move(tls)), side_(side), name_(std::move(name)) {}

Result<std::shared_ptr<TlsContext>> TlsContext::open(const config::Tls& tls, TlsSide side,
                                                     const std::string& host) {
  std::shared_ptr<TlsContext> context(
      new TlsContext(tls, side, tls.name.empty() ? host : tls.name));
  context->states_ = states_of(tls);
  context->looked_at_ = steady_clock::now();
  auto made =
      make_context(tls, side, read_certificate_files(tls, side, std::chrono::system_clock::now()));
  if (!made) return tl::unexpected(made.error());
  context->context_ = std::move(*made);
  return context;
}

void TlsContext::read_again_if_changed() {
  const auto now = steady_clock::now();
  if (now - looked_at_ < kLookInterval) return;
  looked_at_ = now;
  std::vector<std::string> states = states_of(tls_);
  if (states == states_) return;
  states_ = std::move(states);
  const auto today = std::chrono::system_clock::now();
  const CertificateFiles files = read_certificate_files(tls_, side_, today);
  auto made = make_context(tls_, side_, files);
  if (made) {
    context_ = std::move(*made);
    log::info("certificates read again", {{"certificate", tls_.certificate}, {"ca", tls_.ca}});
    for (const Expiry& each : files.expiries) {
      if (each.key != "certificate" || each.at - today >= kExpiryWarning) continue;
      log::warning("certificate",
                   {{"file", tls_.certificate},
                    {"subject", each.subject},
                    {"ends_in", each.at < today ? "expired" : days_text(each.at - today)}});
    }
  } else {
    log::error("changed certificates cannot be used; those from before stay",
               {{"reason", made.error().message}});
  }
}

Result<std::unique_ptr<TlsSession>> TlsContext::session(int socket) {
  SslHandle ssl;
  {
    const std::lock_guard lock(mutex_);
    read_again_if_changed();
    ERR_clear_error();
    ssl.reset(SSL_new(context_.get()));  // keeps the context as it is now
  }
  const bool ready =
      ssl != nullptr && (side_ == TlsSide::listener || expect_name(ssl.get(), name_));
  if (!ready) {
    Error error = failed("no TLS session").value();
    error.code = ErrorCode::transient;
    return tl::unexpected(std::move(error));
  }
  if (side_ == TlsSide::listener) {
    SSL_set_accept_state(ssl.get());
  } else {
    SSL_set_connect_state(ssl.get());
  }
  return std::make_unique<TlsSession>(std::move(ssl), socket);
}

bool TlsContext::may_use(const PeerCertificate* certificate, std::string_view ae_title) const {
  if (tls_.ae_titles.empty()) return true;
  const auto lists = [&](const config::Tls::Holder& holder) {
    return std::ranges::any_of(holder.ae_titles, [&](const std::string& title) {
      return title == ae_title || (title == "*" && certificate != nullptr);
    });
  };
  // Without a certificate, which is possible where it is optional, what is nobody's.
  if (certificate == nullptr) return std::ranges::none_of(tls_.ae_titles, lists);
  return std::ranges::any_of(tls_.ae_titles, [&](const config::Tls::Holder& holder) {
    return is_named(*certificate, holder.certificate) && lists(holder);
  });
}

std::vector<CertificateProblem> find_certificate_problems(const config::Tls& tls, TlsSide side,
                                                          CalendarTime now) {
  CertificateFiles files = read_certificate_files(tls, side, now);
  if (files.mistake() == nullptr) {
    // Each file by itself is good; security level 2 may still find a key too short.
    if (const auto made = make_context(tls, side, files); !made) {
      const std::string& message = made.error().message;
      const std::string key = message.substr(0, message.find(' '));
      files.problems.push_back({CertificateProblem::Kind::mistake, key, message});
    }
  }
  return std::move(files.problems);
}

}  // namespace sluice::net
