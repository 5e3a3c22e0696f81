// Routes and chains: what happens to an instance, decided by the configuration.
//
// decide() runs on receipt, before the answer; apply() runs the chain of one route
// again when sending and leaves the edits in the instance. Both are const and may
// run on any number of threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/filter.h"
#include "gateway/pipeline/instance.h"
#include "gateway/pipeline/route.h"

namespace sluice {

// Whether a verdict stands in the way. A person may have overruled it: then the chain
// goes on behind it, so that all other edits are made.
enum class Verdicts { binding, overruled };

// What one matching route says.
struct RouteDecision {
  std::string route;
  Verdict verdict;
  std::string filter;                     // the step that gave a verdict other than Pass
  std::vector<std::string> destinations;  // without those that an earlier route serves
  std::vector<Change> changes;            // what the chain will do when sending
  config::Acknowledge acknowledge = config::Acknowledge::safe;
  config::Priority priority = config::Priority::medium;
  // Where it passes: as the chain left it. Refers to the header.
  std::shared_ptr<const Instance> edited = {};
  std::vector<dicom::Piece> pieces = {};  // of Detail::whole: the bytes that will be sent
};

// What became of one route's conditions.
struct RouteFinding {
  std::string route;
  Finding finding;
};

// How much a decision tells beside itself.
enum class Detail { needed, whole };

struct Decision {
  std::vector<RouteDecision> routes;  // empty: no route takes it
  // Routes without a destination that had nothing against it.
  std::vector<RouteDecision> asides;
  std::vector<std::string> labels;
  std::vector<RouteFinding> findings;            // of Detail::whole: each route that was asked
  [[nodiscard]] const Reject* rejected() const;  // of the first route that rejects, or nullptr
  // Of the route that wants most to be kept.
  [[nodiscard]] config::Acknowledge acknowledge() const;
  // As this route passes it to that destination; nullptr when it doesn't.
  [[nodiscard]] const Instance* edited(std::string_view route, std::string_view destination) const;
};

class Pipeline {
 public:
  // Builds every filter and route. Notes every mistake; usable only without any.
  [[nodiscard]] static std::unique_ptr<Pipeline> build(const config::Config& config,
                                                       std::span<const FilterType> types,
                                                       const std::string& site_key,
                                                       config::Mistakes& mistakes);

  // A SOP Instance UID unlike the command's is rejected (A900) by every route whose
  // chain has not settled it, and by the absence of a route. Where gateway.irregular_tags
  // says so, what a chain would pass with tags twice or out of order is quarantined or
  // rejected; a decision once made is not taken back when sending.
  // Errors: transient, of the ledger; permanent, when an edit cannot be made or written:
  // what passes can be sent.
  [[nodiscard]] Result<Decision> decide(const Provenance& provenance, const dicom::Header& header,
                                        Ledger& ledger, Detail detail = Detail::needed) const;

  // Behind the last filter comes the new SOP Instance UID of the provenance, if there is
  // one: it is noted in the ledger and in Original Attributes Sequence.
  // Errors: as decide(); configuration, when no route has this name any more. With
  // verdicts overruled the answer is Pass, and no route ("") is an empty chain. The filters of
  // the destination come behind those of the route.
  [[nodiscard]] Result<Verdict> apply(std::string_view route, std::string_view destination,
                                      Instance& instance, Ledger& ledger,
                                      Verdicts verdicts = Verdicts::binding) const;

  // The SOP Instance UID for the later of two instances with one UID and other bytes: the
  // same for the same bytes, on every gateway of the site.
  [[nodiscard]] std::string uid_for_other_bytes(std::string_view sop_instance_uid,
                                                std::string_view digest) const;
  // Whether the ledger knows that it was used.
  [[nodiscard]] static Result<bool> was_used(std::string_view new_uid, Ledger& ledger);

  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }
  // Whether a route, or every one, passes instances on and keeps nothing.
  [[nodiscard]] bool some_pass_on() const;
  [[nodiscard]] bool all_pass_on() const;

 private:
  struct Step {
    std::string name;
    std::shared_ptr<const Filter> filter;
  };
  struct Chain {
    std::vector<Step> steps;
    FilterEffects effects;  // of all steps
  };
  struct Run {
    Verdict verdict;
    std::string filter;
  };
  // The labels that routes before this one give to what came so.
  [[nodiscard]] Result<std::vector<std::string>> labels_before(std::size_t route,
                                                               const Instance& received,
                                                               Ledger& ledger) const;
  // Warns of routes that are never taken, and of conditions that look at what is edited.
  void warn(const config::Config& config, config::Mistakes& mistakes) const;
  [[nodiscard]] static Result<Run> run(const Chain& chain, Instance& instance, Ledger& ledger,
                                       Verdicts verdicts);
  void add_filters(const config::Config& config, std::span<const FilterType> types,
                   const std::string& site_key, config::Mistakes& mistakes);
  // The filters that somebody names, who stands at this line.
  struct Named {
    const std::vector<std::string>& filters;
    int line = 0;
    std::string by;  // "route 'main'"
  };
  [[nodiscard]] Chain make_chain(const config::Config& config, std::span<const FilterType> types,
                                 const Named& named, config::Mistakes& mistakes) const;
  // The chain of the route, and behind it that of a destination with filters of its own.
  [[nodiscard]] Result<Run> run_to(std::size_t route, std::string_view destination,
                                   Instance& instance, Ledger& ledger, Verdicts verdicts) const;
  [[nodiscard]] bool has_filters(std::string_view destination) const {
    return destination_chains_.contains(destination);
  }
  // What one route says, of all destinations that run no more than its own chain, or of one.
  [[nodiscard]] Result<RouteDecision> decide_one(std::size_t route, std::string_view destination,
                                                 const Instance& received, Ledger& ledger,
                                                 Detail detail) const;

  using Served = std::set<std::string, std::less<>>;  // destinations
  [[nodiscard]] Result<void> take(std::size_t route, Instance& received, Ledger& ledger,
                                  Detail detail, Decision& decision, Served& served) const;
  // The same for each of these destinations, which have filters of their own.
  [[nodiscard]] Result<void> take_apart(std::size_t route,
                                        const std::vector<std::string>& destinations,
                                        const Instance& received, Ledger& ledger, Detail detail,
                                        Decision& decision) const;

  [[nodiscard]] Verdict verdict_on_tags(const dicom::Header& header) const;

  std::string site_key_;
  std::string irregular_tags_;
  std::vector<Step> filters_;  // by name, in the order of the file; then types by default
  std::vector<Route> routes_;
  std::vector<Chain> chains_;                                     // one per route
  std::map<std::string, Chain, std::less<>> destination_chains_;  // of those that have filters
};

}  // namespace sluice
