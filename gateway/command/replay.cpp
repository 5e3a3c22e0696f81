// `sluice replay`: what another configuration would do with the images of today.
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/fate.h"
#include "gateway/command/setup.h"
#include "gateway/command/site_key.h"
#include "gateway/command/time_text.h"
#include "gateway/deliver/payload.h"

namespace sluice::command {
namespace {

using nlohmann::json;

// A configuration with a copy of the ledger of its own.
struct ReplaySide {
  Setup setup;
  std::unique_ptr<Ledger> ledger;

  [[nodiscard]] Result<Fate> fate_of(const Provenance& provenance,
                                     const dicom::Header& header) const {
    const auto decision = setup.pipeline->decide(provenance, header, *ledger, Detail::whole);
    if (!decision) return tl::unexpected(decision.error());
    return command::fate_of(*decision, setup.config.gateway.unrouted);
  }
};

struct ReplayCounts {
  std::size_t instances = 0;   // that were compared
  std::size_t differ = 0;      // of these
  std::size_t unreadable = 0;  // and not compared
  std::size_t gone = 0;        // delivered, or missing, before they were read
  std::map<std::string, std::size_t> kinds;
  // Of the new configuration: by filter and attribute, in how many instances.
  std::map<std::pair<std::string, std::string>, std::size_t> edits;
};

// nullopt after a message, with the exit code.
std::optional<ReplaySide> open_side(const std::string& config_file, const std::string& key,
                                    const config::Config& stores, int& exit_code) {
  auto setup = load_or_print(config_file, key);
  exit_code = kMistakes;
  if (!setup) return std::nullopt;
  auto ledger = preview_ledger(ledger_file(stores));
  if (!ledger) {
    exit_code = fail(ledger.error().message);
    return std::nullopt;
  }
  return ReplaySide{std::move(*setup), std::move(*ledger)};
}

json difference_json(const FateDifference& one) {
  json made = {{"kind", one.kind}, {"route", one.route}};
  if (one.kind == "attribute") {
    made["attribute"] = one.attribute;
    made["filter"] = one.filter;
  }
  made["before"] = log::escape(one.before);
  made["after"] = log::escape(one.after);
  return made;
}

json differing_json(const InstanceRow& instance, const std::vector<FateDifference>& found) {
  json list = json::array();
  for (const FateDifference& one : found) list.push_back(difference_json(one));
  return {{"id", instance.id},
          {"received_at", time_text(instance.received_at)},
          {"calling_ae_title", log::escape(instance.calling_ae_title)},
          {"sop_instance_uid", log::escape(instance.sop_instance_uid)},
          {"differences", std::move(list)}};
}

std::string difference_line(const FateDifference& one) {
  const std::string route = one.route.empty() ? "no route" : "route " + one.route;
  const std::string before = log::escape(one.before);
  const std::string after = log::escape(one.after);
  if (one.kind == "taken") return route + " takes it now: " + after;
  if (one.kind == "not taken") return route + " takes it no longer: it was " + before;
  if (one.kind == "unrouted") return "no route takes it any more: " + after;
  if (one.kind == "bytes") return route + ": other bytes are sent";
  const std::string what = one.kind == "attribute" ? one.attribute + " by " + one.filter : one.kind;
  return route + ": " + what + "\n        " + before + "\n     -> " + after;
}

void print_differing(const InstanceRow& instance, const std::vector<FateDifference>& found) {
  std::cout << instance.id << "  " << time_text(instance.received_at) << "  from "
            << log::escape(instance.calling_ae_title) << '\n';
  for (const FateDifference& one : found) std::cout << "    " << difference_line(one) << '\n';
}

void count_edits(const Fate& fate, ReplayCounts& counts) {
  std::set<std::pair<std::string, std::string>> edits;
  for (const auto& [route, one] : fate) {
    for (const auto& [path, attribute] : one.attributes) edits.insert({attribute.filter, path});
  }
  for (const auto& edit : edits) ++counts.edits[edit];
}

json counts_json_of(const ReplayCounts& counts) {
  json edits = json::array();
  for (const auto& [edit, instances] : counts.edits) {
    edits.push_back({{"filter", edit.first}, {"attribute", edit.second}, {"instances", instances}});
  }
  return {{"instances", counts.instances},   {"differ", counts.differ},
          {"unreadable", counts.unreadable}, {"gone", counts.gone},
          {"counts", counts.kinds},          {"edits", std::move(edits)}};
}

void print_counts(const ReplayCounts& counts) {
  std::cout << counts.instances << " instance(s), " << counts.differ << " differ(s)";
  for (const auto& [kind, count] : counts.kinds) std::cout << "; " << kind << ' ' << count;
  std::cout << '\n';
  for (const auto& [edit, instances] : counts.edits) {
    std::cout << "edited now: " << edit.second << " by " << edit.first << " in " << instances
              << " instance(s)\n";
  }
  if (counts.gone > 0) {
    std::cout << counts.gone << " more left the spool before they could be looked at\n";
  }
  if (counts.unreadable > 0) std::cout << counts.unreadable << " more could not be looked at\n";
}

class Replay {
 public:
  // `before`: nullptr where the queue's rows say what was. All must outlive it.
  Replay(const ReplaySide* before, const ReplaySide& after, std::string spool, bool as_json)
      : before_(before), after_(after), spool_(std::move(spool)), as_json_(as_json) {}

  void look_at(std::span<const QueueEntry> deliveries) {
    const InstanceRow& instance = deliveries.front().instance;
    const auto header = read_header_beside(spool_, instance);
    if (!header) {
      std::error_code error;
      const bool is_gone = !std::filesystem::exists(spool_ + "/" + instance.id + ".dcm", error);
      if (is_gone) {
        ++counts_.gone;
      } else {
        cannot(instance, header.error());
      }
      return;
    }
    const Provenance provenance = provenance_of(instance);
    const Result<Fate> before =
        before_ == nullptr ? fate_of(deliveries) : before_->fate_of(provenance, *header);
    const auto after = after_.fate_of(provenance, *header);
    if (before && after) {
      compare(instance, *before, *after);
    } else {
      cannot(instance, before ? after.error() : before.error());
    }
  }

  [[nodiscard]] const ReplayCounts& counts() const { return counts_; }
  [[nodiscard]] const json& differing() const { return differing_; }

 private:
  void cannot(const InstanceRow& instance, const Error& error) {
    ++counts_.unreadable;
    std::cerr << "sluice: " << instance.id << ": " << error.message << '\n';
  }

  void compare(const InstanceRow& instance, const Fate& before, const Fate& after) {
    ++counts_.instances;
    count_edits(after, counts_);
    const auto found = differences(
        before, after, before_ == nullptr ? Attributes::unknown_before : Attributes::compared);
    if (found.empty()) return;
    ++counts_.differ;
    for (const FateDifference& one : found) ++counts_.kinds[one.kind];
    if (as_json_) {
      differing_.push_back(differing_json(instance, found));
    } else {
      print_differing(instance, found);
    }
  }

  const ReplaySide* before_;
  const ReplaySide& after_;
  std::string spool_;
  bool as_json_;
  ReplayCounts counts_;
  json differing_ = json::array();
};

int exit_code_of(const ReplayCounts& counts) {
  if (counts.unreadable > 0) return kFailed;
  if (counts.instances == 0) {
    std::cerr << "sluice: the queue has nothing to compare with\n";
    return kNotFound;
  }
  return counts.differ > 0 ? kDiffers : kOk;
}

void look_at_all(std::span<const QueueEntry> entries, Replay& replay) {
  while (!entries.empty()) {
    std::size_t count = 1;
    while (count < entries.size() && entries[count].instance.id == entries[0].instance.id) ++count;
    replay.look_at(entries.first(count));
    entries = entries.subspan(count);
  }
}

}  // namespace

int replay(const std::string& config_file, const ReplayOptions& options) {
  log::configure(log::Level::error, log::Format::human);
  auto stores = load_config_or_print(config_file);
  if (!stores) return kMistakes;
  if (!options.data_dir.empty()) stores->gateway.data_dir = options.data_dir;
  const auto key = key_for_looking(stores->gateway.data_dir);
  if (!key) return fail(key.error().message);
  int exit_code = kOk;
  const auto after = open_side(config_file, *key, *stores, exit_code);
  if (!after) return exit_code;
  std::optional<ReplaySide> before;
  if (!options.old_config.empty()) {
    before = open_side(options.old_config, *key, *stores, exit_code);
    if (!before) return exit_code;
  }
  const Time since =
      options.since ? std::chrono::system_clock::now() - *options.since : Time::min();
  const auto entries = read_kept(queue_file(*stores), since);
  if (!entries) return fail(entries.error().message);
  Replay replay(before ? &*before : nullptr, *after, spool_folder(*stores), options.json);
  look_at_all(*entries, replay);
  if (options.json) {
    json told = counts_json_of(replay.counts());
    told["config"] = config_file;
    told["old"] = options.old_config;
    told["data_dir"] = stores->gateway.data_dir;
    told["differing"] = replay.differing();
    std::cout << told.dump(2) << '\n';
  } else {
    print_counts(replay.counts());
  }
  return exit_code_of(replay.counts());
}

}  // namespace sluice::command
