#include "gateway/command/test_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "gateway/command/image_file.h"
#include "gateway/command/verdict_text.h"
#include "gateway/config/nearest.h"

namespace sluice::command {
namespace {

Provenance sender_of(const ConfigurationTest& test, const dicom::Header& header) {
  Provenance sender;
  sender.id = test.name;
  sender.calling_ae_title = test.calling_ae_title;
  sender.called_ae_title = test.called_ae_title;
  sender.peer_address = test.peer_address;
  sender.listener = test.listener;
  // A well-behaved sender's command says what the data set says.
  sender.sop_class_uid = text_of(header, dicom::tags::kSopClassUid);
  sender.sop_instance_uid = text_of(header, dicom::tags::kSopInstanceUid);
  sender.received_at = test.received_at.value_or(std::chrono::system_clock::now());
  return sender;
}

std::string listed(const std::vector<std::string>& names) {
  return names.empty() ? "none" : config::join(names);
}

// The leaves that did not hold; of any and not, what they ask for together.
void add_unmet(const Finding& finding, const std::string& route,
               std::vector<UnmetExpectation>& unmet) {
  if (finding.holds) return;
  if (!finding.asked.empty() || finding.parts.empty()) {
    const std::string asked = finding.asked.empty() ? finding.text : finding.asked;
    const std::size_t colon = asked.find(": ");
    unmet.push_back({"values." + asked.substr(0, colon), route,
                     colon == std::string::npos ? "" : asked.substr(colon + 2), finding.found});
    return;
  }
  if (finding.text == "all") {
    for (const Finding& part : finding.parts) add_unmet(part, route, unmet);
    return;
  }
  std::string parts;
  for (const Finding& part : finding.parts) parts += (parts.empty() ? "" : "; ") + part.text;
  const bool is_not = finding.text == "not";
  unmet.push_back(
      {"values." + finding.text, route, is_not ? "none to hold" : "one to hold", parts});
}

class TestRun {
 public:
  TestRun(const ConfigurationTest& test, const Pipeline& pipeline, Ledger& ledger,
          const dicom::Header& header)
      : test_(test),
        pipeline_(pipeline),
        ledger_(ledger),
        header_(header),
        sender_(sender_of(test, header)) {}

  std::vector<UnmetExpectation> run() {
    auto decision = pipeline_.decide(sender_, header_, ledger_, Detail::whole);
    if (!decision) {
      expect_text("verdict", "", test_.verdict.value_or("a verdict"), decision.error().message);
      return std::move(unmet_);
    }
    decision_ = std::move(*decision);
    for (const RouteFinding& one : decision_.findings) {
      if (one.finding.holds) taken_by_.push_back(one.route);
    }
    std::ranges::sort(taken_by_);
    expect_list("routes", test_.routes, taken_by_);
    std::vector<std::string> labels = decision_.labels;
    std::ranges::sort(labels);
    expect_list("labels", test_.labels, labels);
    if (!test_.route.empty() && std::ranges::find(taken_by_, test_.route) == taken_by_.end()) {
      unmet_.push_back({"route", "", test_.route + " to take it", listed(taken_by_)});
    } else {
      expect_of_routes();
    }
    return std::move(unmet_);
  }

 private:
  // Without a name each that delivers or gives a verdict; of a rejected instance only those that
  // reject it.
  [[nodiscard]] std::vector<const RouteDecision*> meant() const {
    std::vector<const RouteDecision*> routes;
    for (const RouteDecision& each : decision_.routes) {
      const bool counts =
          decision_.rejected() == nullptr || std::holds_alternative<Reject>(each.verdict);
      if (test_.route.empty() ? counts : each.route == test_.route) routes.push_back(&each);
    }
    for (const RouteDecision& each : decision_.asides) {
      if (each.route == test_.route) routes.push_back(&each);
    }
    return routes;
  }

  void expect_of_routes() {
    const auto routes = meant();
    std::vector<std::string> destinations;
    for (const RouteDecision* each : routes) {
      destinations.insert(destinations.end(), each->destinations.begin(), each->destinations.end());
      expect_of(*each);
    }
    std::ranges::sort(destinations);
    expect_list("destinations", test_.destinations, destinations);
    if (routes.empty()) expect_of_none();
  }

  void expect_of_none() {
    const std::string none = "no route takes it";
    if (test_.verdict) expect_text("verdict", "", *test_.verdict, "unrouted");
    if (test_.reason) expect_text("reason", "", test_.reason->text(), none);
    if (test_.status) expect_text("status", "", status_text(*test_.status), none);
    if (test_.values) expect_text("values", "", "those of a route", none);
    if (test_.unchanged == false) expect_text("unchanged", "", "false", none);
  }

  void expect_of(const RouteDecision& route) {
    const std::string verdict = name_of(route.verdict);
    const std::string reason = reason_of(route.verdict);
    if (test_.verdict && *test_.verdict != verdict) {
      unmet_.push_back({"verdict", route.route, *test_.verdict,
                        reason.empty() ? verdict : verdict + " (" + reason + ")"});
    }
    if (test_.reason && !test_.reason->holds({reason}, sender_.received_at)) {
      unmet_.push_back({"reason", route.route, test_.reason->text(), "\"" + reason + "\""});
    }
    if (test_.status) {
      const auto status = status_of(route.verdict);
      expect_text("status", route.route, status_text(*test_.status),
                  status ? status_text(*status) : name_of(route.verdict));
    }
    if (test_.values) expect_values(route);
    if (test_.unchanged) expect_unchanged(route);
  }

  void expect_values(const RouteDecision& route) {
    Instance instance(sender_, header_);
    // Of no route there is no chain.
    if (!route.route.empty()) {
      const auto applied =
          pipeline_.apply(route.route, route.destinations.empty() ? "" : route.destinations.front(),
                          instance, ledger_);
      if (!applied) {
        expect_text("values", route.route, "a chain that can be run", applied.error().message);
        return;
      }
    }
    add_unmet(test_.values->explain(instance), route.route, unmet_);
  }

  void expect_unchanged(const RouteDecision& route) {
    const auto& pieces = route.pieces;
    const bool is_unchanged = pieces.empty() || (pieces.size() == 1 && !pieces.front().is_new() &&
                                                 pieces.front().length == header_.length());
    if (is_unchanged == *test_.unchanged) return;
    std::vector<std::string> changed;
    for (const Change& change : route.changes) changed.push_back(change.path);
    unmet_.push_back({"unchanged", route.route, *test_.unchanged ? "true" : "false",
                      is_unchanged ? "true" : "changes of " + listed(changed)});
  }

  void expect_list(const char* key, const std::optional<std::vector<std::string>>& expected,
                   const std::vector<std::string>& got) {
    if (expected && *expected != got) unmet_.push_back({key, "", listed(*expected), listed(got)});
  }

  void expect_text(const char* key, const std::string& route, const std::string& expected,
                   const std::string& got) {
    if (expected != got) unmet_.push_back({key, route, expected, got});
  }

  const ConfigurationTest& test_;
  const Pipeline& pipeline_;
  Ledger& ledger_;
  const dicom::Header& header_;
  Provenance sender_;
  Decision decision_;
  std::vector<std::string> taken_by_;
  std::vector<UnmetExpectation> unmet_;
};

}  // namespace

Result<std::vector<UnmetExpectation>> run_test(const ConfigurationTest& test, const Setup& setup,
                                               Ledger& ledger) {
  if (test.made) return TestRun(test, *setup.pipeline, ledger, *test.made).run();
  const auto header =
      read_image(test.image, static_cast<std::uint32_t>(setup.config.gateway.max_nesting));
  if (!header) return tl::unexpected(header.error());
  return TestRun(test, *setup.pipeline, ledger, *header).run();
}

}  // namespace sluice::command
