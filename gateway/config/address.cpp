#include "gateway/config/address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>

#include <arpa/inet.h>

#include "gateway/base/log.h"

namespace sluice::config {
namespace {

constexpr std::size_t kLongestAeTitle = 16;
constexpr std::size_t kLongestHostName = 253;
constexpr std::string_view kDicomForm = "write dicom://AET@host:port";
constexpr std::string_view kForms =
    "write dicom://AET@host:port, dicoms://AET@host:port (TLS) or file:///absolute/folder";
constexpr std::string_view kFileForm = "write file:///absolute/folder";

tl::unexpected<Error> wrong(std::string_view what, std::string_view text, std::string_view form) {
  return failure(ErrorCode::configuration, "address " + std::string(what) + ": '" +
                                               log::escape(text) + "'; " + std::string(form));
}

bool is_control(char character) {
  const auto code = static_cast<unsigned char>(character);
  return code < 0x20 || code == 0x7F;
}

std::optional<std::string> find_character_defect(std::string_view ae_title) {
  if (ae_title.empty()) return "is empty";
  for (const char character : ae_title) {
    if (character == '\\') return "holds a backslash";
    if (is_control(character)) return "holds a control character";
    if (static_cast<unsigned char>(character) > 0x7F) return "holds a character beyond ASCII";
  }
  if (ae_title.front() == ' ' || ae_title.back() == ' ') {
    return "has a space at its start or end, which does not count; leave it out";
  }
  return std::nullopt;
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestHostName) return false;
  return std::all_of(text.begin(), text.end(), [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '-' || character == '.' ||
           character == '_';
  });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || rest != end || port == 0) return std::nullopt;
  return port;
}

// An address as the 16 bytes of IPv6; IPv4 is mapped. The scope, as in
// "fe80::1%eth0", is left aside.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  bool is_v4 = false;

  [[nodiscard]] bool is_wildcard() const {
    const auto own = std::span(bytes).subspan(is_v4 ? 12 : 0);
    return std::all_of(own.begin(), own.end(), [](std::uint8_t byte) { return byte == 0; });
  }
};

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  IpAddress address;
  in_addr v4{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &v4) == 1) {
    address.is_v4 = true;
    address.bytes[10] = 0xFF;
    address.bytes[11] = 0xFF;
    std::memcpy(&address.bytes[12], &v4, sizeof v4);
    return address;
  }
  const std::size_t scope = text.find('%');
  if (scope != std::string_view::npos && scope + 1 == text.size()) return std::nullopt;
  if (inet_pton(AF_INET6, std::string(text.substr(0, scope)).c_str(), address.bytes.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

Result<DestinationAddress> parse_dicom(std::string_view text, std::string_view rest) {
  DestinationAddress address;
  // The last one: an AE title may hold '@', a host may not.
  const std::size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return wrong("names no AE title", text, kDicomForm);
  address.called_ae_title = rest.substr(0, at);
  if (const auto defect = find_ae_title_defect(address.called_ae_title)) {
    return wrong("has an AE title that " + *defect, text, kDicomForm);
  }
  const std::string_view host_and_port = rest.substr(at + 1);
  std::string_view port;
  if (host_and_port.starts_with('[')) {
    const std::size_t end = host_and_port.find(']');
    if (end == std::string_view::npos) return wrong("lacks ']' after the host", text, kDicomForm);
    address.host = host_and_port.substr(1, end - 1);
    if (address.host.find(':') == std::string::npos || !is_ip_address(address.host)) {
      return wrong("has no IPv6 address between the brackets", text, kDicomForm);
    }
    port = host_and_port.substr(end + 1);
  } else {
    const std::size_t colon = host_and_port.find(':');
    if (colon != host_and_port.rfind(':')) {
      return wrong("has an IPv6 host without brackets", text, "write dicom://AET@[host]:port");
    }
    address.host = host_and_port.substr(0, colon);
    if (!is_host_name(address.host)) {
      return wrong(address.host.empty() ? "names no host" : "has a bad host name", text,
                   kDicomForm);
    }
    if (colon != std::string_view::npos) port = host_and_port.substr(colon);
  }
  if (!port.starts_with(':')) return wrong("names no port", text, kDicomForm);
  const auto number = parse_port(port.substr(1));
  if (!number) return wrong("has a bad port, which must be from 1 to 65535", text, kDicomForm);
  address.port = *number;
  return address;
}

Result<DestinationAddress> parse_file(std::string_view text, std::string_view rest) {
  if (!rest.starts_with('/')) return wrong("must hold an absolute path", text, kFileForm);
  if (rest.find_first_not_of('/') == std::string_view::npos) {
    return wrong("names no folder", text, kFileForm);
  }
  if (std::any_of(rest.begin(), rest.end(), is_control)) {
    return wrong("holds a control character", text, kFileForm);
  }
  DestinationAddress address;
  address.scheme = "file";
  address.folder = rest;
  return address;
}

}  // namespace

Result<DestinationAddress> parse_destination_address(std::string_view text) {
  constexpr std::string_view kSeparator = "://";
  const std::size_t end = text.find(kSeparator);
  if (end == std::string_view::npos || end == 0) return wrong("has no scheme", text, kForms);
  const std::string_view scheme = text.substr(0, end);
  const std::string_view rest = text.substr(end + kSeparator.size());
  if (scheme == "dicom" || scheme == "dicoms") {
    auto address = parse_dicom(text, rest);
    if (address) address->scheme = scheme;
    return address;
  }
  if (scheme == "file") return parse_file(text, rest);
  return wrong("has the unknown scheme '" + log::escape(scheme) + "'", text, kForms);
}

std::optional<std::string> find_ae_title_defect(std::string_view ae_title) {
  if (ae_title.size() > kLongestAeTitle) return "is longer than 16 characters";
  return find_character_defect(ae_title);
}

std::optional<std::string> find_ae_title_glob_defect(std::string_view glob) {
  return find_character_defect(glob);
}

bool is_ip_address(std::string_view text) {
  return parse_ip_address(text).has_value();
}

bool do_addresses_overlap(std::string_view left, std::string_view right) {
  const auto one = parse_ip_address(left);
  const auto other = parse_ip_address(right);
  if (!one || !other) return false;
  // Link-local addresses differ by their scope as well.
  if (one->bytes == other->bytes) {
    const std::size_t left_scope = std::min(left.find('%'), left.size());
    const std::size_t right_scope = std::min(right.find('%'), right.size());
    return left.substr(left_scope) == right.substr(right_scope);
  }
  const auto covers = [](const IpAddress& wide, const IpAddress& narrow) {
    return wide.is_wildcard() && (!wide.is_v4 || narrow.is_v4);
  };
  return covers(*one, *other) || covers(*other, *one);
}

}  // namespace sluice::config
