#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/image_file.h"
#include "gateway/command/setup.h"
#include "gateway/command/site_key.h"
#include "gateway/ledger/ledger.h"

namespace sluice::command {
namespace {

using nlohmann::json;

std::string shown(const std::string& text) {
  return log::escape(text);
}

json verdict_json(const Verdict& verdict) {
  if (const auto* drop = std::get_if<Drop>(&verdict)) {
    return {{"verdict", "drop"}, {"reason", shown(drop->reason)}};
  }
  if (const auto* reject = std::get_if<Reject>(&verdict)) {
    return {{"verdict", "reject"}, {"status", reject->status}, {"reason", shown(reject->reason)}};
  }
  if (const auto* quarantine = std::get_if<Quarantine>(&verdict)) {
    return {{"verdict", "quarantine"}, {"reason", shown(quarantine->reason)}};
  }
  return {{"verdict", "pass"}};
}

json finding_json(const Finding& finding) {
  json parts = json::array();
  for (const Finding& part : finding.parts) parts.push_back(finding_json(part));
  json made = {{"holds", finding.holds}, {"condition", finding.text}};
  if (!parts.empty()) made["parts"] = std::move(parts);
  return made;
}

// Where bytes of the data set give way to others, or others come in between.
json bytes_json(const std::vector<dicom::Piece>& pieces) {
  json edits = json::array();
  std::uint64_t at = 0;  // of what was received
  std::uint64_t added = 0;
  const auto end_edit = [&](std::uint64_t next) {
    if (added == 0 && next == at) return;
    edits.push_back({{"offset", at}, {"before", next - at}, {"after", added}});
    added = 0;
  };
  for (const dicom::Piece& piece : pieces) {
    if (piece.is_new()) {
      added += piece.length;
      continue;
    }
    end_edit(piece.offset);
    at = piece.offset + piece.length;
  }
  if (added > 0) end_edit(at);
  return edits;
}

json route_json(const RouteDecision& route) {
  json changes = json::array();
  for (const Change& change : route.changes) {
    changes.push_back({{"filter", change.filter},
                       {"attribute", change.path},
                       {"reason", change.reason},
                       {"before", shown(change.before)},
                       {"after", shown(change.after)}});
  }
  json made = verdict_json(route.verdict);
  made["route"] = route.route;
  made["filter"] = route.filter;
  made["changes"] = std::move(changes);
  made["bytes"] = bytes_json(route.pieces);
  made["destinations"] = route.destinations;
  made["priority"] = config::to_string(route.priority);
  return made;
}

json decision_json(const std::string& image, const dicom::Header& header, const Decision& decision,
                   const std::string& unrouted) {
  json routes = json::array();
  for (const auto* list : {&decision.asides, &decision.routes}) {
    for (const RouteDecision& route : *list) routes.push_back(route_json(route));
  }
  json asked = json::array();
  for (const RouteFinding& one : decision.findings) {
    json made = finding_json(one.finding);
    made["route"] = one.route;
    asked.push_back(std::move(made));
  }
  json result = {{"image", image},
                 {"irregular_tags", header.irregular_tags()},
                 {"labels", decision.labels},
                 {"asked", std::move(asked)},
                 {"routes", std::move(routes)}};
  if (decision.routes.empty()) result["unrouted"] = unrouted;
  return result;
}

std::string text(const json& object, const char* key) {
  return object[key].get<std::string>();
}

void print_finding(const json& finding, int depth) {
  if (!finding.contains("parts")) return;
  for (const json& part : finding["parts"]) {
    std::cout << std::string(static_cast<std::size_t>(depth) * 2, ' ')
              << (part["holds"].get<bool>() ? "yes  " : "no   ") << text(part, "condition") << '\n';
    print_finding(part, depth + 1);
  }
}

void print_route(const json& route) {
  std::cout << "    " << text(route, "verdict");
  if (route.contains("reason")) {
    const std::string filter = text(route, "filter");
    std::cout << (filter.empty() ? "" : " by " + filter) << ": " << text(route, "reason");
  }
  for (const json& destination : route["destinations"]) {
    std::cout << " -> " << destination.get<std::string>();
  }
  const std::string priority = text(route, "priority");
  if (priority != "medium") std::cout << " (" << priority << " priority)";
  std::cout << '\n';
  for (const json& change : route["changes"]) {
    std::cout << "    " << text(change, "filter") << ": " << text(change, "attribute") << " ("
              << text(change, "reason") << ")\n        " << text(change, "before") << "\n     -> "
              << text(change, "after") << '\n';
  }
  for (const json& edit : route["bytes"]) {
    std::cout << "    at byte " << edit["offset"] << ": " << edit["before"] << " bytes become "
              << edit["after"] << '\n';
  }
}

void print(const json& result) {
  std::cout << text(result, "image") << '\n';
  const std::string tags = text(result, "irregular_tags");
  if (!tags.empty()) std::cout << "  tags " << tags << '\n';
  for (const json& asked : result["asked"]) {
    std::cout << "  route " << text(asked, "route")
              << (asked["holds"].get<bool>() ? " takes it\n" : " does not take it\n");
    print_finding(asked, 2);
    for (const json& route : result["routes"]) {
      if (route["route"] == asked["route"]) print_route(route);
    }
  }
  for (const json& label : result["labels"]) {
    std::cout << "  label " << label.get<std::string>() << '\n';
  }
  for (const json& route : result["routes"]) {
    if (text(route, "route").empty()) print_route(route);  // of no route
  }
  if (result.contains("unrouted")) {
    std::cout << "  no route takes it: " << text(result, "unrouted") << '\n';
  }
}

Provenance provenance_of(const ExplainOptions& options, const dicom::Header& header,
                         const config::Config& config) {
  Provenance provenance;
  provenance.id = "explain";
  provenance.calling_ae_title = options.calling_ae_title;
  provenance.called_ae_title = options.called_ae_title;
  provenance.peer_address = options.peer_address;
  provenance.listener = options.listener.empty() ? config.listeners.front().name : options.listener;
  // A well-behaved sender's command says what the data set says.
  provenance.sop_class_uid = text_of(header, dicom::tags::kSopClassUid);
  provenance.sop_instance_uid = text_of(header, dicom::tags::kSopInstanceUid);
  provenance.received_at = std::chrono::system_clock::now();
  return provenance;
}

}  // namespace

int explain(const std::string& config_file, const ExplainOptions& options) {
  log::configure(log::Level::error, log::Format::human);
  const auto config = load_config_or_print(config_file);
  if (!config) return kMistakes;
  const auto key = key_for_looking(config->gateway.data_dir);
  if (!key) return fail(key.error().message);
  const auto setup = load_or_print(config_file, *key);
  if (!setup) return kMistakes;
  const auto ledger = preview_ledger(ledger_file(*config));
  if (!ledger) return fail(ledger.error().message);

  int exit_code = kOk;
  json results = json::array();
  for (const std::string& image : options.images) {
    const auto header = read_image(image, static_cast<std::uint32_t>(config->gateway.max_nesting));
    if (!header) {
      exit_code = fail(header.error().message);
      continue;
    }
    const auto decision = setup->pipeline->decide(provenance_of(options, *header, setup->config),
                                                  *header, **ledger, Detail::whole);
    if (!decision) {
      exit_code = fail(image + ": " + decision.error().message);
      continue;
    }
    results.push_back(decision_json(image, *header, *decision, config->gateway.unrouted));
    if (!options.json) print(results.back());
  }
  if (options.json) std::cout << results.dump(2) << '\n';
  return exit_code;
}

}  // namespace sluice::command
