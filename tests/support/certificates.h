// A certification authority for tests: keys, certificates and CRLs made on the spot, with
// whatever is wrong with them that a test wants. EC keys, for speed.
#pragma once

#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

namespace sluice::test {

// The files of one certificate.
struct Issued {
  std::string certificate;
  std::string key;
  long serial = 0;
};

struct CertificateWish {
  std::string common_name = "gateway";
  std::string alternatives = "DNS:localhost,IP:127.0.0.1";  // "" for none
  std::chrono::seconds begins{-3600};                       // from now
  std::chrono::seconds ends{24 * 3600 * 365};
  std::string extended_key_usage;  // "clientAuth"; "" for none
  int rsa_bits = 0;                // 0: an EC key
};

class Authority {
 public:
  explicit Authority(std::string folder, const std::string& name = "Test CA")
      : folder_(std::move(folder)), name_(name), key_(make_key(0)) {
    certificate_ = sign({.common_name = name, .alternatives = ""}, key_.get(), 1, true);
    write(file(), [&](BIO* out) { return PEM_write_bio_X509(out, certificate_.get()); });
  }

  // The authority's own certificate.
  [[nodiscard]] std::string file() const { return folder_ + "/" + name_ + ".pem"; }

  // Writes <name>.pem and <name>.key into the folder, over what is there.
  Issued issue(const std::string& name, const CertificateWish& wish = {}) {
    Issued issued{folder_ + "/" + name + ".pem", folder_ + "/" + name + ".key", ++serial_};
    const auto key = make_key(wish.rsa_bits);
    const auto certificate = sign(wish, key.get(), issued.serial, false);
    write(issued.certificate, [&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
    write(issued.key, [&](BIO* out) {
      return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return issued;
  }

  // A CRL of these serial numbers; returns its file.
  [[nodiscard]] std::string revoke(const std::vector<long>& serials,
                                   std::chrono::seconds ends = std::chrono::hours(24)) {
    const std::unique_ptr<X509_CRL, Free<X509_CRL_free>> crl(X509_CRL_new());
    X509_CRL_set_version(crl.get(), 1);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get()));
    const Time begin = time_at(std::chrono::hours(-48));
    const Time end = time_at(ends);
    X509_CRL_set1_lastUpdate(crl.get(), begin.get());
    X509_CRL_set1_nextUpdate(crl.get(), end.get());
    for (const long serial : serials) {
      X509_REVOKED* revoked = X509_REVOKED_new();
      const std::unique_ptr<ASN1_INTEGER, Free<ASN1_INTEGER_free>> number(ASN1_INTEGER_new());
      ASN1_INTEGER_set(number.get(), serial);
      X509_REVOKED_set_serialNumber(revoked, number.get());
      X509_REVOKED_set_revocationDate(revoked, begin.get());
      X509_CRL_add0_revoked(crl.get(), revoked);
    }
    if (X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) == 0) throw std::runtime_error("no CRL");
    std::string path = folder_ + "/" + name_ + ".crl";
    write(path, [&](BIO* out) { return PEM_write_bio_X509_CRL(out, crl.get()); });
    return path;
  }

 private:
  template <auto kFree>
  struct Free {
    template <typename T>
    void operator()(T* object) const {
      kFree(object);
    }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, Free<X509_free>>;
  using Time = std::unique_ptr<ASN1_TIME, Free<ASN1_TIME_free>>;

  static Key make_key(int rsa_bits) {
    Key key(rsa_bits > 0 ? EVP_RSA_gen(static_cast<unsigned>(rsa_bits)) : EVP_EC_gen("P-256"));
    if (key == nullptr) throw std::runtime_error("no key");
    return key;
  }

  static Time time_at(std::chrono::seconds from_now) {
    return Time(X509_gmtime_adj(nullptr, static_cast<long>(from_now.count())));
  }

  static void extend(X509* certificate, int id, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
    if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
      throw std::runtime_error("no extension " + value);
    }
  }

  [[nodiscard]] Certificate sign(const CertificateWish& wish, EVP_PKEY* key, long serial,
                                 bool is_authority) const {
    Certificate made(X509_new());
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
    X509_set1_notBefore(made.get(), time_at(wish.begins).get());
    X509_set1_notAfter(made.get(), time_at(wish.ends).get());
    X509_set_pubkey(made.get(), key);
    X509_NAME* const subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(made.get(),
                         is_authority ? subject : X509_get_subject_name(certificate_.get()));
    extend(made.get(), NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!wish.alternatives.empty()) extend(made.get(), NID_subject_alt_name, wish.alternatives);
    if (!wish.extended_key_usage.empty()) {
      extend(made.get(), NID_ext_key_usage, wish.extended_key_usage);
    }
    if (X509_sign(made.get(), key_.get(), EVP_sha256()) == 0) {
      throw std::runtime_error("no certificate");
    }
    return made;
  }

  // A new file takes the old one's place, as a renewal does.
  template <typename Write>
  static void write(const std::string& path, Write write_to) {
    const std::unique_ptr<BIO, Free<BIO_free_all>> memory(BIO_new(BIO_s_mem()));
    if (write_to(memory.get()) != 1) throw std::runtime_error("cannot write " + path);
    char* text = nullptr;
    const long length = BIO_get_mem_data(memory.get(), &text);
    const std::string part = path + ".new";
    std::ofstream(part, std::ios::binary).write(text, length);
    ::chmod(part.c_str(), 0600);
    if (std::rename(part.c_str(), path.c_str()) != 0) throw std::runtime_error("no " + path);
  }

  std::string folder_;
  std::string name_;
  Key key_;
  Certificate certificate_;
  long serial_ = 1;
};

}  // namespace sluice::test
