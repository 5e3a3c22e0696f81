#include "gateway/config/tables.h"

#include <algorithm>
#include <map>

#include "gateway/base/log.h"
#include "gateway/config/nearest.h"

namespace sluice::config {
namespace {

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

Acknowledge read_acknowledge(Table& table, const Route& route) {
  const std::map<std::string, Acknowledge> all{{"safe", Acknowledge::safe},
                                               {"stored", Acknowledge::stored},
                                               {"delivered", Acknowledge::delivered}};
  const Acknowledge chosen =
      all.at(table.choice("acknowledge", "safe", {"safe", "stored", "delivered"}));
  if (chosen == Acknowledge::delivered && route.destinations.size() > 1) {
    table.mistake("acknowledge",
                  "acknowledge = \"delivered\" passes the answer of one destination on; the route "
                  "names " +
                      std::to_string(route.destinations.size()));
  }
  return chosen;
}

Priority read_priority(Table& table) {
  const std::map<std::string, Priority> all{
      {"high", Priority::high}, {"medium", Priority::medium}, {"low", Priority::low}};
  return all.at(table.choice("priority", "medium", {"high", "medium", "low"}));
}

Route read_route(Table& table, Names& names, int number, const std::vector<std::string>& known,
                 const Mistakes& mistakes) {
  Route route;
  route.name = table.string("name", "route-" + std::to_string(number));
  names.take(table, route.name);
  route.when = table.table("when");
  route.line = table.line();
  route.filters = table.strings("filters", {});
  route.filters_line = table.line_of("filters");
  const std::size_t before = mistakes.list().size();
  route.destinations = table.strings("destinations", {});
  if (route.destinations.empty() && route.filters.empty() && mistakes.list().size() == before) {
    table.mistake("destinations",
                  "the route names no destinations, and no filters that would say something" +
                      suggestion("", known));
  }
  check_destinations(table, route, known);
  route.final = table.boolean("final", route.final);
  route.acknowledge = read_acknowledge(table, route);
  route.priority = read_priority(table);
  table.finish();
  return route;
}

}  // namespace

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

}  // namespace sluice::config
