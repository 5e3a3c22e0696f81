// What becomes of an instance, by one configuration or by the queue's rows, and how two of these
// differ. For `sluice replay`.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "gateway/pipeline/pipeline.h"
#include "gateway/queue/queue.h"

namespace sluice::command {

// All that a chain does to one attribute.
struct AttributeFate {
  std::string filter;    // the last that changed it
  std::string received;  // "" when it was absent
  std::string sent;      // "" when it is removed
};

struct RouteFate {
  std::string verdict;  // "pass", "drop", "reject" or "quarantine"
  std::string reason;   // with the filter that says so: "no_patient: no Patient ID"
  std::vector<std::string> destinations;            // sorted
  std::map<std::string, AttributeFate> attributes;  // by path; those that are changed
  std::vector<dicom::Piece> pieces;                 // of what is sent
  // More than routes and filters has decided it: a person, or the rule for other bytes under a
  // known UID. That it was taken is all that can be compared.
  bool is_overruled = false;
};

// By route, "" where none takes it. Without those that pass it on to nowhere: for a label only,
// or where all destinations are served by routes before. All routes of a rejected instance
// reject it.
using Fate = std::map<std::string, RouteFate>;

// Of a decision of Detail::whole. `unrouted`: what gateway.unrouted says.
[[nodiscard]] Fate fate_of(const Decision& decision, const std::string& unrouted);
// Of all deliveries of one instance. Attributes are not known.
[[nodiscard]] Fate fate_of(std::span<const QueueEntry> deliveries);

struct FateDifference {
  // "taken", "not taken", "unrouted" (no route takes it any more), "verdict", "destinations",
  // "attribute", and "bytes", where what is sent differs in nothing that has a text
  std::string kind;
  std::string route;
  std::string attribute;  // of "attribute"; and the filter that changes it
  std::string filter;
  std::string before;  // text; "" of what is taken now
  std::string after;
};

enum class Attributes { compared, unknown_before };

[[nodiscard]] std::vector<FateDifference> differences(const Fate& before, const Fate& after,
                                                      Attributes attributes);

}  // namespace sluice::command
