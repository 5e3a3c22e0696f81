#include "gateway/command/test_table.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <sstream>
#include <utility>

#include <date/date.h>

#include "gateway/base/log.h"
#include "gateway/command/made_image.h"
#include "gateway/command/setup.h"
#include "gateway/config/nearest.h"

namespace sluice::command {
namespace {

using config::Table;

// A name that a test uses must be one that the configuration gives.
void check_name(Table& table, const char* key, const std::string& name, const char* what,
                const std::vector<std::string>& known) {
  if (std::ranges::find(known, name) != known.end()) return;
  table.mistake(key, std::string(key) + ": there is no " + what + " '" + log::escape(name) + "'" +
                         config::suggestion(name, known));
}

std::optional<std::vector<std::string>> read_sorted(Table& table, const char* key) {
  const bool is_there = table.has(key);
  std::vector<std::string> names = table.strings(key, {});
  if (!is_there) return std::nullopt;
  std::ranges::sort(names);
  return names;
}

std::optional<std::chrono::system_clock::time_point> read_received_at(Table& table) {
  const std::string text = table.string("received_at", "");
  if (text.empty()) return std::nullopt;
  for (const char* form : {"%FT%T%Ez", "%FT%TZ"}) {
    std::istringstream stream(text);
    date::sys_time<std::chrono::milliseconds> time;
    if (stream >> date::parse(form, time) &&
        stream.peek() == std::istringstream::traits_type::eof())
      return time;
  }
  table.mistake("received_at",
                "received_at must be a time such as \"2024-05-01T23:30:00+02:00\" or "
                "\"2024-05-01T21:30:00Z\", not '" +
                    log::escape(text) + "'");
  return std::nullopt;
}

void read_instance(Table& table, ConfigurationTest& test, const std::string& folder) {
  const std::string image = table.string("image", "");
  if (!image.empty()) test.image = (std::filesystem::path(folder) / image).string();
  auto attributes = table.table("attributes");
  if (attributes) test.made = make_image(*attributes, test.name);
  if (table.has("image") == table.has("attributes")) {
    table.mistake("a test needs an image or attributes, and not both");
  }
}

void read_sender(Table& table, ConfigurationTest& test, const config::Config& config) {
  test.calling_ae_title = table.string("calling_ae_title", test.calling_ae_title);
  test.called_ae_title = table.string("called_ae_title", test.called_ae_title);
  test.peer_address = table.string("peer_address", test.peer_address);
  std::vector<std::string> known;
  for (const config::Listener& each : config.listeners) known.push_back(each.name);
  test.listener = table.string("listener", known.empty() ? "" : known.front());
  if (table.has("listener")) check_name(table, "listener", test.listener, "listener", known);
  test.received_at = read_received_at(table);
}

void read_places(Table& table, ConfigurationTest& test, const config::Config& config) {
  std::vector<std::string> routes;
  for (const config::Route& each : config.routes) routes.push_back(each.name);
  const std::vector<std::string> destinations = names_of_destinations(config);
  test.routes = read_sorted(table, "routes");
  for (const std::string& name : test.routes.value_or(std::vector<std::string>{})) {
    check_name(table, "routes", name, "route", routes);
  }
  test.destinations = read_sorted(table, "destinations");
  for (const std::string& name : test.destinations.value_or(std::vector<std::string>{})) {
    check_name(table, "destinations", name, "destination", destinations);
  }
  test.route = table.string("route", "");
  if (table.has("route")) check_name(table, "route", test.route, "route", routes);
}

void read_verdict(Table& table, ConfigurationTest& test) {
  if (table.has("verdict")) {
    test.verdict =
        table.choice("verdict", "", {"pass", "drop", "reject", "quarantine", "unrouted"});
  }
  table.know("verdict");
  if (table.has("reason")) {
    test.reason = ValueCondition::read(table, "reason", ValueCondition::Of::text);
  }
  table.know("reason");
  const auto status = table.integer("status", 0, 0, 0xFFFF);
  if (table.has("status")) test.status = static_cast<std::uint16_t>(status);
}

void read_expected(Table& table, ConfigurationTest& test, const config::Config& config) {
  read_places(table, test, config);
  read_verdict(table, test);
  test.labels = read_sorted(table, "labels");
  auto values = table.table("values");
  if (values) test.values = Condition::read(*values);
  const bool unchanged = table.boolean("unchanged", true);
  if (table.has("unchanged")) test.unchanged = unchanged;
  constexpr std::array kExpectations{"routes", "labels",       "verdict", "reason",
                                     "status", "destinations", "values",  "unchanged"};
  if (std::ranges::none_of(kExpectations, [&](const char* key) { return table.has(key); })) {
    table.mistake(
        "the test expects nothing; known here: routes, destinations, labels, verdict, "
        "reason, status, values, unchanged");
  }
}

}  // namespace

std::vector<ConfigurationTest> read_tests(std::vector<Table> tables, const config::Config& config,
                                          const std::string& folder) {
  std::vector<ConfigurationTest> tests;
  std::map<std::string, int> lines;
  for (Table& table : tables) {
    ConfigurationTest test;
    test.line = table.line();
    test.name = table.string("name", "test " + std::to_string(tests.size() + 1));
    const auto [earlier, is_new] = lines.emplace(test.name, test.line);
    if (!is_new) {
      table.mistake("name", "the test in line " + std::to_string(earlier->second) + " is called '" +
                                log::escape(test.name) + "' too");
    }
    read_instance(table, test, folder);
    read_sender(table, test, config);
    test.fresh_ledger = table.boolean("fresh_ledger", false);
    read_expected(table, test, config);
    table.finish();
    tests.push_back(std::move(test));
  }
  return tests;
}

}  // namespace sluice::command
