// What is read from an X.509 certificate (RFC 5280), and what OpenSSL's verdicts on one
// mean. Text from a certificate may hold any character: escape it before it is shown.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/x509.h>

namespace sluice::net {

using CalendarTime = std::chrono::system_clock::time_point;

// "CN=ct1,O=Hospital" (RFC 2253, most significant last).
[[nodiscard]] std::string subject_of(const X509& certificate);

// Common names and the dNSNames of the subject alternative names, in small letters.
[[nodiscard]] std::vector<std::string> names_of(const X509& certificate);

// SHA-256 of the whole certificate, as 64 small hexadecimal digits.
[[nodiscard]] std::string fingerprint_of(const X509& certificate);

[[nodiscard]] CalendarTime not_before(const X509& certificate);
[[nodiscard]] CalendarTime not_after(const X509& certificate);
// The epoch when it does not say.
[[nodiscard]] CalendarTime to_calendar_time(const ASN1_TIME* time);

// X509_V_ERR_...: a fixed word or two for counters, and what a person is to look at.
[[nodiscard]] std::string_view reason_of_verification(long result);
[[nodiscard]] std::string text_of_verification(long result);

}  // namespace sluice::net
