#include <filesystem>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/setup.h"
#include "gateway/command/time_text.h"
#include "gateway/ledger/ledger.h"

namespace sluice::command {

int ledger_lookup(const std::string& config_file, const std::string& uid, bool json) {
  const auto config = load_places_or_print(config_file);
  if (!config) return kMistakes;
  if (!std::filesystem::exists(ledger_file(*config))) {
    return fail(ledger_file(*config) + ": no ledger here; data_dir is " + config->gateway.data_dir);
  }
  const auto ledger = preview_ledger(ledger_file(*config));
  if (!ledger) return fail(ledger.error().message);
  const auto found = (*ledger)->lookup(uid);
  if (!found) return fail(found.error().message);
  nlohmann::json rows = nlohmann::json::array();
  for (const UidReplacement& each : *found) {
    rows.push_back({{"filter", each.scope},
                    {"before", log::escape(each.before)},
                    {"after", log::escape(each.after)},
                    {"reason", each.reason},
                    {"recorded_at", time_text(each.recorded_at)}});
    if (!json) {
      std::cout << time_text(each.recorded_at) << ' ' << each.scope << ' ' << each.reason << '\n'
                << "     " << log::escape(each.before) << "\n  -> " << log::escape(each.after)
                << '\n';
    }
  }
  if (json) std::cout << rows.dump(2) << '\n';
  if (found->empty() && !json)
    std::cerr << "sluice: the ledger has no replacement of or by " << uid << '\n';
  return found->empty() ? kNotFound : kOk;
}

}  // namespace sluice::command
