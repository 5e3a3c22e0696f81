// Unique identifiers (PS3.5 9): what is wrong with one, what may replace it, and
// which UI attributes name an instance.
#pragma once

#include <string>
#include <string_view>

#include "gateway/dicom/tag.h"

namespace sluice::dicom {

enum class UidDefect {
  none,
  padding,            // valid between extra NULs, spaces or control characters at the ends
  inner_white_space,  // a space, NUL or control character inside
  illegal_character,  // anything else but digits and dots, or a first arc above 2
  empty_component,    // "1..2", ".1", "1."
  leading_zero,       // "1.02"
  too_long,           // more than 64 characters
  empty,              // nothing but padding
};

[[nodiscard]] std::string_view to_string(UidDefect defect);

// One value (no backslash) as it stands in the data set. One trailing NUL that
// makes the length even is correct padding. The gravest defect wins, in the order
// empty, illegal_character, inner_white_space, empty_component, leading_zero,
// too_long, padding: of "1. 02", inner_white_space is told.
[[nodiscard]] UidDefect find_uid_defect(std::string_view value);

// PS3.5 9.1, first arc 0 to 2 included.
[[nodiscard]] bool is_valid_uid(std::string_view value);

// Without NULs, white space and control characters at both ends.
[[nodiscard]] std::string_view trim_uid(std::string_view value);

// "1.02.003" -> "1.2.3". Two UIDs can become one: see `leading_zero` in the README of
// filters/sanitize_uids.
[[nodiscard]] std::string strip_leading_zeros(std::string_view uid);

// "2.25." and 128 bits as a decimal (PS3.5 B.2): a pure function of key and UID.
// HMAC-SHA-256 of the trimmed UID, the first 16 bytes with UUID version 8 and variant
// bits. Throws std::runtime_error when OpenSSL has no such algorithm; so do those below.
[[nodiscard]] std::string hash_uid(std::string_view key, std::string_view uid);

// The same below a root of one's own: "root." and as many of the first bits of the whole
// HMAC, as a decimal, as fit into 64 characters: hashed_bits_below(root) of them, at least 1.
[[nodiscard]] std::string hash_uid(std::string_view key, std::string_view uid,
                                   std::string_view root);
[[nodiscard]] unsigned hashed_bits_below(std::string_view root);

// A key for a purpose of its own, which no UID that was made under `key` tells anything of.
[[nodiscard]] std::string derived_key(std::string_view key, std::string_view purpose);

// The same by MD5 without a key, as dcm4che's: "1.2.3" gives
// 2.25.235153174557024093797895412215599142974.
[[nodiscard]] std::string md5_uid(std::string_view uid);

// True if the attribute names an instance, series, study, frame of reference or the
// like: a replacement follows it wherever it stands. False for SOP classes,
// transfer syntaxes, coding schemes, creators and devices, which are never replaced.
// UI attributes that the list does not know, private ones included, count as references.
[[nodiscard]] bool is_instance_reference(Tag tag);

// "CTImageStorage" of a UID that DCMTK knows, or the UID itself.
[[nodiscard]] std::string uid_name(std::string_view uid);

// Below 1.2.840.10008.: assigned by the standard, never replaced.
[[nodiscard]] bool is_well_known_uid(std::string_view uid);

}  // namespace sluice::dicom
