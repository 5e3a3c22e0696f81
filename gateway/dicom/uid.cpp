#include "gateway/dicom/uid.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sluice::dicom {

namespace {

constexpr std::size_t kLongest = 64;  // PS3.5 9.1
constexpr std::string_view kStandardRoot = "1.2.840.10008.";
constexpr std::string_view kUuidRoot = "2.25.";

using Uuid = std::array<std::uint8_t, 16>;

bool is_blank(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7F;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Calls `take` with each component; stops and returns false when it does.
template <typename Take>
bool for_each_component(std::string_view uid, Take take) {
  for (;;) {
    const std::size_t end = uid.find('.');
    if (!take(uid.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    uid.remove_prefix(end + 1);
  }
}

std::string_view without_leading_zeros(std::string_view component) {
  const std::size_t first = component.find_first_not_of('0');
  if (first == std::string_view::npos)
    return component.substr(component.empty() ? 0 : component.size() - 1);
  return component.substr(first);
}

bool has_empty_component(std::string_view uid) {
  return !for_each_component(uid, [](std::string_view component) { return !component.empty(); });
}

bool has_leading_zero(std::string_view uid) {
  return !for_each_component(uid, [](std::string_view component) {
    return component.size() < 2 || component.front() != '0';
  });
}

// ISO 9834 knows the arcs 0, 1 and 2 only.
bool has_known_first_arc(std::string_view uid) {
  const auto arc = without_leading_zeros(uid.substr(0, uid.find('.')));
  return arc == "0" || arc == "1" || arc == "2";
}

// Of a value that trims to `uid`: the padding is what PS3.5 9.1 asks for.
bool is_padded_correctly(std::string_view value, std::string_view uid) {
  if (value.size() == uid.size()) return true;
  return value.starts_with(uid) && value.size() == uid.size() + 1 && value.back() == '\0' &&
         value.size() % 2 == 0;
}

// Big endian, as decimal digits: divided by ten until nothing is left.
std::string to_decimal(std::vector<std::uint8_t> number) {
  std::string digits;
  do {
    unsigned remainder = 0;
    for (std::uint8_t& byte : number) {
      const unsigned part = remainder * 256U + byte;
      byte = static_cast<std::uint8_t>(part / 10U);
      remainder = part % 10U;
    }
    digits += static_cast<char>('0' + remainder);
  } while (std::any_of(number.begin(), number.end(), [](std::uint8_t byte) { return byte != 0; }));
  std::reverse(digits.begin(), digits.end());
  return digits;
}

// RFC 9562 4.1, 4.2: version and the variant 10.
std::string uid_from(const unsigned char* digest, unsigned version) {
  Uuid uuid{};
  std::copy_n(digest, uuid.size(), uuid.begin());
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0FU) | (version << 4U));
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3FU) | 0x80U);
  return std::string(kUuidRoot) + to_decimal({uuid.begin(), uuid.end()});
}

using Digest = std::array<std::uint8_t, 32>;

Digest hmac(std::string_view key, std::string_view text) {
  Digest digest{};
  unsigned length = 0;
  if (key.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
           &length) == nullptr ||
      length != digest.size()) {
    throw std::runtime_error("OpenSSL cannot compute HMAC-SHA-256");
  }
  return digest;
}

// Of 2^bits - 1: as many as 2^bits has, which is no power of ten. log10(2) to five places is
// exact enough for up to 256 bits.
std::size_t decimal_digits(unsigned bits) {
  return bits * 30103UL / 100000UL + 1;
}

}  // namespace

std::string_view to_string(UidDefect defect) {
  switch (defect) {
    case UidDefect::none:
      return "none";
    case UidDefect::padding:
      return "padding";
    case UidDefect::inner_white_space:
      return "inner white space";
    case UidDefect::illegal_character:
      return "illegal character";
    case UidDefect::empty_component:
      return "empty component";
    case UidDefect::leading_zero:
      return "leading zero";
    case UidDefect::too_long:
      return "too long";
    case UidDefect::empty:
      return "empty";
  }
  return "unknown";
}

UidDefect find_uid_defect(std::string_view value) {
  const std::string_view uid = trim_uid(value);
  if (uid.empty()) return UidDefect::empty;
  const auto belongs = [](char c) { return is_digit(c) || c == '.' || is_blank(c); };
  if (!std::all_of(uid.begin(), uid.end(), belongs)) return UidDefect::illegal_character;
  if (std::any_of(uid.begin(), uid.end(), is_blank)) return UidDefect::inner_white_space;
  if (has_empty_component(uid)) return UidDefect::empty_component;
  if (!has_known_first_arc(uid)) return UidDefect::illegal_character;
  if (has_leading_zero(uid)) return UidDefect::leading_zero;
  if (uid.size() > kLongest) return UidDefect::too_long;
  return is_padded_correctly(value, uid) ? UidDefect::none : UidDefect::padding;
}

bool is_valid_uid(std::string_view value) {
  return find_uid_defect(value) == UidDefect::none && !is_blank(value.back());
}

std::string_view trim_uid(std::string_view value) {
  while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
  while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
  return value;
}

std::string strip_leading_zeros(std::string_view uid) {
  std::string stripped;
  stripped.reserve(uid.size());
  bool first = true;
  for_each_component(uid, [&](std::string_view component) {
    if (!first) stripped += '.';
    first = false;
    stripped += without_leading_zeros(component);
    return true;
  });
  return stripped;
}

std::string hash_uid(std::string_view key, std::string_view uid) {
  return uid_from(hmac(key, trim_uid(uid)).data(), 8);
}

unsigned hashed_bits_below(std::string_view root) {
  if (root.size() + 1 >= kLongest) return 0;
  const std::size_t room = kLongest - root.size() - 1;
  unsigned bits = 0;
  while (bits < 8 * sizeof(Digest) && decimal_digits(bits + 1) <= room) ++bits;
  return bits;
}

std::string hash_uid(std::string_view key, std::string_view uid, std::string_view root) {
  const Digest digest = hmac(key, trim_uid(uid));
  const unsigned bits = hashed_bits_below(root);
  std::vector<std::uint8_t> number(digest.begin(), digest.begin() + (bits + 7) / 8);
  // The first bits count: what the last byte has too many goes out at its end.
  const unsigned surplus = static_cast<unsigned>(number.size()) * 8 - bits;
  unsigned carry = 0;
  for (std::uint8_t& byte : number) {
    const unsigned both = carry << 8U | byte;
    byte = static_cast<std::uint8_t>(both >> surplus & 0xFFU);
    carry = both & 0xFFU;
  }
  return std::string(root) + "." + to_decimal(std::move(number));
}

// A trimmed UID never begins with a NUL: the two have no text in common.
std::string derived_key(std::string_view key, std::string_view purpose) {
  const Digest digest = hmac(key, std::string(1, '\0') + std::string(purpose));
  return {digest.begin(), digest.end()};
}

std::string md5_uid(std::string_view uid) {
  const std::string_view trimmed = trim_uid(uid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(trimmed.data(), trimmed.size(), digest.data(), &length, EVP_md5(), nullptr) != 1 ||
      length < sizeof(Uuid)) {
    throw std::runtime_error("OpenSSL cannot compute MD5; it is switched off in FIPS mode");
  }
  return uid_from(digest.data(), 3);
}

std::string uid_name(std::string_view uid) {
  const std::string text(uid);
  return dcmFindNameOfUID(text.c_str(), text.c_str());
}

bool is_well_known_uid(std::string_view uid) {
  return trim_uid(uid).starts_with(kStandardRoot);
}

}  // namespace sluice::dicom
