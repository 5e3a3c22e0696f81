// What keeps the verdict the same on receipt, when sending and after a restart:
//
// - The identity of a series is the first that the ledger recorded and never changes, and an
//   instance is compared with that alone. What others showed in between has no say.
// - The UID of a split series is a function of the received one and of what differs.
// - A limit is passed from a time on, which the ledger records and which is later than the receipt
//   of all that had passed until then (gateway/ledger/series_count.h). So what is sent is never
//   beyond a limit that it had not passed when it was received, and sending adds nothing to the
//   count.
//
// Log line and counter go with a new row in the ledger: once for each way in which a series is
// suspect, and never because something is sent again.
#include "filters/check_series/check_series.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "filters/received_series.h"
#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/dicom/uid.h"
#include "gateway/dicom/vr.h"
#include "gateway/pipeline/attribute_path.h"

namespace sluice {
namespace {

namespace tags = dicom::tags;

constexpr std::int64_t kGreatestLimit = 1'000'000'000;
constexpr const char* kEveryModality = "*";

enum class Outcome { alarm, quarantine, split };

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::quarantine:
      return "quarantine";
    case Outcome::split:
      return "split";
    case Outcome::alarm:
      break;
  }
  return "alarm";
}

struct Options {
  std::string scope;
  std::string key;  // of new UIDs
  std::vector<AttributePath> compare;
  bool is_empty_ignored = true;
  Outcome on_change = Outcome::alarm;
  std::map<std::string, std::int64_t> limits;  // by Modality
  Outcome on_excess = Outcome::alarm;
  bool record_original = true;
};

// In UTF-8. Of an attribute that comes twice with different values both count: nobody knows
// which one is meant.
std::string value_at(const Instance& instance, const AttributePath& path) {
  std::vector<std::string> values;
  for (const AttributePath::Place& place : path.places(instance.patch())) {
    for (const dicom::PlacedValue& found : instance.patch().values(place.parent, place.tag)) {
      std::string value = instance.unicode(found, place.parent);
      if (found.vr == dicom::Vr::UI) value = dicom::trim_uid(value);
      if (std::ranges::find(values, value) == values.end()) values.push_back(std::move(value));
    }
  }
  std::string joined;
  for (const std::string& value : values) joined += (&value == &values.front() ? "" : "\\") + value;
  return joined;
}

std::string names_of(const SeriesAttributes& attributes) {
  std::string names;
  for (const auto& [name, value] : attributes) names += (names.empty() ? "" : ", ") + name;
  return names;
}

class CheckSeries : public Filter {
 public:
  explicit CheckSeries(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    const std::string series = received_series(instance);
    if (series.empty()) return Pass{};  // there is nothing that it should agree with
    auto suspect = compare(instance, series, ledger);
    if (!suspect) return tl::unexpected(suspect.error());
    std::string counted = series;
    if (*suspect) {
      if (const auto told = tell(instance, **suspect, ledger); !told) {
        return tl::unexpected(told.error());
      }
      if (options_.on_change == Outcome::quarantine) {
        return Quarantine{"not as its series was: " + names_of((*suspect)->other)};
      }
      if (options_.on_change == Outcome::split) {
        counted = uid_of_split(**suspect);
        if (const auto done = split(instance, series, counted, ledger); !done) {
          return tl::unexpected(done.error());
        }
      }
    }
    return check_limit(instance, counted, ledger);
  }

  FilterEffects effects() const override {
    if (options_.on_change != Outcome::split) return {};
    return {{dicom::keyword(tags::kSeriesInstanceUid)}, {}};
  }

 private:
  [[nodiscard]] SeriesSuspect suspect_of(const Instance& instance, const std::string& series,
                                         Outcome outcome) const {
    SeriesSuspect suspect;
    suspect.scope = options_.scope;
    suspect.series_instance_uid = series;
    suspect.sop_instance_uid = dicom::trim_uid(instance.provenance().sop_instance_uid);
    suspect.outcome = to_string(outcome);
    return suspect;
  }

  // In what it is not as the first instance of its series; nullopt when it is.
  [[nodiscard]] Result<std::optional<SeriesSuspect>> compare(const Instance& instance,
                                                             const std::string& series,
                                                             Ledger& ledger) const {
    SeriesSuspect suspect = suspect_of(instance, series, options_.on_change);
    if (options_.compare.empty()) return std::nullopt;
    if (instance.is_ambiguous(tags::kSeriesInstanceUid)) {
      std::string both;
      for (const std::string& uid : instance.texts(tags::kSeriesInstanceUid)) {
        both += (both.empty() ? "" : "\\") + uid;
      }
      const std::string name = dicom::keyword(tags::kSeriesInstanceUid);
      suspect.first[name] = series;
      suspect.other[name] = both;
      return suspect;
    }
    SeriesIdentity own{options_.scope, series, {}, suspect.sop_instance_uid};
    for (const AttributePath& path : options_.compare) {
      own.attributes[path.text()] = value_at(instance, path);
    }
    const auto first = ledger.series_identity(own);
    if (!first) return tl::unexpected(first.error());
    for (const auto& [name, value] : own.attributes) {
      const auto before = first->find(name);
      // One that `compare` was given later: what the first instance had is unknown.
      if (before == first->end() || before->second == value) continue;
      if (options_.is_empty_ignored && (value.empty() || before->second.empty())) continue;
      suspect.first[name] = before->second;
      suspect.other[name] = value;
    }
    if (suspect.other.empty()) return std::nullopt;
    return suspect;
  }

  // The same for all instances that differ in the same way. The lengths keep apart what would
  // read the same.
  [[nodiscard]] std::string uid_of_split(const SeriesSuspect& suspect) const {
    std::string text;
    const auto append = [&](const std::string& part) {
      text += std::to_string(part.size()) + ":" + part + ";";
    };
    append(suspect.series_instance_uid);
    for (const auto& [name, value] : suspect.other) {
      append(name);
      append(value);
    }
    return dicom::hash_uid(options_.key, text);
  }

  [[nodiscard]] Result<void> split(Instance& instance, const std::string& series,
                                   const std::string& uid, Ledger& ledger) const {
    const Record record = options_.record_original ? Record::coerced : Record::none;
    auto changed = instance.change(tags::kSeriesInstanceUid, uid, kSplitReason, record);
    if (!changed) return changed;
    return ledger.record_uid(options_.scope, series, uid, kSplitReason);
  }

  [[nodiscard]] Result<Verdict> check_limit(const Instance& instance, const std::string& series,
                                            Ledger& ledger) const {
    const std::string modality = instance.text(tags::kModality);
    auto limit = options_.limits.find(modality);
    if (limit == options_.limits.end()) limit = options_.limits.find(kEveryModality);
    if (limit == options_.limits.end()) return Pass{};
    const auto is_beyond = ledger.is_beyond_limit(
        {options_.scope, series, modality, limit->second, instance.provenance().received_at});
    if (!is_beyond) return tl::unexpected(is_beyond.error());
    if (!*is_beyond) return Pass{};
    SeriesSuspect suspect = suspect_of(instance, series, options_.on_excess);
    suspect.limit = limit->second;
    suspect.other[dicom::keyword(tags::kModality)] = modality;
    if (const auto told = tell(instance, suspect, ledger); !told) {
      return tl::unexpected(told.error());
    }
    if (options_.on_excess == Outcome::alarm) return Pass{};
    return Quarantine{"more instances in its series than " + std::to_string(limit->second)};
  }

  [[nodiscard]] Result<void> tell(const Instance& instance, const SeriesSuspect& suspect,
                                  Ledger& ledger) const {
    const auto is_new = ledger.record_suspect(suspect);
    if (!is_new) return tl::unexpected(is_new.error());
    if (!*is_new) return {};
    const std::string reason = suspect.limit == 0 ? names_of(suspect.other) : "limit";
    count("sluice_series_suspects_total",
          {{"filter", options_.scope}, {"reason", reason}, {"outcome", suspect.outcome}});
    log::warning("series suspect", {{"id", instance.provenance().id},
                                    {"filter", options_.scope},
                                    {"reason", reason},
                                    {"outcome", suspect.outcome}});
    return {};
  }

  Options options_;
};

std::vector<AttributePath> read_compare(config::Table& options) {
  std::vector<AttributePath> paths;
  for (const std::string& name : options.strings(
           "compare",
           {"StudyInstanceUID", "PatientID", "Modality", "StationName", "DeviceSerialNumber"})) {
    auto path = AttributePath::parse(name);
    if (!path) {
      options.mistake("compare", path.error().message);
    } else if (path->top_level() == tags::kSeriesInstanceUid ||
               path->top_level() == tags::kSopInstanceUid) {
      options.mistake("compare", name + " cannot stand here: it names the series or the instance");
    } else if (path->vr() == dicom::Vr::SQ) {
      options.mistake("compare",
                      name + " is a sequence; name an attribute in it, as in Name[0].Other");
    } else {
      paths.push_back(std::move(*path));
    }
  }
  return paths;
}

std::map<std::string, std::int64_t> read_limits(config::Table& options) {
  std::map<std::string, std::int64_t> limits;
  auto table = options.table("limits");
  if (!table) return limits;
  for (const std::string& modality : table->keys()) {
    limits[modality] = table->integer(modality, 1, 1, kGreatestLimit);
  }
  return limits;
}

}  // namespace

std::unique_ptr<Filter> make_check_series(config::Table& options, const FilterContext& context) {
  Options made;
  made.scope = context.name;
  made.key = dicom::derived_key(context.site_key, "check_series");
  made.compare = read_compare(options);
  made.is_empty_ignored = options.choice("empty", "ignore", {"ignore", "compare"}) == "ignore";
  const std::string on_change =
      options.choice("on_change", "alarm", {"alarm", "quarantine", "split"});
  made.on_change = on_change == "split"        ? Outcome::split
                   : on_change == "quarantine" ? Outcome::quarantine
                                               : Outcome::alarm;
  made.limits = read_limits(options);
  const bool is_held =
      options.choice("on_excess", "alarm", {"alarm", "quarantine"}) == "quarantine";
  made.on_excess = is_held ? Outcome::quarantine : Outcome::alarm;
  made.record_original = options.boolean("record_original", true);
  if (options.has("on_excess") && !options.has("limits")) {
    options.mistake("on_excess", "on_excess has an effect only with limits");
  }
  if (options.has("compare") && options.strings("compare", {}).empty() && made.limits.empty()) {
    options.mistake("compare", "without compare and limits there is nothing to check");
  }
  return std::make_unique<CheckSeries>(std::move(made));
}

}  // namespace sluice
