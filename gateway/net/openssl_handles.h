// OpenSSL's objects, each freed with its owner.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace sluice::net {

template <auto kFree>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioHandle = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using CertificateHandle = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using CrlHandle = std::unique_ptr<X509_CRL, OpensslDeleter<X509_CRL_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using SslContextHandle = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>>;
using SslHandle = std::unique_ptr<SSL, OpensslDeleter<SSL_free>>;

}  // namespace sluice::net
