#include "filters/remap_series_number/remap_series_number.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "filters/numbering.h"
#include "filters/received_series.h"

namespace sluice {
namespace {

namespace tags = dicom::tags;

constexpr std::int32_t kGreatest = std::numeric_limits<std::int32_t>::max();

struct Options {
  NumberPolicies policies;
  bool offset_mode = false;
  std::int32_t offset = 0;
  std::int32_t base = 10000;
  bool record_original = true;
  std::string scope = {};
};

class RemapSeriesNumber : public Filter {
 public:
  explicit RemapSeriesNumber(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    const IntegerString received = options_.policies.read(instance, tags::kSeriesNumber);
    if (auto verdict = to_verdict(options_.policies.of(received.defect), reason(received.defect))) {
      return std::move(*verdict);
    }
    SeriesNumberRequest request{options_.scope, instance.text(tags::kStudyInstanceUid),
                                received_series(instance), wanted(received), options_.base};
    for (const dicom::Tag tag : {tags::kStudyInstanceUid, tags::kSeriesInstanceUid}) {
      if (instance.is_ambiguous(tag)) {
        return Quarantine{"two values of " + dicom::keyword(tag) + ", of which a series has one"};
      }
    }
    if (request.study_instance_uid.empty() || request.series_instance_uid.empty()) {
      return Quarantine{"no Study or Series Instance UID to keep a Series Number by"};
    }
    const auto given = ledger.series_number(request);
    if (!given) return tl::unexpected(given.error());
    if (received.defect == NumberDefect::none && *given == received.number &&
        !instance.is_ambiguous(tags::kSeriesNumber)) {
      return Pass{};
    }
    const auto changed = instance.change(tags::kSeriesNumber, std::to_string(*given),
                                         change_reason(received, *given), record(received.defect));
    if (!changed) return tl::unexpected(changed.error());
    return Pass{};
  }

  FilterEffects effects() const override { return {{"SeriesNumber"}, {}}; }

 private:
  static std::string reason(NumberDefect defect) {
    return "Series Number " + std::string(to_string(defect));
  }

  std::optional<std::int32_t> wanted(const IntegerString& received) const {
    if (received.defect != NumberDefect::none) return std::nullopt;
    const std::int64_t number =
        std::int64_t{received.number} + (options_.offset_mode ? options_.offset : 0);
    if (number > kGreatest) return std::nullopt;
    return static_cast<std::int32_t>(number);
  }

  std::string_view change_reason(const IntegerString& received, std::int32_t given) const {
    if (received.defect != NumberDefect::none) return to_string(received.defect);
    return options_.offset_mode && wanted(received) == given ? "offset" : "collision";
  }

  Record record(NumberDefect defect) const {
    return options_.record_original ? record_of(defect) : Record::none;
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Filter> make_remap_series_number(config::Table& options,
                                                 const FilterContext& context) {
  Options made{NumberPolicies(options)};
  made.scope = context.name;
  made.offset_mode = options.choice("mode", "collision", {"collision", "offset"}) == "offset";
  made.offset = static_cast<std::int32_t>(options.integer("offset", 0, 0, kGreatest));
  if (made.offset_mode && made.offset == 0) {
    options.mistake("offset", "mode \"offset\" needs an offset of at least 1");
  } else if (!made.offset_mode && options.has("offset")) {
    options.mistake("offset", "offset has an effect only with mode = \"offset\"");
  }
  made.base = static_cast<std::int32_t>(options.integer("base", 10000, 1, kGreatest));
  made.record_original = options.boolean("record_original", true);
  return std::make_unique<RemapSeriesNumber>(std::move(made));
}

}  // namespace sluice
