#include "gateway/config/tables.h"

#include "gateway/base/log.h"
#include "gateway/config/address.h"

namespace sluice::config {
namespace {

// The keys that only an association needs.
void read_association(Table& table, Destination& destination) {
  destination.calling_ae_title = table.string("calling_ae_title", destination.calling_ae_title);
  if (const auto defect = find_ae_title_defect(destination.calling_ae_title)) {
    table.mistake("calling_ae_title",
                  "AE title '" + log::escape(destination.calling_ae_title) + "' " + *defect);
  }
  destination.user_identity = table.boolean("user_identity", destination.user_identity);
  constexpr int kMostPerDestination = 64;
  destination.associations =
      read_int(table, "associations", destination.associations, 1, kMostPerDestination);
  destination.max_pdu = read_max_pdu(table, destination.max_pdu);
  destination.connect_timeout = read_timeout(table, "connect_timeout", destination.connect_timeout);
  destination.response_timeout =
      read_timeout(table, "response_timeout", destination.response_timeout);
  destination.idle_timeout = read_timeout(table, "idle_timeout", destination.idle_timeout);
}

// What goes there, when, how much of it, and for how long it is tried.
void read_flow(Table& table, Destination& destination) {
  destination.filters = table.strings("filters", {});
  destination.filters_line = table.line_of("filters");
  destination.transfer_syntaxes = table.strings("transfer_syntaxes", {});
  for (Table& window : table.tables("schedule")) {
    destination.schedule.push_back(TimeWindow::read(window));
    window.finish();
  }
  constexpr int kMostASecond = 100'000;
  destination.max_rate = read_int(table, "max_rate", 0, 0, kMostASecond);
  destination.max_bandwidth = table.size("max_bandwidth", 0);
  destination.required = table.boolean("required", true);
  destination.give_up_after = read_timeout(table, "give_up_after", destination.give_up_after);
}

Destination read_destination(Table& table, Names& names) {
  Destination destination;
  destination.name = table.required_string("name");
  if (!destination.name.empty()) names.take(table, destination.name);
  const std::string text = table.required_string("address");
  if (!text.empty()) {
    auto address = parse_destination_address(text);
    if (address) {
      destination.scheme = std::move(address->scheme);
      destination.called_ae_title = std::move(address->called_ae_title);
      destination.host = std::move(address->host);
      destination.port = address->port;
      destination.folder = std::move(address->folder);
    } else {
      table.mistake("address", std::move(address.error().message));
    }
  }
  destination.tls = read_destination_tls(table);
  if (destination.scheme == "dicoms" && !table.has("tls")) {
    table.mistake("address", "dicoms: needs a [destination.tls] with at least a ca");
  } else if (destination.scheme != "dicoms" && !destination.scheme.empty() && table.has("tls")) {
    table.mistake("tls", "[destination.tls] means nothing for a " + destination.scheme +
                             ": destination; write dicoms://AET@host:port, or leave it out");
  }
  const bool is_folder = destination.scheme == "file";
  if (is_folder) {
    for (const char* key :
         {"calling_ae_title", "associations", "max_pdu", "connect_timeout", "response_timeout",
          "idle_timeout", "user_identity", "transfer_syntaxes"}) {
      if (!table.has(key)) continue;
      table.mistake(key, std::string(key) + " means nothing for a file: destination; leave it out");
    }
  }
  read_association(table, destination);
  destination.retry_min = read_timeout(table, "retry_min", destination.retry_min);
  destination.retry_max = read_timeout(table, "retry_max", destination.retry_max);
  if (destination.retry_min > destination.retry_max) {
    table.mistake(table.has("retry_min") ? "retry_min" : "retry_max",
                  "retry_min must not be longer than retry_max");
  }
  constexpr int kMostFailures = 1000;
  destination.max_failures =
      read_int(table, "max_failures", destination.max_failures, 1, kMostFailures);
  read_flow(table, destination);
  table.finish();
  return destination;
}

}  // namespace

std::vector<Destination> read_destinations(std::vector<Table> tables, Names& names) {
  std::vector<Destination> destinations;
  destinations.reserve(tables.size());
  for (Table& table : tables) destinations.push_back(read_destination(table, names));
  return destinations;
}

}  // namespace sluice::config
