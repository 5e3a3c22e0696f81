// TLS as the gateway speaks it, on listeners and towards destinations: the rules of
// BCP 195 (RFC 8996, RFC 9325), which PS3.15 B.12 asks for.
//
//   auto context = TlsContext::open(*listener.tls, TlsSide::listener);
//   auto session = (*context)->session(socket);       // then session->handshake() ...
//
// TLS 1.2 and 1.3; ECDHE with an AEAD cipher only; no compression, renegotiation,
// resumption or early data. There is no way to leave out the check of a destination's
// certificate and name.
//
// A context may be used from any thread. It looks at its files when a session is made,
// once a second at most, and takes changed ones: certificates and CRLs are renewed
// without a restart. Files that are wrong are logged, and what was good before stays.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/config/config.h"
#include "gateway/net/certificate_files.h"
#include "gateway/net/openssl_handles.h"
#include "gateway/net/tls_session.h"

namespace sluice::net {

class TlsContext {
 public:
  // `host`: of the destination; its certificate must name it, unless `tls` names another.
  // Dates are not looked at. Errors: configuration, the first mistake of the files.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> open(const config::Tls& tls,
                                                                TlsSide side,
                                                                const std::string& host = "");

  // `socket`: connected, and does not block; must outlive the session. Errors: transient.
  [[nodiscard]] Result<std::unique_ptr<TlsSession>> session(int socket);

  // Whether a client with this certificate, or none, may call itself so.
  [[nodiscard]] bool may_use(const PeerCertificate* certificate, std::string_view ae_title) const;

 private:
  TlsContext(config::Tls tls, TlsSide side, std::string name);
  void read_again_if_changed();

  const config::Tls tls_;
  const TlsSide side_;
  const std::string name_;  // that the destination's certificate must hold
  std::mutex mutex_;        // guards what follows
  SslContextHandle context_;
  std::vector<std::string> states_;  // of the files, when they were read
  std::chrono::steady_clock::time_point looked_at_{};
};

// What is wrong with the files of a table, or will be: for `check`.
[[nodiscard]] std::vector<CertificateProblem> find_certificate_problems(const config::Tls& tls,
                                                                        TlsSide side,
                                                                        CalendarTime now);

}  // namespace sluice::net
