#include <algorithm>

#include "gateway/base/log.h"
#include "gateway/config/nearest.h"
#include "gateway/config/tables.h"

namespace sluice::config {
namespace {

void check_members(Table& table, const Group& group, const std::vector<Destination>& destinations) {
  std::vector<std::string> known;
  known.reserve(destinations.size());
  for (const Destination& each : destinations) known.push_back(each.name);
  for (const std::string& name : group.destinations) {
    const auto member = std::ranges::find(destinations, name, &Destination::name);
    if (member == destinations.end()) {
      table.mistake("destinations",
                    "unknown destination '" + log::escape(name) + "'" + suggestion(name, known));
    } else if (!member->filters.empty()) {
      // On receipt nobody knows which member will get it.
      table.mistake("destinations", "destination '" + name +
                                        "' has filters of its own, which are not run for a group; "
                                        "give them to the group");
    }
    if (std::ranges::count(group.destinations, name) > 1) {
      table.mistake("destinations", "destination '" + log::escape(name) + "' is named twice");
      return;
    }
  }
  if (group.destinations.size() < 2) {
    table.mistake("destinations", "a group needs two destinations at least");
  }
}

}  // namespace

std::vector<Group> read_groups(std::vector<Table> tables,
                               const std::vector<Destination>& destinations, Names& names) {
  std::vector<Group> groups;
  groups.reserve(tables.size());
  for (Table& table : tables) {
    Group group;
    group.name = table.required_string("name");
    if (!group.name.empty()) names.take(table, group.name);
    group.destinations = table.strings("destinations", {});
    check_members(table, group, destinations);
    group.is_balanced = table.choice("mode", "failover", {"failover", "balance"}) == "balance";
    group.filters = table.strings("filters", {});
    group.filters_line = table.line_of("filters");
    table.finish();
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace sluice::config
