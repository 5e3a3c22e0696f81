// How each kind of table of the configuration file is read; for the files of this folder.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/table.h"

namespace sluice::config {

// The names given in one kind of table, each with its line.
class Names {
 public:
  // Notes a name that is malformed or taken. Names end up in log lines, metrics and
  // command lines, hence a small alphabet.
  void take(Table& table, const std::string& name);
  // The first of "base", "base-2", "base-3" ... that is free.
  [[nodiscard]] std::string free_name(const std::string& base) const;

 private:
  std::map<std::string, int> lines_;
};

[[nodiscard]] int read_int(Table& table, std::string_view key, int fallback, int least, int most);
// A time-out of zero would be over before anything could happen.
[[nodiscard]] milliseconds read_timeout(Table& table, std::string_view key, milliseconds fallback);
[[nodiscard]] std::uint32_t read_max_pdu(Table& table, std::uint32_t fallback);

// The table `tls` inside a listener or a destination; nullopt when there is none.
[[nodiscard]] std::optional<Tls> read_listener_tls(Table& listener);
[[nodiscard]] std::optional<Tls> read_destination_tls(Table& destination);

[[nodiscard]] Gateway read_gateway(Table& table);
[[nodiscard]] std::vector<Listener> read_listeners(std::vector<Table> tables,
                                                   const Mistakes& mistakes);
// The keys that say who may connect. After the address.
void read_access(Table& table, Listener& listener, const Mistakes& mistakes);
[[nodiscard]] std::vector<FilterEntry> read_filters(std::vector<Table> tables);
// `names`: of what routes may lead to.
[[nodiscard]] std::vector<Destination> read_destinations(std::vector<Table> tables, Names& names);
[[nodiscard]] std::vector<Group> read_groups(std::vector<Table> tables,
                                             const std::vector<Destination>& destinations,
                                             Names& names);
// `known`: the names of destinations and groups.
[[nodiscard]] std::vector<Route> read_routes(std::vector<Table> tables,
                                             const std::vector<std::string>& known,
                                             const Mistakes& mistakes);
[[nodiscard]] Audit read_audit(Table& table);
// `listeners`: whose ports are taken.
[[nodiscard]] Metrics read_metrics(Table& table, const std::vector<Listener>& listeners);

}  // namespace sluice::config
