#include "gateway/command/fate.h"

#include <algorithm>
#include <set>
#include <utility>

#include "gateway/command/verdict_text.h"
#include "gateway/config/nearest.h"

namespace sluice::command {
namespace {

constexpr const char* kNoRoute = "no route matches";  // as the queue has it

RouteFate fate_of_verdict(const Verdict& verdict, const std::string& filter) {
  RouteFate fate;
  fate.verdict = name_of(verdict);
  fate.reason = reason_of(verdict);
  if (!filter.empty()) fate.reason.insert(0, filter + ": ");
  if (const auto status = status_of(verdict)) fate.reason.insert(0, status_text(*status) + " ");
  return fate;
}

void note_changes(const std::vector<Change>& changes, RouteFate& fate) {
  for (const Change& change : changes) {
    const auto [noted, is_new] =
        fate.attributes.try_emplace(change.path, AttributeFate{"", change.before, ""});
    noted->second.filter = change.filter;
    noted->second.sent = change.after;
  }
}

// "quarantine (no_patient: no Patient ID)", "pass to archive, pacs"
std::string verdict_line(const RouteFate& fate) {
  if (!fate.destinations.empty()) return fate.verdict + " to " + config::join(fate.destinations);
  return fate.reason.empty() ? fate.verdict : fate.verdict + " (" + fate.reason + ")";
}

void compare_attributes(const std::string& route, const RouteFate& before, const RouteFate& after,
                        std::vector<FateDifference>& found) {
  std::set<std::string> paths;
  for (const auto* fate : {&before, &after}) {
    for (const auto& [path, attribute] : fate->attributes) paths.insert(path);
  }
  for (const std::string& path : paths) {
    const auto old_one = before.attributes.find(path);
    const auto new_one = after.attributes.find(path);
    const bool was_changed = old_one != before.attributes.end();
    const bool is_changed = new_one != after.attributes.end();
    const std::string& was = was_changed ? old_one->second.sent : new_one->second.received;
    const std::string& is = is_changed ? new_one->second.sent : old_one->second.received;
    if (was == is) continue;
    found.push_back({"attribute", route, path,
                     is_changed ? new_one->second.filter : old_one->second.filter, was, is});
  }
}

bool are_same(const std::vector<dicom::Piece>& left, const std::vector<dicom::Piece>& right) {
  return std::ranges::equal(left, right, [](const dicom::Piece& one, const dicom::Piece& other) {
    return one.length == other.length && one.bytes == other.bytes &&
           (one.is_new() || one.offset == other.offset);
  });
}

void compare_route(const std::string& route, const RouteFate& before, const RouteFate& after,
                   Attributes attributes, std::vector<FateDifference>& found) {
  if (before.is_overruled) return;
  if (before.verdict != after.verdict || before.reason != after.reason) {
    found.push_back({"verdict", route, "", "", verdict_line(before), verdict_line(after)});
  } else if (before.destinations != after.destinations) {
    found.push_back({"destinations", route, "", "", config::join(before.destinations),
                     config::join(after.destinations)});
  }
  const bool both_pass = before.verdict == "pass" && after.verdict == "pass";
  if (attributes == Attributes::unknown_before || !both_pass) return;
  const std::size_t so_far = found.size();
  compare_attributes(route, before, after, found);
  if (found.size() == so_far && !are_same(before.pieces, after.pieces)) {
    found.push_back({"bytes", route, "", "", "", ""});
  }
}

}  // namespace

Fate fate_of(const Decision& decision, const std::string& unrouted) {
  Fate fates;
  if (decision.routes.empty()) {
    fates[""].verdict = unrouted;
    fates[""].reason = kNoRoute;
  }
  const Reject* const rejected = decision.rejected();
  const auto rejecting = std::ranges::find_if(decision.routes, [](const RouteDecision& route) {
    return std::holds_alternative<Reject>(route.verdict);
  });
  for (const RouteDecision& route : decision.routes) {
    RouteFate fate = rejected != nullptr ? fate_of_verdict(*rejected, rejecting->filter)
                                         : fate_of_verdict(route.verdict, route.filter);
    if (rejected == nullptr) fate.destinations = route.destinations;
    if (fate.verdict == "pass" && fate.destinations.empty()) continue;
    std::ranges::sort(fate.destinations);
    note_changes(route.changes, fate);
    fate.pieces = route.pieces;
    fates.emplace(route.route, std::move(fate));
  }
  return fates;
}

Fate fate_of(std::span<const QueueEntry> deliveries) {
  Fate fates;
  for (const QueueEntry& entry : deliveries) {
    const DeliveryRow& row = entry.delivery;
    RouteFate& fate = fates[row.route];
    const bool is_other_bytes =
        row.state == DeliveryState::quarantined && !entry.instance.other_bytes_of.empty();
    if (!row.released.empty() || row.state == DeliveryState::discarded || is_other_bytes) {
      fate.is_overruled = true;
    }
    if (fate.verdict.empty()) fate.verdict = "pass";
    if (!row.destination.empty()) {
      fate.destinations.push_back(row.destination);
      continue;
    }
    fate.verdict = row.state == DeliveryState::dropped ? "drop" : "quarantine";
    fate.reason = row.reason;
  }
  for (auto& [route, fate] : fates) std::ranges::sort(fate.destinations);
  return fates;
}

std::vector<FateDifference> differences(const Fate& before, const Fate& after,
                                        Attributes attributes) {
  std::vector<FateDifference> found;
  for (const auto& [route, fate] : after) {
    const auto earlier = before.find(route);
    if (earlier != before.end()) {
      compare_route(route, earlier->second, fate, attributes, found);
    } else {
      found.push_back(
          {route.empty() ? "unrouted" : "taken", route, "", "", "", verdict_line(fate)});
    }
  }
  for (const auto& [route, fate] : before) {
    // That it was unrouted shows in what takes it now.
    if (route.empty() || after.contains(route)) continue;
    found.push_back({"not taken", route, "", "", verdict_line(fate), ""});
  }
  return found;
}

}  // namespace sluice::command
