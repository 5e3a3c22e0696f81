#include "gateway/net/certificate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <memory>
#include <span>

#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "gateway/net/openssl_handles.h"

namespace sluice::net {
namespace {

using GeneralNames = std::unique_ptr<GENERAL_NAMES, OpensslDeleter<GENERAL_NAMES_free>>;

std::string in_small_letters(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char character) {
    return static_cast<char>(character < 0x80 ? std::tolower(character) : character);
  });
  return text;
}

// By its length: a NUL inside must not make one name look like another.
std::string text_of(const ASN1_STRING* string) {
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, string);
  if (length < 0) return "";
  std::string copy(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
  OPENSSL_free(text);
  return copy;
}

}  // namespace

std::string subject_of(const X509& certificate) {
  const BioHandle out(BIO_new(BIO_s_mem()));
  if (out == nullptr) return "";
  // Without the escaping of what is not ASCII: the log escapes what it must.
  constexpr unsigned long kFlags =
      XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  X509_NAME_print_ex(out.get(), X509_get_subject_name(&certificate), 0, kFlags);
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return length <= 0 ? "" : std::string(text, static_cast<std::size_t>(length));
}

std::vector<std::string> names_of(const X509& certificate) {
  std::vector<std::string> names;
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  int at = -1;
  while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, at);
    names.push_back(in_small_letters(text_of(X509_NAME_ENTRY_get_data(entry))));
  }
  const GeneralNames alternatives(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    int type = 0;
    const void* value =
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(alternatives.get(), i), &type);
    if (type != GEN_DNS) continue;
    names.push_back(in_small_letters(text_of(static_cast<const ASN1_STRING*>(value))));
  }
  return names;
}

std::string fingerprint_of(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &length) != 1) return "";
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : std::span(digest).first(length)) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

CalendarTime to_calendar_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

CalendarTime not_before(const X509& certificate) {
  return to_calendar_time(X509_get0_notBefore(&certificate));
}

CalendarTime not_after(const X509& certificate) {
  return to_calendar_time(X509_get0_notAfter(&certificate));
}

std::string_view reason_of_verification(long result) {
  switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
      return "unknown CA";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "certificate expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate not yet valid";
    case X509_V_ERR_CERT_REVOKED:
      return "certificate revoked";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return "no current CRL";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "wrong name";
    default:
      return "bad certificate";
  }
}

std::string text_of_verification(long result) {
  std::string text = "the peer's certificate: ";
  text += X509_verify_cert_error_string(result);
  const std::string_view reason = reason_of_verification(result);
  if (reason == "unknown CA") return text + "; who signed it is not in ca";
  if (reason == "certificate expired") return text + "; the peer must get a new one";
  if (reason == "certificate not yet valid") return text + "; are both clocks right?";
  if (reason == "no current CRL") return text + "; renew the file of crl";
  if (reason == "wrong name") {
    return text + "; it names another host than the address; see name in [destination.tls]";
  }
  return text;
}

}  // namespace sluice::net
