#include "gateway/config/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <system_error>

#include "gateway/config/address.h"
#include "gateway/config/nearest.h"

namespace sluice::config {
namespace {

constexpr std::size_t kLongestName = 64;
constexpr int kMostAssociations = 10'000;  // a thread each
constexpr std::uint32_t kLeastPdu = 4096;  // what dcmnet can work with
constexpr std::uint32_t kMostPdu = 131'072;

// Names end up in log lines, metrics and command lines, hence a small alphabet.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  return std::all_of(text.begin(), text.end(), [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '-' || character == '_' ||
           character == '.';
  });
}

// The names given in one kind of table, each with its line.
class Names {
 public:
  // Notes a name that is malformed or taken.
  void take(Table& table, const std::string& name) {
    if (!is_name(name)) {
      table.mistake("name", "name must be 1 to 64 letters, digits, '-', '_' or '.', not '" +
                                log::escape(name) + "'");
      return;
    }
    const auto [place, is_new] = lines_.emplace(name, table.line());
    if (!is_new) {
      table.mistake("name", "name '" + name + "' is used twice; the first is at line " +
                                std::to_string(place->second));
    }
  }
  // The first of "base", "base-2", "base-3" ... that is free.
  [[nodiscard]] std::string free_name(const std::string& base) const {
    std::string name = base;
    for (int number = 2; lines_.contains(name); ++number) {
      name = base + "-" + std::to_string(number);
    }
    return name;
  }

 private:
  std::map<std::string, int> lines_;
};

int read_int(Table& table, std::string_view key, int fallback, int least, int most) {
  return static_cast<int>(table.integer(key, fallback, least, most));
}

// A time-out of zero would be over before anything could happen.
milliseconds read_timeout(Table& table, std::string_view key, milliseconds fallback) {
  const milliseconds value = table.duration(key, fallback);
  if (value > milliseconds(0)) return value;
  table.mistake(key, std::string(key) + " must be longer than 0");
  return fallback;
}

std::uint32_t read_max_pdu(Table& table, std::uint32_t fallback) {
  const std::uint64_t value = table.size("max_pdu", fallback);
  if (value >= kLeastPdu && value <= kMostPdu) return static_cast<std::uint32_t>(value);
  table.mistake("max_pdu", "max_pdu must be from 4 KiB to 128 KiB");
  return fallback;
}

// Whether this is a UID in form (PS3.5 9.1). What it stands for is not known here.
bool is_uid(std::string_view text) {
  constexpr std::size_t kLongestUid = 64;
  if (text.empty() || text.size() > kLongestUid) return false;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = std::min(text.find('.', start), text.size());
    const std::string_view component = text.substr(start, end - start);
    if (component.empty() || (component.size() > 1 && component.front() == '0')) return false;
    if (component.find_first_not_of("0123456789") != std::string_view::npos) return false;
    if (end == text.size()) return true;
    start = end + 1;
  }
}

Gateway read_gateway(Table& table) {
  Gateway gateway;
  gateway.data_dir = table.string("data_dir", gateway.data_dir);
  if (gateway.data_dir.empty() || gateway.data_dir.find('\0') != std::string::npos) {
    table.mistake("data_dir", "data_dir must be a path");
  }
  const std::map<std::string, log::Level> levels{{"debug", log::Level::debug},
                                                 {"info", log::Level::info},
                                                 {"warning", log::Level::warning},
                                                 {"error", log::Level::error}};
  gateway.log_level =
      levels.at(table.choice("log_level", "info", {"debug", "info", "warning", "error"}));
  const std::string format = table.choice("log_format", "human", {"human", "json"});
  gateway.log_format = format == "json" ? log::Format::json : log::Format::human;
  gateway.max_associations =
      read_int(table, "max_associations", gateway.max_associations, 1, kMostAssociations);
  gateway.max_associations_per_address =
      read_int(table, "max_associations_per_address", gateway.max_associations_per_address, 1,
               kMostAssociations);
  gateway.max_instance_size = table.size("max_instance_size", gateway.max_instance_size);
  if (gateway.max_instance_size == 0) {
    table.mistake("max_instance_size", "max_instance_size must be more than 0");
  }
  gateway.drain_timeout = table.duration("drain_timeout", gateway.drain_timeout);
  gateway.history = table.duration("history", gateway.history);
  gateway.unrouted = table.choice("unrouted", gateway.unrouted, {"quarantine", "reject", "drop"});
  table.finish();
  return gateway;
}

void check_listener_lists(Table& table, const Listener& listener) {
  for (const std::string& ae_title : listener.ae_titles) {
    if (const auto defect = find_ae_title_defect(ae_title)) {
      table.mistake("ae_titles", "AE title '" + log::escape(ae_title) + "' " + *defect);
    }
  }
  for (const std::string& glob : listener.calling_ae_titles) {
    if (const auto defect = find_ae_title_glob_defect(glob)) {
      table.mistake("calling_ae_titles", "AE title '" + log::escape(glob) + "' " + *defect);
    }
  }
  for (const std::string& uid : listener.transfer_syntaxes) {
    if (is_uid(uid)) continue;
    table.mistake("transfer_syntaxes",
                  "transfer_syntaxes must hold UIDs such as "
                  "\"1.2.840.10008.1.2.1\", not '" +
                      log::escape(uid) + "'");
  }
}

Listener read_listener(Table& table, Names& names) {
  Listener listener;
  const std::string name = table.string("name", "");
  listener.address = table.string("address", listener.address);
  if (!is_ip_address(listener.address)) {
    table.mistake("address",
                  "address must be an IP address of this machine, \"0.0.0.0\" or \"::\""
                  ", not '" +
                      log::escape(listener.address) + "'");
  }
  if (!table.has("port")) table.mistake("port is missing");
  listener.port = static_cast<std::uint16_t>(
      table.integer("port", 0, 0, std::numeric_limits<std::uint16_t>::max()));
  listener.ae_titles = table.strings("ae_titles", {});
  listener.calling_ae_titles = table.strings("calling_ae_titles", {});
  listener.transfer_syntaxes = table.strings("transfer_syntaxes", {});
  check_listener_lists(table, listener);
  listener.max_pdu = read_max_pdu(table, listener.max_pdu);
  listener.request_timeout = read_timeout(table, "request_timeout", listener.request_timeout);
  listener.idle_timeout = read_timeout(table, "idle_timeout", listener.idle_timeout);
  listener.stall_timeout = read_timeout(table, "stall_timeout", listener.stall_timeout);
  listener.message_timeout = read_timeout(table, "message_timeout", listener.message_timeout);
  listener.name =
      table.has("name") ? name : names.free_name("listener-" + std::to_string(listener.port));
  names.take(table, listener.name);
  table.finish();
  return listener;
}

std::vector<Listener> read_listeners(std::vector<Table> tables) {
  std::vector<Listener> listeners;
  std::vector<int> lines;
  Names names;
  for (Table& table : tables) {
    Listener listener = read_listener(table, names);
    for (std::size_t index = 0; index < listeners.size(); ++index) {
      const Listener& earlier = listeners[index];
      if (listener.port == 0 || listener.port != earlier.port) continue;
      if (!do_addresses_overlap(listener.address, earlier.address)) continue;
      table.mistake("port", "port " + std::to_string(listener.port) + " of " + listener.address +
                                " is taken by the listener at line " +
                                std::to_string(lines[index]) + " (" + earlier.address + ")");
      break;
    }
    listeners.push_back(std::move(listener));
    lines.push_back(table.line());
  }
  return listeners;
}

std::vector<FilterEntry> read_filters(std::vector<Table> tables) {
  std::vector<FilterEntry> filters;
  Names names;
  for (Table& table : tables) {
    std::string type = table.required_string("type");
    std::string name = table.string("name", type);
    if (!name.empty() || table.has("name")) names.take(table, name);
    filters.push_back({.name = std::move(name), .type = std::move(type), .options = table});
  }
  return filters;
}

// The keys that only an association needs.
void read_association(Table& table, Destination& destination) {
  destination.calling_ae_title = table.string("calling_ae_title", destination.calling_ae_title);
  if (const auto defect = find_ae_title_defect(destination.calling_ae_title)) {
    table.mistake("calling_ae_title",
                  "AE title '" + log::escape(destination.calling_ae_title) + "' " + *defect);
  }
  constexpr int kMostPerDestination = 64;
  destination.associations =
      read_int(table, "associations", destination.associations, 1, kMostPerDestination);
  destination.max_pdu = read_max_pdu(table, destination.max_pdu);
  destination.connect_timeout = read_timeout(table, "connect_timeout", destination.connect_timeout);
  destination.response_timeout =
      read_timeout(table, "response_timeout", destination.response_timeout);
  destination.idle_timeout = read_timeout(table, "idle_timeout", destination.idle_timeout);
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
  const bool is_folder = destination.scheme == "file";
  if (is_folder) {
    for (const char* key : {"calling_ae_title", "associations", "max_pdu", "connect_timeout",
                            "response_timeout", "idle_timeout"}) {
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
  table.finish();
  return destination;
}

std::vector<Destination> read_destinations(std::vector<Table> tables) {
  std::vector<Destination> destinations;
  destinations.reserve(tables.size());
  Names names;
  for (Table& table : tables) destinations.push_back(read_destination(table, names));
  return destinations;
}

std::vector<Condition> read_conditions(Table& when) {
  std::vector<Condition> conditions;
  for (const std::string& key : when.keys()) {
    // "" stands for what could not be read, and was noted.
    Condition condition{.key = key, .globs = when.strings(key, {""}), .line = when.line_of(key)};
    if (condition.globs.empty()) {
      when.mistake(key, log::escape(key) + " names no value, so the route takes nothing; leave " +
                            "the key out to take every value");
    }
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

void check_destinations(Table& table, const Route& route, const std::vector<std::string>& known) {
  std::vector<std::string> seen;
  for (const std::string& name : route.destinations) {
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      table.mistake("destinations", "destination '" + log::escape(name) + "' is named twice");
    } else if (std::find(known.begin(), known.end(), name) == known.end()) {
      table.mistake("destinations",
                    "unknown destination '" + log::escape(name) + "'" + suggestion(name, known));
    }
    seen.push_back(name);
  }
}

Route read_route(Table& table, Names& names, int number, const std::vector<std::string>& known,
                 const Mistakes& mistakes) {
  Route route;
  route.name = table.string("name", "route-" + std::to_string(number));
  names.take(table, route.name);
  if (auto when = table.table("when")) route.when = read_conditions(*when);
  route.filters = table.strings("filters", {});
  route.filters_line = table.line_of("filters");
  const std::size_t before = mistakes.list().size();
  route.destinations = table.strings("destinations", {});
  if (route.destinations.empty() && mistakes.list().size() == before) {
    table.mistake("destinations", "the route names no destinations" + suggestion("", known));
  }
  check_destinations(table, route, known);
  route.final = table.boolean("final", route.final);
  table.finish();
  return route;
}

std::vector<Route> read_routes(std::vector<Table> tables, const std::vector<std::string>& known,
                               const Mistakes& mistakes) {
  std::vector<Route> routes;
  routes.reserve(tables.size());
  Names names;
  int number = 0;
  for (Table& table : tables) {
    routes.push_back(read_route(table, names, ++number, known, mistakes));
  }
  return routes;
}

std::string read_whole(const std::string& path, std::string& reason) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    reason = "it is a folder";
    return "";
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 4096> block{};
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    reason = errno == 0 ? "reading failed" : std::system_category().message(errno);
  }
  return text;
}

// The tables of a kind that there must be one of.
std::vector<Table> read_required_tables(Table& root, std::string_view key,
                                        std::string_view consequence, const Mistakes& mistakes) {
  const std::size_t before = mistakes.list().size();
  std::vector<Table> tables = root.tables(key);
  // What is no array of tables was noted already.
  if (tables.empty() && mistakes.list().size() == before) {
    root.mistake(key, "no [[" + std::string(key) + "]]: " + std::string(consequence));
  }
  return tables;
}

}  // namespace

Config parse(std::string_view toml, Mistakes& mistakes) {
  Config config;
  const std::size_t before = mistakes.list().size();
  Table root = Table::parse(toml, mistakes);
  // After a syntax error nothing is known; all else would be reported as missing.
  if (mistakes.list().size() != before) return config;

  if (auto gateway = root.table("gateway")) config.gateway = read_gateway(*gateway);
  config.listeners =
      read_listeners(read_required_tables(root, "listener", "nothing could be received", mistakes));
  config.filters = read_filters(root.tables("filter"));
  config.destinations = read_destinations(
      read_required_tables(root, "destination", "nothing could be delivered", mistakes));
  std::vector<std::string> known;
  for (const Destination& destination : config.destinations) {
    if (!destination.name.empty()) known.push_back(destination.name);
  }
  config.routes = read_routes(
      read_required_tables(root, "route", "nothing would be delivered", mistakes), known, mistakes);
  root.finish();
  return config;
}

Config load(const std::string& path, Mistakes& mistakes) {
  std::string reason;
  const std::string text = read_whole(path, reason);
  if (!reason.empty()) {
    mistakes.add(0, "cannot read " + path + ": " + reason);
    return {};
  }
  return parse(text, mistakes);
}

}  // namespace sluice::config
