#include "filters/remap_instance_number/remap_instance_number.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "filters/numbering.h"
#include "gateway/dicom/uid.h"

namespace sluice {
namespace {

namespace tags = dicom::tags;

struct Options {
  NumberPolicies policies;
  NumberPolicy collision = NumberPolicy::assign;
  std::int32_t base = 10000;
  bool record_original = true;
  std::string scope = {};
};

class RemapInstanceNumber : public Filter {
 public:
  explicit RemapInstanceNumber(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    const IntegerString received = options_.policies.read(instance, tags::kInstanceNumber);
    if (auto verdict = to_verdict(options_.policies.of(received.defect), reason(received.defect))) {
      return std::move(*verdict);
    }
    for (const dicom::Tag tag : {tags::kSeriesInstanceUid, tags::kSopInstanceUid}) {
      if (instance.is_ambiguous(tag)) {
        return Quarantine{"two values of " + dicom::keyword(tag) +
                          ", of which an instance has one"};
      }
    }
    const InstanceNumberRequest request = request_of(instance, received);
    if (request.series_instance_uid.empty() || request.sop_instance_uid.empty()) {
      return Quarantine{"no Series or SOP Instance UID to keep an Instance Number by"};
    }
    const auto given = ledger.instance_number(request);
    if (!given) return tl::unexpected(given.error());
    // What may collide keeps its number whatever the ledger says, which only notes it for
    // those who get one.
    const std::optional<std::int32_t> number = may_collide(received) ? received.number : *given;
    if (!number) return *to_verdict(options_.collision, "Instance Number of another instance");
    return give(instance, received, *number);
  }

  FilterEffects effects() const override { return {{"InstanceNumber"}, {}}; }

 private:
  static std::string reason(NumberDefect defect) {
    return "Instance Number " + std::string(to_string(defect));
  }

  [[nodiscard]] bool may_collide(const IntegerString& received) const {
    return received.defect == NumberDefect::none && options_.collision == NumberPolicy::pass;
  }

  // The key is the instance as it came, so that a filter before this one that gives it
  // another UID does not make it another instance. That it has the UID of one with other
  // bytes does.
  [[nodiscard]] InstanceNumberRequest request_of(const Instance& instance,
                                                 const IntegerString& received) const {
    InstanceNumberRequest request;
    request.scope = options_.scope;
    request.series_instance_uid =
        std::string(dicom::trim_uid(instance.text(tags::kSeriesInstanceUid)));
    request.sop_instance_uid = instance.provenance().new_sop_instance_uid;
    if (request.sop_instance_uid.empty()) {
      request.sop_instance_uid = uid_as_received(instance, tags::kSopInstanceUid);
    }
    request.base = options_.base;
    if (received.defect == NumberDefect::none) {
      request.wanted = received.number;
      if (options_.collision != NumberPolicy::assign) request.base.reset();
    }
    return request;
  }

  [[nodiscard]] Result<Verdict> give(Instance& instance, const IntegerString& received,
                                     std::int32_t number) const {
    const bool has_it = received.defect == NumberDefect::none && received.number == number;
    if (has_it && !instance.is_ambiguous(tags::kInstanceNumber)) return Pass{};
    std::string_view why = "collision";
    if (received.defect != NumberDefect::none) why = to_string(received.defect);
    if (has_it) why = "comes twice";
    const auto changed =
        instance.change(tags::kInstanceNumber, std::to_string(number), why,
                        options_.record_original ? record_of(received.defect) : Record::none);
    if (!changed) return tl::unexpected(changed.error());
    return Pass{};
  }

  Options options_;
};

}  // namespace

std::unique_ptr<Filter> make_remap_instance_number(config::Table& options,
                                                   const FilterContext& context) {
  constexpr std::int32_t kGreatest = std::numeric_limits<std::int32_t>::max();
  Options made{NumberPolicies(options)};
  made.collision = read_number_policy(options, "collision");
  made.base = static_cast<std::int32_t>(options.integer("base", 10000, 1, kGreatest));
  made.record_original = options.boolean("record_original", true);
  made.scope = context.name;
  return std::make_unique<RemapInstanceNumber>(std::move(made));
}

}  // namespace sluice
