// A ledger of one run: decides as the contract says, and remembers nothing beyond it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "gateway/ledger/ledger.h"

namespace sluice::fuzz {

class MemoryLedger : public Ledger {
 public:
  // `others_came_first`: every study was begun by an instance with other attributes, in
  // ISO 8859-1.
  explicit MemoryLedger(bool others_came_first) : others_came_first_(others_came_first) {}

  Result<std::int32_t> series_number(const SeriesNumberRequest& request) override {
    const std::pair study{request.scope, request.study_instance_uid};
    const auto [number, is_new] = numbers_.try_emplace({study, request.series_instance_uid});
    if (!is_new) return number->second;
    std::set<std::int32_t>& taken = taken_[study];
    std::int32_t given = request.wanted.value_or(request.base);
    if (request.wanted && taken.contains(given)) given = request.base;
    while (taken.contains(given)) ++given;
    taken.insert(given);
    number->second = given;
    return given;
  }

  Result<MergedStudy> merged_study(std::string_view scope, std::string_view key,
                                   std::string_view /*original*/,
                                   const MergedStudy& proposed) override {
    MergedStudy first = proposed;
    if (others_came_first_) {
      first.study_instance_uid = "1.2.826.0.1.7";
      for (auto& [tag, text] : first.attributes) {
        text = tag == "(0008,0005)" ? "ISO_IR 100" : "M\xFCller";
      }
    }
    return studies_.try_emplace({std::string(scope), std::string(key)}, first).first->second;
  }

  Result<void> record_uid(std::string_view /*scope*/, std::string_view /*before*/,
                          std::string_view /*after*/, std::string_view /*reason*/) override {
    return {};
  }

  // What is recorded in a run is later than the receipt of its instance; but this one UID
  // was always replaced.
  Result<std::optional<std::string>> replacement(std::string_view /*scope*/,
                                                 std::string_view before, Time) override {
    if (before == "1.2.3") return std::optional<std::string>("1.2.3.4.5");
    return std::optional<std::string>();
  }

  Result<std::vector<UidReplacement>> lookup(std::string_view /*uid*/) override {
    return std::vector<UidReplacement>();
  }
  // What is found does not change in a run.
  Result<std::string> value_as_of(std::string_view /*scope*/, std::string_view /*key*/,
                                  const FoundValue& found, Time) override {
    return found.value;
  }
  [[nodiscard]] Time latest_value_at_opening() const override { return {}; }
  Result<void> commit() override { return {}; }

 private:
  bool others_came_first_;
  using Study = std::pair<std::string, std::string>;
  std::map<std::pair<Study, std::string>, std::int32_t> numbers_;
  std::map<Study, std::set<std::int32_t>> taken_;
  std::map<std::pair<std::string, std::string>, MergedStudy> studies_;
};

}  // namespace sluice::fuzz
