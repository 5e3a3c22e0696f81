#include "gateway/pipeline/condition.h"

#include <algorithm>
#include <map>
#include <optional>

#include "gateway/base/log.h"
#include "gateway/config/time_window.h"
#include "gateway/dicom/transfer_syntax.h"
#include "gateway/dicom/uid.h"
#include "gateway/pipeline/attribute_path.h"
#include "gateway/pipeline/value_condition.h"

namespace sluice {
namespace {

enum class Kind { all, any, none, attribute, fact, time };

// What is known of an instance beside its attributes.
struct Fact {
  ValueCondition::Of of = ValueCondition::Of::text;
  std::vector<std::string> (*values)(const Instance&) = nullptr;
};

const std::map<std::string, Fact, std::less<>>& facts() {
  using Of = ValueCondition::Of;
  using Values = std::vector<std::string>;
  static const std::map<std::string, Fact, std::less<>> all = {
      {"calling_ae_title",
       {Of::text, [](const Instance& one) { return Values{one.provenance().calling_ae_title}; }}},
      {"called_ae_title",
       {Of::text, [](const Instance& one) { return Values{one.provenance().called_ae_title}; }}},
      {"peer_address",
       {Of::addresses, [](const Instance& one) { return Values{one.provenance().peer_address}; }}},
      {"listener",
       {Of::text, [](const Instance& one) { return Values{one.provenance().listener}; }}},
      {"sop_class",
       {Of::text,
        [](const Instance& one) {
          const std::string& uid = one.provenance().sop_class_uid;
          return Values{dicom::uid_name(uid), uid};
        }}},
      {"transfer_syntax",
       {Of::text,
        [](const Instance& one) {
          const std::string& uid = one.header().transfer_syntax().uid;
          return Values{dicom::transfer_syntax_name(uid), uid};
        }}},
      {"label", {Of::text, [](const Instance& one) { return one.labels(); }}},
  };
  return all;
}

std::string shown(const std::vector<Text>& values) {
  constexpr std::size_t kMostShown = 5;
  if (values.empty()) return "not there";
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), kMostShown); ++i) {
    text += i == 0 ? "" : ", ";
    text += values[i] ? "\"" + log::escape(*values[i]) + "\"" : "too long to be looked at";
  }
  if (values.size() > kMostShown) text += ", ...";
  return text;
}

}  // namespace

struct Condition::Node {
  Kind kind = Kind::all;
  std::vector<Node> parts;            // of all, any and none
  std::string key;                    // of the others
  std::optional<AttributePath> path;  // of attribute
  Fact fact;                          // of fact
  ValueCondition test;                // of both
  config::TimeWindow window;          // of time

  [[nodiscard]] std::vector<Text> values(const Instance& instance) const {
    if (kind == Kind::attribute) return instance.values(*path);
    const std::vector<std::string> known = fact.values(instance);
    return {known.begin(), known.end()};
  }
  [[nodiscard]] bool holds(const Instance& instance) const;
  [[nodiscard]] Finding explain(const Instance& instance) const;
  [[nodiscard]] std::string why_never(const Surroundings& surroundings) const;
  void add_attributes(std::vector<std::string>& all) const;
};

namespace {

using Node = Condition::Node;

Node read_all(config::Table& table);

// One alone needs no "all" around it.
Node read_part(config::Table& table) {
  Node node = read_all(table);
  return node.parts.size() == 1 ? Node(node.parts.front()) : node;
}

Node read_group(config::Table& when, const std::string& key, Kind kind) {
  Node node{.kind = kind, .key = key};
  for (config::Table& table : when.tables(key)) node.parts.push_back(read_part(table));
  if (node.parts.empty()) when.mistake(key, key + " must hold a table of conditions at least");
  return node;
}

Node read_one(config::Table& when, const std::string& key) {
  if (key == "any" || key == "all") {
    return read_group(when, key, key == "any" ? Kind::any : Kind::all);
  }
  if (key == "not") {
    Node node{.kind = Kind::none, .key = key};
    if (auto table = when.table(key)) node.parts.push_back(read_part(*table));
    return node;
  }
  if (key == "time") {
    Node node{.kind = Kind::time, .key = key};
    if (auto table = when.table(key)) {
      node.window = config::TimeWindow::read(*table);
      table->finish();
    }
    return node;
  }
  Node node{.kind = Kind::fact, .key = key};
  if (const auto fact = facts().find(key); fact != facts().end()) {
    node.fact = fact->second;
    node.test = ValueCondition::read(when, key, node.fact.of);
    return node;
  }
  node.kind = Kind::attribute;
  node.test = ValueCondition::read(when, key, ValueCondition::Of::attribute);
  auto path = AttributePath::parse(key);
  if (path) {
    node.path = std::move(*path);
  } else {
    std::string known;
    for (const auto& [name, fact] : facts()) known += name + ", ";
    when.mistake(key, path.error().message + "; besides attributes, conditions know " + known +
                          "time, all, any and not");
    node.kind = Kind::all;  // of nothing
  }
  return node;
}

Node read_all(config::Table& table) {
  Node node{.kind = Kind::all};
  for (const std::string& key : table.keys()) node.parts.push_back(read_one(table, key));
  table.finish();
  return node;
}

}  // namespace

bool Condition::Node::holds(const Instance& instance) const {
  const auto part_holds = [&](const Node& part) { return part.holds(instance); };
  switch (kind) {
    case Kind::all:
      return std::ranges::all_of(parts, part_holds);
    case Kind::any:
      return std::ranges::any_of(parts, part_holds);
    case Kind::none:
      return std::ranges::none_of(parts, part_holds);
    case Kind::time:
      return window.contains(instance.provenance().received_at);
    case Kind::attribute:
    case Kind::fact:
      break;
  }
  return test.holds(values(instance), instance.provenance().received_at);
}

Finding Condition::Node::explain(const Instance& instance) const {
  Finding finding{holds(instance), key.empty() ? "all" : key, {}};
  for (const Node& part : parts) finding.parts.push_back(part.explain(instance));
  if (kind == Kind::time) finding.text += ": " + window.text();
  if (kind == Kind::attribute || kind == Kind::fact) {
    finding.asked = key + ": " + test.text();
    finding.found = shown(values(instance));
    finding.text = finding.asked + "; it is " + finding.found;
  }
  return finding;
}

std::string Condition::Node::why_never(const Surroundings& surroundings) const {
  if (kind == Kind::fact && key == "listener" && !test.may_be(surroundings.listeners)) {
    return "no listener is called " + test.text();
  }
  if (kind == Kind::fact && key == "label" && !test.may_be(surroundings.labels)) {
    return "no route before it gives the label " + test.text();
  }
  if (kind == Kind::none || parts.empty()) return "";
  std::string first;
  for (const Node& part : parts) {
    const std::string why = part.why_never(surroundings);
    if (first.empty()) first = why;
    // One of all is enough, and of any it takes every one.
    if (why.empty() != (kind == Kind::all)) return kind == Kind::all ? why : "";
  }
  return kind == Kind::all ? "" : first;
}

void Condition::Node::add_attributes(std::vector<std::string>& all) const {
  if (path) all.push_back(path->text());
  for (const Node& part : parts) part.add_attributes(all);
}

Condition::Condition() : root_(std::make_shared<const Node>()) {}

Condition Condition::read(config::Table& when) {
  return Condition(std::make_shared<const Node>(read_all(when)));
}

Condition Condition::read_option(config::Table& options) {
  auto when = options.table("when");
  return when ? read(*when) : Condition();
}

bool Condition::is_always() const {
  return root_->kind == Kind::all && root_->parts.empty();
}

bool Condition::holds(const Instance& instance) const {
  return root_->holds(instance);
}

Finding Condition::explain(const Instance& instance) const {
  return root_->explain(instance);
}

std::string Condition::why_never(const Surroundings& surroundings) const {
  return root_->why_never(surroundings);
}

std::vector<std::string> Condition::attributes() const {
  std::vector<std::string> all;
  root_->add_attributes(all);
  return all;
}

}  // namespace sluice
