// `sluice report series`: what people look for each morning. It changes nothing.
#include <algorithm>
#include <array>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/setup.h"
#include "gateway/command/time_text.h"
#include "gateway/ledger/ledger.h"

namespace sluice::command {
namespace {

using nlohmann::json;

std::string modality_of(const SeriesSuspect& suspect) {
  const auto found = suspect.other.find("Modality");
  return found == suspect.other.end() ? "" : log::escape(found->second);
}

json suspect_json(const SeriesSuspect& suspect) {
  json made = {{"recorded_at", time_text(suspect.recorded_at)},
               {"filter", suspect.scope},
               {"outcome", suspect.outcome},
               {"series_instance_uid", log::escape(suspect.series_instance_uid)},
               {"sop_instance_uid", log::escape(suspect.sop_instance_uid)},
               {"reason", suspect.limit == 0 ? "change" : "limit"}};
  if (suspect.limit != 0) {
    made["limit"] = suspect.limit;
    made["modality"] = modality_of(suspect);
    return made;
  }
  json differences = json::array();
  for (const auto& [name, value] : suspect.other) {
    const auto first = suspect.first.find(name);
    differences.push_back(
        {{"attribute", name},
         {"first", first == suspect.first.end() ? "" : log::escape(first->second)},
         {"other", log::escape(value)}});
  }
  made["differences"] = std::move(differences);
  return made;
}

std::string quoted_where_empty(const std::string& value) {
  return value.empty() ? "\"\"" : value;
}

std::string what_is_wrong(const json& suspect) {
  if (suspect.at("reason") == "limit") {
    return "more than " + suspect.at("limit").dump() + " instances of modality " +
           quoted_where_empty(suspect.at("modality").get<std::string>());
  }
  std::string text;
  for (const json& each : suspect.at("differences")) {
    text += (text.empty() ? "" : "; ") + each.at("attribute").get<std::string>() + ": " +
            quoted_where_empty(each.at("first").get<std::string>()) + " -> " +
            quoted_where_empty(each.at("other").get<std::string>());
  }
  return text;
}

void print_table(const json& suspects) {
  using Row = std::array<std::string, 5>;
  std::vector<Row> rows = {{"RECORDED", "OUTCOME", "SERIES", "INSTANCE", "WHAT"}};
  for (const json& each : suspects) {
    rows.push_back({each.at("recorded_at"), each.at("outcome"), each.at("series_instance_uid"),
                    each.at("sop_instance_uid"), what_is_wrong(each)});
  }
  std::array<std::size_t, 5> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths.at(i) = std::max(widths.at(i), row.at(i).size());
  }
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      std::cout << std::left << std::setw(static_cast<int>(widths.at(i)) + 2) << row.at(i);
    }
    std::cout << row.back() << '\n';
  }
}

}  // namespace

int report_series(const std::string& config_file, std::chrono::milliseconds since, bool as_json) {
  const auto config = load_places_or_print(config_file);
  if (!config) return kMistakes;
  if (!std::filesystem::exists(ledger_file(*config))) {
    return fail(ledger_file(*config) + ": no ledger here; data_dir is " + config->gateway.data_dir);
  }
  const auto found =
      read_series_suspects(ledger_file(*config), std::chrono::system_clock::now() - since);
  if (!found) return fail(found.error().message);
  json suspects = json::array();
  for (const SeriesSuspect& each : *found) suspects.push_back(suspect_json(each));
  if (as_json) {
    std::cout << suspects.dump(2) << '\n';
  } else if (!suspects.empty()) {
    print_table(suspects);
  } else {
    std::cerr << "sluice: the ledger has no suspect series of that time\n";
  }
  return suspects.empty() ? kNotFound : kOk;
}

}  // namespace sluice::command
