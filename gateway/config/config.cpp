#include "gateway/config/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <tuple>

#include "gateway/config/tables.h"

namespace sluice::config {
namespace {

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

// Its sender waits for the destination's own answer, which must be free to come at once.
void check_passing_routes(const Config& config, Mistakes& mistakes) {
  for (const Route& route : config.routes) {
    if (route.acknowledge != Acknowledge::delivered) continue;
    for (const Destination& destination : config.destinations) {
      const bool is_bound = !destination.schedule.empty() || destination.max_rate > 0 ||
                            destination.max_bandwidth > 0 || !destination.required;
      if (!is_bound ||
          std::ranges::find(route.destinations, destination.name) == route.destinations.end()) {
        continue;
      }
      mistakes.add(route.line, "route '" + log::escape(route.name) +
                                   "' has acknowledge = \"delivered\", and its destination '" +
                                   destination.name +
                                   "' a schedule, a pace or required = false: nothing is kept that "
                                   "could wait");
    }
  }
}

}  // namespace

bool Tls::operator==(const Tls& other) const {
  const auto all = [](const Tls& tls) {
    return std::tie(tls.certificate, tls.key, tls.ca, tls.crl, tls.client_certificate,
                    tls.ae_titles, tls.name);
  };
  return all(*this) == all(other);
}

Config parse(std::string_view toml, Mistakes& mistakes) {
  Config config;
  const std::size_t before = mistakes.list().size();
  Table root = Table::parse(toml, mistakes);
  // After a syntax error nothing is known; all else would be reported as missing.
  if (mistakes.list().size() != before) return config;

  if (auto gateway = root.table("gateway")) config.gateway = read_gateway(*gateway);
  config.listeners = read_listeners(
      read_required_tables(root, "listener", "nothing could be received", mistakes), mistakes);
  config.filters = read_filters(root.tables("filter"));
  Names names;
  config.destinations = read_destinations(
      read_required_tables(root, "destination", "nothing could be delivered", mistakes), names);
  config.groups = read_groups(root.tables("group"), config.destinations, names);
  std::vector<std::string> known;
  for (const Destination& destination : config.destinations) {
    if (!destination.name.empty()) known.push_back(destination.name);
  }
  for (const Group& group : config.groups) {
    if (!group.name.empty()) known.push_back(group.name);
  }
  config.routes = read_routes(
      read_required_tables(root, "route", "nothing would be delivered", mistakes), known, mistakes);
  check_passing_routes(config, mistakes);
  if (auto audit = root.table("audit")) config.audit = read_audit(*audit);
  if (auto metrics = root.table("metrics")) {
    config.metrics = read_metrics(*metrics, config.listeners);
  }
  config.tests = root.tables("test");
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

std::optional<TestFile> load_test_file(const std::string& path, Mistakes& mistakes) {
  std::string reason;
  const std::string text = read_whole(path, reason);
  Mistakes looked_at(path);
  if (!Table::parse(text, looked_at).has("config")) return std::nullopt;
  Table root = Table::parse(text, mistakes);
  const std::string named = root.required_string("config");
  TestFile file;
  file.config_file = (std::filesystem::path(path).parent_path() / named).string();
  file.tests = root.tables("test");
  root.finish();
  return file;
}

}  // namespace sluice::config
