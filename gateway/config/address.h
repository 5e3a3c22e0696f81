// The addresses and AE titles that stand in a configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/error.h"

namespace sluice::config {

// Where a destination is: "dicom://AET@host:port" (IPv6 hosts in brackets), "dicoms:" in
// the same form over TLS, or "file:///absolute/folder". AE title and folder stand as they are, not
// percent-encoded.
struct DestinationAddress {
  std::string scheme;           // "dicom", "dicoms" or "file"
  std::string called_ae_title;  // dicom and dicoms, as what follows
  std::string host;             // without brackets
  std::uint16_t port = 0;
  std::string folder;  // file
};

// Errors: configuration, saying which part is wrong and how it is written.
[[nodiscard]] Result<DestinationAddress> parse_destination_address(std::string_view text);

// What keeps this from being an AE title (PS3.5 6.2, VR AE): 1 to 16 characters of
// ASCII without backslash and control characters, no spaces at the ends, since
// those do not count. nullopt: nothing.
[[nodiscard]] std::optional<std::string> find_ae_title_defect(std::string_view ae_title);

// The same for a glob over AE titles, whose length says nothing.
[[nodiscard]] std::optional<std::string> find_ae_title_glob_defect(std::string_view glob);

// A numeric IPv4 or IPv6 address, without brackets; "fe80::1%eth0" too.
[[nodiscard]] bool is_ip_address(std::string_view text);

// True if a socket cannot listen on both at one port: equal, or one is the wildcard
// of the other's family. "::" takes both families.
[[nodiscard]] bool do_addresses_overlap(std::string_view left, std::string_view right);

}  // namespace sluice::config
