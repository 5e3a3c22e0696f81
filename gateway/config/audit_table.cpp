#include "gateway/config/tables.h"

#include <algorithm>

#include "gateway/base/log.h"
#include "gateway/config/address.h"

namespace sluice::config {
namespace {

constexpr std::uint64_t kLeastSize = 1ULL << 20U;
constexpr std::size_t kLongestUnixPath = 107;  // sockaddr_un
constexpr const char* kCollectorForms =
    "syslog://host:port (TCP), syslogs://host:port (TLS), unix:/path or file:/path, an IPv6 host "
    "in brackets";

// Fills in what the address says; false when it is none.
bool read_address(AuditDestination& destination) {
  const std::string& text = destination.address;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  destination.scheme = text.substr(0, colon);
  const std::string rest = text.substr(colon + 1);
  if (destination.scheme == "syslog" || destination.scheme == "syslogs") {
    if (!rest.starts_with("//")) return false;
    // The same host and port as behind an AE title.
    const auto address = parse_destination_address("dicom://AUDIT@" + rest.substr(2));
    if (!address || rest.find('@') != std::string::npos) return false;
    destination.host = address->host;
    destination.port = address->port;
    return true;
  }
  if (destination.scheme != "unix" && destination.scheme != "file") return false;
  // "file:///path" too, as for destinations of images.
  destination.path = rest.starts_with("///") ? rest.substr(2) : rest;
  const bool is_file = destination.scheme == "file";
  return destination.path.starts_with('/') && !destination.path.starts_with("//") &&
         !destination.path.ends_with('/') &&
         (is_file || destination.path.size() <= kLongestUnixPath) &&
         std::ranges::none_of(destination.path, [](char character) {
           const auto code = static_cast<unsigned char>(character);
           return code < 0x20 || code == 0x7F;
         });
}

AuditDestination read_destination(Table& table) {
  AuditDestination destination;
  destination.address = table.required_string("address");
  if (!destination.address.empty() && !read_address(destination)) {
    table.mistake("address", std::string("address must be ") + kCollectorForms + ", not '" +
                                 log::escape(destination.address) + "'");
  }
  destination.tls = read_destination_tls(table);
  if (destination.scheme == "syslogs" && !table.has("tls")) {
    table.mistake("address",
                  "address syslogs: needs an [audit.destination.tls] with at least a ca");
  } else if (destination.scheme != "syslogs" && table.has("tls")) {
    table.mistake("tls", "[audit.destination.tls] means nothing without a syslogs: address");
  }
  destination.retry_min = read_timeout(table, "retry_min", destination.retry_min);
  destination.retry_max = read_timeout(table, "retry_max", destination.retry_max);
  if (destination.retry_min > destination.retry_max) {
    table.mistake(table.has("retry_min") ? "retry_min" : "retry_max",
                  "retry_min must not be longer than retry_max");
  }
  table.finish();
  return destination;
}

}  // namespace

Audit read_audit(Table& table) {
  Audit audit;
  audit.source_id = table.string("source_id", audit.source_id);
  audit.site_id = table.string("site_id", audit.site_id);
  audit.max_size = table.size("max_size", audit.max_size);
  if (audit.max_size < kLeastSize) table.mistake("max_size", "max_size must be at least 1 MiB");
  std::vector<Table> tables = table.tables("destination");
  if (!table.has("destination")) {
    table.mistake("[audit] has no [[audit.destination]]: its messages would go nowhere");
  }
  for (Table& each : tables) {
    AuditDestination destination = read_destination(each);
    const auto same = [&](const AuditDestination& earlier) {
      return earlier.address == destination.address;
    };
    if (!destination.address.empty() && std::ranges::any_of(audit.destinations, same)) {
      each.mistake("address", "address '" + log::escape(destination.address) + "' is used twice");
    }
    audit.destinations.push_back(std::move(destination));
  }
  table.finish();
  return audit;
}

}  // namespace sluice::config
