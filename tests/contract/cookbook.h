// What the recipes of docs/cookbook.md promise: instances that are sent to a configuration of
// conf/cookbook, one after the other, and what becomes of each.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sluice {

struct CookbookStep {
  // By the keys of conditions: calling_ae_title, called_ae_title, peer_address, listener,
  // transfer_syntax (a UID), time (UTC, "2026-09-21 14:13"), and attributes by keyword or tag.
  // What is not named has a value that does not matter; "" leaves an attribute out.
  std::map<std::string, std::string> sent;
  // pass, drop, quarantine or reject
  std::string verdict = "pass";
  // The destinations, all of them, and what attributes have there, as UTF-8 with wild cards;
  // "" is absent or empty. COPY is any value, and what COPY stands for where it is sent later.
  std::map<std::string, std::map<std::string, std::string>> delivered = {};
  std::string acknowledge = "safe";
  // What is particular about destinations then, all of it: "waits" for its schedule, "paced",
  // "given up" where it is not required; of a group "pacs, else standby", or "archive1 or
  // archive2" where it is balanced.
  std::map<std::string, std::string> particular = {};
  std::string priority = "medium";  // of all deliveries
};

struct CookbookRecipe {
  std::string file;
  std::vector<CookbookStep> steps;  // with one ledger
};

// In the order of docs/cookbook.md.
[[nodiscard]] const std::vector<CookbookRecipe>& cookbook_recipes();

}  // namespace sluice
