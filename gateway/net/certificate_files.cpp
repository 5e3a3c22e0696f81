#include "gateway/net/certificate_files.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "gateway/base/log.h"

namespace sluice::net {
namespace {

using ProblemKind = CertificateProblem::Kind;

class Reader {
 public:
  Reader(const config::Tls& tls, TlsSide side, CalendarTime now)
      : tls_(tls), side_(side), now_(now) {}

  CertificateFiles read() {
    if (!tls_.certificate.empty()) read_own();
    if (!tls_.ca.empty()) read_authorities();
    if (!tls_.crl.empty()) read_revocations();
    return std::move(files_);
  }

 private:
  void problem(ProblemKind kind, const char* key, const std::string& path,
               const std::string& what) {
    files_.problems.push_back({kind, key, std::string(key) + " " + path + ": " + what});
  }

  // nullptr, and noted, when the file cannot be opened.
  BioHandle open(const char* key, const std::string& path) {
    struct stat state {};
    BioHandle file;
    if (::stat(path.c_str(), &state) == 0 && S_ISDIR(state.st_mode)) {
      problem(ProblemKind::mistake, key, path, "it is a folder");
      return file;
    }
    errno = 0;
    file.reset(BIO_new_file(path.c_str(), "r"));
    if (file == nullptr) {
      problem(ProblemKind::mistake, key, path,
              "cannot be read: " + std::generic_category().message(errno));
    }
    ERR_clear_error();
    return file;
  }

  // Whether reading a file of PEM blocks ended with its end, and not at a broken block.
  static bool at_end() {
    const unsigned long error = ERR_peek_last_error();
    const bool end =
        ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return end;
  }

  std::vector<CertificateHandle> read_certificates(const char* key, const std::string& path) {
    std::vector<CertificateHandle> certificates;
    const BioHandle file = open(key, path);
    if (file == nullptr) return certificates;
    for (;;) {
      CertificateHandle next(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
      if (next == nullptr) break;
      certificates.push_back(std::move(next));
    }
    if (!at_end()) {
      problem(ProblemKind::mistake, key, path,
              "certificate " + std::to_string(certificates.size() + 1) + " in it is broken");
    } else if (certificates.empty()) {
      problem(ProblemKind::mistake, key, path,
              "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    }
    return certificates;
  }

  void judge_dates(const char* key, const std::string& path, const std::string& what,
                   CalendarTime begin, CalendarTime end, bool warn_early) {
    if (now_ < begin) {
      problem(ProblemKind::outdated, key, path,
              what + " is not valid before " + days_text(begin - now_) +
                  " from now; is the clock right?");
    } else if (end <= now_) {
      problem(ProblemKind::outdated, key, path,
              what + " expired " + days_text(now_ - end) + " ago; renew it");
    } else if (warn_early && end - now_ < kExpiryWarning) {
      problem(ProblemKind::warning, key, path,
              what + " expires in " + days_text(end - now_) + "; renew it");
    }
  }

  void judge_dates(const char* key, const std::string& path, const X509& certificate) {
    const std::string subject = subject_of(certificate);
    judge_dates(key, path, "certificate '" + log::escape(subject) + "'", not_before(certificate),
                not_after(certificate), true);
    files_.expiries.push_back({key, subject, not_after(certificate)});
  }

  void read_own() {
    files_.chain = read_certificates("certificate", tls_.certificate);
    for (const CertificateHandle& each : files_.chain) {
      judge_dates("certificate", tls_.certificate, *each);
    }
    read_key();
    if (files_.chain.empty()) return;
    X509* const own = files_.chain.front().get();
    if (files_.key != nullptr && X509_check_private_key(own, files_.key.get()) != 1) {
      problem(ProblemKind::mistake, "key", tls_.key,
              "it does not belong to the first certificate in " + tls_.certificate);
    }
    const int purpose =
        side_ == TlsSide::listener ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    if (X509_check_purpose(own, purpose, 0) == 0) {
      problem(ProblemKind::warning, "certificate", tls_.certificate,
              std::string("it was not made for a ") +
                  (side_ == TlsSide::listener ? "server (serverAuth)" : "client (clientAuth)") +
                  "; peers will refuse it");
    }
    ERR_clear_error();
  }

  void read_key() {
    struct stat state {};
    if (::stat(tls_.key.c_str(), &state) == 0 && (state.st_mode & (S_IROTH | S_IWOTH)) != 0) {
      problem(ProblemKind::mistake, "key", tls_.key,
              "everybody on this machine can use the private key; chmod o-rw " + tls_.key);
    }
    const BioHandle file = open("key", tls_.key);
    if (file == nullptr) return;
    bool asked = false;
    // Else OpenSSL would ask for a passphrase on the terminal.
    const auto no_passphrase = [](char* /*buffer*/, int /*size*/, int /*writing*/, void* told) {
      *static_cast<bool*>(told) = true;
      return -1;
    };
    files_.key.reset(PEM_read_bio_PrivateKey(file.get(), nullptr, no_passphrase, &asked));
    ERR_clear_error();
    if (files_.key != nullptr) return;
    problem(ProblemKind::mistake, "key", tls_.key,
            asked ? "it is protected by a passphrase; take that off: openssl pkey -in " + tls_.key
                  : "it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  }

  void read_authorities() {
    files_.authorities = read_certificates("ca", tls_.ca);
    for (const CertificateHandle& each : files_.authorities) {
      // A bundle may hold an old CA beside its successor.
      if (not_after(*each) > now_) continue;
      problem(ProblemKind::warning, "ca", tls_.ca,
              "CA '" + log::escape(subject_of(*each)) + "' expired " +
                  days_text(now_ - not_after(*each)) + " ago");
    }
  }

  void read_revocations() {
    const BioHandle file = open("crl", tls_.crl);
    if (file == nullptr) return;
    for (;;) {
      CrlHandle next(PEM_read_bio_X509_CRL(file.get(), nullptr, nullptr, nullptr));
      if (next == nullptr) break;
      files_.revocations.push_back(std::move(next));
    }
    if (!at_end()) {
      problem(ProblemKind::mistake, "crl", tls_.crl,
              "CRL " + std::to_string(files_.revocations.size() + 1) + " in it is broken");
    } else if (files_.revocations.empty()) {
      problem(ProblemKind::mistake, "crl", tls_.crl,
              "it holds no CRL in PEM form (-----BEGIN X509 CRL-----)");
    }
    for (const CrlHandle& each : files_.revocations) {
      const ASN1_TIME* end = X509_CRL_get0_nextUpdate(each.get());
      if (end == nullptr) continue;
      // CRLs live for days; only one that is over is worth a word.
      judge_dates("crl", tls_.crl, "a CRL", to_calendar_time(X509_CRL_get0_lastUpdate(each.get())),
                  to_calendar_time(end), false);
      files_.expiries.push_back({"crl", "", to_calendar_time(end)});
    }
  }

  const config::Tls& tls_;
  const TlsSide side_;
  const CalendarTime now_;
  CertificateFiles files_;
};

}  // namespace

const CertificateProblem* CertificateFiles::mistake() const {
  for (const CertificateProblem& each : problems) {
    if (each.kind == ProblemKind::mistake) return &each;
  }
  return nullptr;
}

CertificateFiles read_certificate_files(const config::Tls& tls, TlsSide side, CalendarTime now) {
  return Reader(tls, side, now).read();
}

std::string days_text(CalendarTime::duration duration) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(duration).count();
  if (hours < 48) return std::to_string(hours) + " hours";
  return std::to_string(hours / 24) + " days";
}

}  // namespace sluice::net
