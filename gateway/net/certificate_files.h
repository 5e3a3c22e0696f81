// The PEM files that a [listener.tls] or [destination.tls] names, read and checked whole:
// every mistake at once, for `sluice check`.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/net/certificate.h"
#include "gateway/net/openssl_handles.h"

namespace sluice::net {

enum class TlsSide { listener, destination };

struct CertificateProblem {
  enum class Kind {
    mistake,   // TLS cannot be had with it
    outdated,  // expired or not yet valid, of a certificate or CRL: mended by a new file
    warning,
  };
  Kind kind = Kind::mistake;
  std::string key;  // in the table: "certificate"
  std::string message;
};

// Something with an end: a certificate or CRL of a file.
struct Expiry {
  std::string key;      // in the table
  std::string subject;  // of a CRL its issuer
  CalendarTime at;
};

struct CertificateFiles {
  std::vector<CertificateHandle> chain;  // own first
  KeyHandle key;
  std::vector<CertificateHandle> authorities;
  std::vector<CrlHandle> revocations;
  std::vector<Expiry> expiries;  // the own certificates, and CRLs
  std::vector<CertificateProblem> problems;

  // The first mistake, or nullptr.
  [[nodiscard]] const CertificateProblem* mistake() const;
};

// `now` judges dates; what ends within kExpiryWarning is a warning.
inline constexpr std::chrono::hours kExpiryWarning{30 * 24};
[[nodiscard]] CertificateFiles read_certificate_files(const config::Tls& tls, TlsSide side,
                                                      CalendarTime now);

// "12 days", for a time that is left, or over.
[[nodiscard]] std::string days_text(CalendarTime::duration duration);

}  // namespace sluice::net
