// A ledger of one run: decides as the contract says, and remembers nothing beyond it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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
    return *number(numbers_, {request.scope, request.study_instance_uid},
                   request.series_instance_uid, request.wanted, request.base);
  }

  Result<std::optional<std::int32_t>> instance_number(
      const InstanceNumberRequest& request) override {
    return number(instance_numbers_, {request.scope, request.series_instance_uid},
                  request.sop_instance_uid, request.wanted, request.base);
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

  Result<bool> replaces_uid(std::string_view scope, std::string_view before, std::string_view after,
                            std::string_view /*reason*/) override {
    const std::pair uid{std::string(scope), std::string(before)};
    if (!replaced_.contains(uid) && made_.contains(uid)) return false;
    replaced_.insert(uid);
    made_.emplace(scope, after);
    return true;
  }

  // Of what is recorded in a run, none, as above; but two UIDs were always made of others.
  Result<std::vector<std::string>> originals(std::string_view /*scope*/, std::string_view after,
                                             Time) override {
    if (after == "1.2.3") return std::vector<std::string>{"1.2.3.4.5"};
    if (after == "1.2.4") return std::vector<std::string>{"1.2.3.4.6", "1.2.3.4.7"};
    return std::vector<std::string>();
  }

  Result<std::vector<UidReplacement>> lookup(std::string_view /*uid*/) override {
    return std::vector<UidReplacement>();
  }
  // What is found does not change in a run.
  Result<std::string> value_as_of(std::string_view /*scope*/, std::string_view /*key*/,
                                  const FoundValue& found, Time) override {
    return found.value;
  }
  Result<SeriesAttributes> series_identity(const SeriesIdentity& identity) override {
    return identities_
        .try_emplace({identity.scope, identity.series_instance_uid}, identity.attributes)
        .first->second;
  }
  Result<bool> record_suspect(const SeriesSuspect& /*suspect*/) override { return true; }
  // An instance of a run is asked for again and again.
  Result<bool> is_beyond_limit(const SeriesCountRequest& /*request*/) override { return false; }
  [[nodiscard]] Time latest_value_at_opening() const override { return {}; }
  Result<void> commit() override { return {}; }

 private:
  using Group = std::pair<std::string, std::string>;  // scope, and study or series
  struct Numbers {
    std::map<std::pair<Group, std::string>, std::int32_t> given;
    std::map<Group, std::set<std::int32_t>> taken;
  };

  static std::optional<std::int32_t> number(Numbers& numbers, const Group& group,
                                            const std::string& member,
                                            std::optional<std::int32_t> wanted,
                                            std::optional<std::int32_t> base) {
    const auto known = numbers.given.find({group, member});
    if (known != numbers.given.end()) return known->second;
    std::set<std::int32_t>& taken = numbers.taken[group];
    if (!wanted || taken.contains(*wanted)) {
      if (!base) return std::nullopt;
      wanted = base;
      while (taken.contains(*wanted)) ++*wanted;
    }
    taken.insert(*wanted);
    numbers.given[{group, member}] = *wanted;
    return wanted;
  }

  bool others_came_first_;
  Numbers numbers_;
  Numbers instance_numbers_;
  std::map<std::pair<std::string, std::string>, MergedStudy> studies_;
  std::map<std::pair<std::string, std::string>, SeriesAttributes> identities_;
  std::set<std::pair<std::string, std::string>> replaced_;  // by scope
  std::set<std::pair<std::string, std::string>> made_;
};

}  // namespace sluice::fuzz
