#include "gateway/pipeline/pipeline.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/config/nearest.h"
#include "gateway/dicom/uid.h"

namespace sluice {
namespace {

// PS3.4 Table B.2-1: the data set does not match the SOP class or command.
constexpr std::uint16_t kDataSetDoesNotMatch = 0xA900;
constexpr std::uint16_t kCannotUnderstand = 0xC000;

// No filter can have this name.
constexpr std::string_view kOtherBytesScope = "gateway: other bytes";
constexpr std::string_view kOtherBytesReason = "other bytes under this UID";

// Nothing else in the instance is touched: what refers to the UID means the instance that
// had it first.
Result<void> give_new_uid(Instance& instance, Ledger& ledger) {
  const std::string& uid = instance.provenance().new_sop_instance_uid;
  if (uid.empty()) return {};
  instance.begin_step("other_bytes");
  auto changed =
      instance.change(dicom::tags::kSopInstanceUid, uid, kOtherBytesReason, Record::coerced);
  if (!changed) return changed;
  return ledger.record_uid(kOtherBytesScope,
                           dicom::trim_uid(instance.provenance().sop_instance_uid), uid,
                           kOtherBytesReason);
}

Verdict mismatch() {
  return Reject{kDataSetDoesNotMatch, "SOP Instance UID unlike the command's"};
}

std::string_view name_of(const Verdict& verdict) {
  if (std::holds_alternative<Pass>(verdict)) return "pass";
  if (std::holds_alternative<Drop>(verdict)) return "drop";
  if (std::holds_alternative<Reject>(verdict)) return "reject";
  return "quarantine";
}

bool is_configured(const config::Config& config, const std::string& filter) {
  return std::ranges::any_of(
      config.filters, [&](const config::FilterEntry& entry) { return entry.name == filter; });
}

void add_to(FilterEffects& all, const FilterEffects& more) {
  std::ranges::copy(more.attributes, std::back_inserter(all.attributes));
  std::ranges::copy(more.labels, std::back_inserter(all.labels));
}

void report(const Provenance& provenance, const RouteDecision& decision) {
  for (const Change& change : decision.changes) {
    count("sluice_changes_total", {{"filter", change.filter}, {"reason", change.reason}});
    if (change.path == "SeriesNumber") {
      log::info("series number changed", {{"id", provenance.id},
                                          {"route", decision.route},
                                          {"filter", change.filter},
                                          {"reason", change.reason},
                                          {"change", change.before + " -> " + change.after}});
    } else {
      log::debug("changed", {{"id", provenance.id},
                             {"route", decision.route},
                             {"filter", change.filter},
                             {"attribute", change.path},
                             {"reason", change.reason},
                             {"before", change.before},
                             {"after", change.after}});
    }
  }
  count("sluice_verdicts_total", {{"route", decision.route},
                                  {"filter", decision.filter},
                                  {"verdict", std::string(name_of(decision.verdict))}});
}

}  // namespace

const Reject* Decision::rejected() const {
  for (const RouteDecision& route : routes) {
    if (const auto* reject = std::get_if<Reject>(&route.verdict)) return reject;
  }
  return nullptr;
}

config::Acknowledge Decision::acknowledge() const {
  if (routes.empty()) return config::Acknowledge::safe;
  return std::ranges::max(routes, {}, &RouteDecision::acknowledge).acknowledge;
}

const Instance* Decision::edited(std::string_view route, std::string_view destination) const {
  const auto found = std::ranges::find_if(routes, [&](const RouteDecision& one) {
    return one.route == route &&
           std::ranges::find(one.destinations, destination) != one.destinations.end();
  });
  return found == routes.end() ? nullptr : found->edited.get();
}

void Pipeline::add_filters(const config::Config& config, std::span<const FilterType> types,
                           const std::string& site_key, config::Mistakes& mistakes) {
  std::vector<std::string> known;
  for (const FilterType& type : types) known.emplace_back(type.type);
  for (const config::FilterEntry& entry : config.filters) {
    config::Table options = entry.options;
    const auto type = std::ranges::find(types, entry.type, &FilterType::type);
    if (type == types.end()) {
      options.mistake("type", "filter '" + log::escape(entry.name) + "': unknown type '" +
                                  log::escape(entry.type) + "'" +
                                  config::suggestion(entry.type, known));
      continue;
    }
    filters_.push_back({entry.name, type->make(options, {entry.name, site_key})});
    options.finish();
  }
  // A route may name a type that no [[filter]] configures: it then has its defaults.
  for (const FilterType& type : types) {
    const std::string name(type.type);
    if (is_configured(config, name) || !type.has_defaults) continue;
    config::Table defaults = config::Table::parse("", mistakes);
    filters_.push_back({name, type.make(defaults, {name, site_key})});
  }
}

Pipeline::Chain Pipeline::make_chain(const config::Config& config,
                                     std::span<const FilterType> types, const Named& named,
                                     config::Mistakes& mistakes) const {
  Chain chain;
  for (const std::string& name : named.filters) {
    const auto filter = std::ranges::find(filters_, name, &Step::name);
    if (filter != filters_.end()) {
      chain.steps.push_back(*filter);
      // Of one that could not be made, the mistake was told.
      if (filter->filter != nullptr) add_to(chain.effects, filter->filter->effects());
    } else if (!is_configured(config, name)) {  // else its type is unknown, which was said
      if (std::ranges::find(types, name, &FilterType::type) != types.end()) {
        mistakes.add(named.line, named.by + ": filter type '" + name +
                                     "' has options without a default; give it a [[filter]] "
                                     "table");
        continue;
      }
      std::vector<std::string> known;
      for (const Step& step : filters_) known.push_back(step.name);
      mistakes.add(named.line, named.by + ": no filter is called '" + log::escape(name) + "'" +
                                   config::suggestion(name, known));
    }
  }
  return chain;
}

std::unique_ptr<Pipeline> Pipeline::build(const config::Config& config,
                                          std::span<const FilterType> types,
                                          const std::string& site_key, config::Mistakes& mistakes) {
  auto pipeline = std::make_unique<Pipeline>();
  pipeline->site_key_ = site_key;
  pipeline->irregular_tags_ = config.gateway.irregular_tags;
  pipeline->add_filters(config, types, site_key, mistakes);
  for (const config::Route& route : config.routes) {
    const Named named{route.filters, route.filters_line, "route '" + log::escape(route.name) + "'"};
    pipeline->chains_.push_back(pipeline->make_chain(config, types, named, mistakes));
    pipeline->routes_.emplace_back(route);
  }
  const auto add_filters_of = [&](const auto& destination, const std::string& kind) {
    if (destination.filters.empty()) return;
    const Named named{destination.filters, destination.filters_line,
                      kind + " '" + log::escape(destination.name) + "'"};
    pipeline->destination_chains_[destination.name] =
        pipeline->make_chain(config, types, named, mistakes);
  };
  for (const config::Destination& each : config.destinations) add_filters_of(each, "destination");
  for (const config::Group& each : config.groups) add_filters_of(each, "group");
  if (mistakes.empty()) pipeline->warn(config, mistakes);
  return pipeline;
}

void Pipeline::warn(const config::Config& config, config::Mistakes& mistakes) const {
  Surroundings surroundings;
  for (const config::Listener& each : config.listeners) surroundings.listeners.push_back(each.name);
  FilterEffects before;
  std::string taken_by;  // the route behind which no other is asked
  for (std::size_t index = 0; index < routes_.size(); ++index) {
    const Route& route = routes_[index];
    const int line = config.routes[index].line;
    const auto warn = [&](std::initializer_list<std::string_view> parts) {
      std::string text = "route '" + log::escape(route.name()) + "' ";
      for (const std::string_view part : parts) text.append(part);
      mistakes.warn(line, std::move(text));
    };
    surroundings.labels = before.labels;
    const std::string why = route.condition().why_never(surroundings);
    if (!taken_by.empty()) {
      warn({"is never asked: '", taken_by, "' before it is final and takes everything"});
    } else if (!why.empty()) {
      warn({"never takes anything: ", why});
    }
    for (const std::string& attribute : route.condition().attributes()) {
      if (std::ranges::find(before.attributes, attribute) == before.attributes.end()) continue;
      warn({"asks for ", attribute,
            ", which a filter before it edits; a route looks at what was received"});
    }
    if (route.is_final() && route.condition().is_always() && taken_by.empty()) {
      taken_by = log::escape(route.name());
    }
    add_to(before, chains_[index].effects);
  }
}

Result<Pipeline::Run> Pipeline::run(const Chain& chain, Instance& instance, Ledger& ledger,
                                    Verdicts verdicts) {
  const bool overruled = verdicts == Verdicts::overruled;
  for (const Step& step : chain.steps) {
    instance.begin_step(step.name);
    auto verdict = step.filter->apply(instance, ledger);
    if (!verdict) return failure(verdict.error().code, step.name + ": " + verdict.error().message);
    if (!std::holds_alternative<Pass>(*verdict) && !overruled) {
      return Run{std::move(*verdict), step.name};
    }
  }
  if (instance.has_uid_mismatch() && !instance.is_uid_mismatch_settled() && !overruled) {
    return Run{mismatch(), ""};
  }
  if (const auto given = give_new_uid(instance, ledger); !given) {
    return tl::unexpected(given.error());
  }
  if (const auto recorded = instance.record_original_attributes(); !recorded) {
    return tl::unexpected(recorded.error());
  }
  // A value that outgrows its VR must be known before the answer, not when sending.
  if (!instance.patch().empty()) {
    const auto rendered = instance.patch().render(instance.header().length());
    if (!rendered) return tl::unexpected(rendered.error());
  }
  return Run{Pass{}, ""};
}

Verdict Pipeline::verdict_on_tags(const dicom::Header& header) const {
  if (irregular_tags_ == "deliver" || !header.is_unordered()) return Pass{};
  std::string reason = "tags " + header.irregular_tags();
  if (irregular_tags_ == "reject") return Reject{kCannotUnderstand, std::move(reason)};
  return Quarantine{std::move(reason)};
}

Result<Pipeline::Run> Pipeline::run_to(std::size_t route, std::string_view destination,
                                       Instance& instance, Ledger& ledger,
                                       Verdicts verdicts) const {
  const auto more = destination_chains_.find(destination);
  if (more == destination_chains_.end()) return run(chains_[route], instance, ledger, verdicts);
  Chain chain{chains_[route].steps, {}};
  std::ranges::copy(more->second.steps, std::back_inserter(chain.steps));
  return run(chain, instance, ledger, verdicts);
}

Result<RouteDecision> Pipeline::decide_one(std::size_t route, std::string_view destination,
                                           const Instance& received, Ledger& ledger,
                                           Detail detail) const {
  const auto instance = std::make_shared<Instance>(received);
  auto run = run_to(route, destination, *instance, ledger, Verdicts::binding);
  if (!run) return tl::unexpected(run.error());
  RouteDecision made{
      routes_[route].name(), std::move(run->verdict),      std::move(run->filter),    {},
      instance->changes(),   routes_[route].acknowledge(), routes_[route].priority(), instance};
  if (detail == Detail::whole) {
    if (auto pieces = instance->patch().render(instance->header().length())) {
      made.pieces = std::move(*pieces);
    }
  }
  return made;
}

// A route that takes it: what it says for the destinations that nobody before it serves.
Result<void> Pipeline::take(std::size_t route, Instance& received, Ledger& ledger, Detail detail,
                            Decision& decision, Served& served) const {
  auto made = decide_one(route, "", received, ledger, detail);
  if (!made) return tl::unexpected(made.error());
  for (const std::string& label : made->edited->labels()) received.add_label(label);
  const bool passes = std::holds_alternative<Pass>(made->verdict);
  const bool is_aside = routes_[route].destinations().empty() && passes;
  if (passes && !is_aside) made->verdict = verdict_on_tags(received.header());
  std::vector<std::string> apart;  // those with filters of their own
  if (std::holds_alternative<Pass>(made->verdict)) {
    for (const std::string& destination : routes_[route].destinations()) {
      if (!served.insert(destination).second) continue;
      (has_filters(destination) ? apart : made->destinations).push_back(destination);
    }
  }
  report(received.provenance(), *made);
  if (apart.empty() || !made->destinations.empty()) {
    (is_aside ? decision.asides : decision.routes).push_back(std::move(*made));
  }
  return take_apart(route, apart, received, ledger, detail, decision);
}

Result<void> Pipeline::take_apart(std::size_t route, const std::vector<std::string>& destinations,
                                  const Instance& received, Ledger& ledger, Detail detail,
                                  Decision& decision) const {
  bool stopped = false;
  for (const std::string& destination : destinations) {
    auto own = decide_one(route, destination, received, ledger, detail);
    if (!own) return tl::unexpected(own.error());
    report(received.provenance(), *own);
    const bool passes = std::holds_alternative<Pass>(own->verdict);
    if (passes) own->destinations = {destination};
    // A route has one row without a destination: released, it goes to all that lack it.
    if (passes || !stopped) decision.routes.push_back(std::move(*own));
    stopped = stopped || !passes;
  }
  return {};
}

Result<Decision> Pipeline::decide(const Provenance& provenance, const dicom::Header& header,
                                  Ledger& ledger, Detail detail) const {
  Instance received(provenance, header);
  Decision decision;
  Served served;
  for (std::size_t index = 0; index < routes_.size(); ++index) {
    const Route& route = routes_[index];
    if (detail == Detail::whole) {
      decision.findings.push_back({route.name(), route.condition().explain(received)});
    }
    if (!route.condition().holds(received)) continue;
    const auto taken = take(index, received, ledger, detail, decision, served);
    if (!taken) return tl::unexpected(taken.error());
    if (route.is_final()) break;
  }
  decision.labels = received.labels();
  if (decision.routes.empty() && received.has_uid_mismatch()) {
    decision.routes.push_back({"", mismatch(), "", {}, {}});
  }
  const Verdict on_tags = verdict_on_tags(header);
  if (decision.routes.empty() && std::holds_alternative<Reject>(on_tags)) {
    decision.routes.push_back({"", on_tags, "", {}, {}});
  }
  return decision;
}

std::string Pipeline::uid_for_other_bytes(std::string_view sop_instance_uid,
                                          std::string_view digest) const {
  // A UID has no backslash: no two pairs give one text.
  return dicom::hash_uid(
      site_key_, std::string(dicom::trim_uid(sop_instance_uid)) + "\\" + std::string(digest));
}

Result<bool> Pipeline::was_used(std::string_view new_uid, Ledger& ledger) {
  const auto found = ledger.lookup(new_uid);
  if (!found) return tl::unexpected(found.error());
  return std::ranges::any_of(*found, [&](const UidReplacement& one) {
    return one.scope == kOtherBytesScope && one.after == new_uid;
  });
}

bool Pipeline::some_pass_on() const {
  return std::ranges::any_of(routes_, [](const Route& route) {
    return route.acknowledge() == config::Acknowledge::delivered;
  });
}

bool Pipeline::all_pass_on() const {
  return std::ranges::all_of(routes_, [](const Route& route) {
    return route.destinations().empty() || route.acknowledge() == config::Acknowledge::delivered;
  });
}

Result<std::vector<std::string>> Pipeline::labels_before(std::size_t route,
                                                         const Instance& received,
                                                         Ledger& ledger) const {
  Instance labelled(received.provenance(), received.header());
  for (std::size_t index = 0; index < route; ++index) {
    if (chains_[index].effects.labels.empty()) continue;
    if (!routes_[index].condition().holds(labelled)) continue;
    Instance instance = labelled;
    const auto run = Pipeline::run(chains_[index], instance, ledger, Verdicts::binding);
    if (!run) return tl::unexpected(run.error());
    for (const std::string& label : instance.labels()) labelled.add_label(label);
  }
  return labelled.labels();
}

Result<Verdict> Pipeline::apply(std::string_view route, std::string_view destination,
                                Instance& instance, Ledger& ledger, Verdicts verdicts) const {
  const auto found = std::ranges::find(routes_, route, &Route::name);
  const bool no_chain = verdicts == Verdicts::overruled && route.empty();
  if (found == routes_.end() && !no_chain) {
    return failure(ErrorCode::configuration,
                   "the configuration has no route '" + std::string(route) +
                       "' any more; put it back, or 'sluice queue retry' to route it anew");
  }
  const auto index = static_cast<std::size_t>(found - routes_.begin());
  if (!no_chain) {
    const auto labels = labels_before(index, instance, ledger);
    if (!labels) return tl::unexpected(labels.error());
    for (const std::string& label : *labels) instance.add_label(label);
  }
  auto run = no_chain ? Pipeline::run({}, instance, ledger, verdicts)
                      : run_to(index, destination, instance, ledger, verdicts);
  if (!run) return tl::unexpected(run.error());
  return std::move(run->verdict);
}

}  // namespace sluice
