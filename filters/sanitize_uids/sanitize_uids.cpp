#include "filters/sanitize_uids/sanitize_uids.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gateway/dicom/uid.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

using dicom::Element;
using dicom::ElementIndex;
using dicom::Header;
using dicom::UidDefect;
using dicom::Vr;
namespace tags = dicom::tags;

// PS3.4 Table B.2-1, Cannot Understand and Data Set does not match.
constexpr std::uint16_t kCannotUnderstand = 0xC000;
constexpr std::uint16_t kDataSetDoesNotMatch = 0xA900;

enum class Policy { trim, strip_zeros, hash, pass, reject, quarantine };

struct Options {
  std::map<UidDefect, Policy> policies;
  Policy missing = Policy::reject;
  Policy mismatch = Policy::reject;
  bool dcm4che = false;
  bool record_original = true;
  std::string key;
  std::string scope;
};

// What a value turned into.
struct Repair {
  std::string value;
  UidDefect defect = UidDefect::none;  // of the first value that had one
};

class SanitizeUids : public Filter {
 public:
  explicit SanitizeUids(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    if (auto verdict = check_identifiers(instance); !std::holds_alternative<Pass>(verdict)) {
      return verdict;
    }
    const Header& header = instance.header();
    const auto elements = header.elements();
    for (ElementIndex index = 0; index < elements.size(); ++index) {
      if (elements[index].known_vr() != Vr::UI || elements[index].length == 0) continue;
      const auto value = instance.patch().value(index);
      // What earlier systems recorded of values before their change stays as it was.
      if (!value || header.is_inside(index, tags::kOriginalAttributesSequence)) continue;
      auto verdict = repair_element(instance, ledger, index, std::string(*value));
      if (!verdict || !std::holds_alternative<Pass>(*verdict)) return verdict;
    }
    return Pass{};
  }

 private:
  // Study, Series and SOP Instance UID are type 1 in every IOD (PS3.3 C.7.2.1, C.7.3.1,
  // C.12.1); and (0000,1000) must be (0008,0018) (PS3.7 9.1.1.1).
  Verdict check_identifiers(Instance& instance) const {
    static constexpr std::array<dicom::Tag, 3> kIdentifiers = {
        tags::kStudyInstanceUid, tags::kSeriesInstanceUid, tags::kSopInstanceUid};
    if (options_.missing != Policy::pass) {
      for (const dicom::Tag tag : kIdentifiers) {
        const auto uids = instance.patch().values(tag);
        const auto is_empty = [](std::string_view uid) { return dicom::trim_uid(uid).empty(); };
        if (!uids.empty() && std::ranges::none_of(uids, is_empty)) continue;
        return refusal(options_.missing, kCannotUnderstand,
                       dicom::keyword(tag) + " missing or empty");
      }
    }
    if (instance.has_uid_mismatch()) {
      instance.settle_uid_mismatch();
      if (options_.mismatch != Policy::pass) {
        return refusal(options_.mismatch, kDataSetDoesNotMatch,
                       "SOP Instance UID unlike the command's");
      }
    }
    return Pass{};
  }

  static Verdict refusal(Policy policy, std::uint16_t status, std::string reason) {
    if (policy == Policy::quarantine) return Quarantine{std::move(reason)};
    return Reject{status, std::move(reason)};
  }

  Result<Verdict> repair_element(Instance& instance, Ledger& ledger, ElementIndex index,
                                 const std::string& value) const {
    const Element& element = instance.header()[index];
    const bool replaceable = dicom::is_instance_reference(element.tag);
    Repair repaired;
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find('\\', begin), value.size());
      const std::string one = value.substr(begin, end - begin);
      const bool last = end == value.size();
      const UidDefect defect = defect_of(one, last, value.size());
      Policy policy = Policy::pass;
      if (defect != UidDefect::none && defect != UidDefect::empty) {
        policy = policy_for(defect, replaceable, one);
      }
      if (policy == Policy::reject || policy == Policy::quarantine) {
        return refusal(policy, kCannotUnderstand,
                       instance.header().path(index) + ": " + std::string(to_string(defect)));
      }
      const std::string after = replacement(policy, one, last);
      if (policy == Policy::hash || policy == Policy::strip_zeros) {
        const auto recorded =
            ledger.record_uid(options_.scope, dicom::trim_uid(one), after, to_string(defect));
        if (!recorded) return tl::unexpected(recorded.error());
      }
      if (policy != Policy::pass && repaired.defect == UidDefect::none) repaired.defect = defect;
      repaired.value += after;
      if (!last) repaired.value += '\\';
      begin = end + 1;
    }
    if (repaired.defect == UidDefect::none) return Pass{};
    const bool record = options_.record_original && repaired.defect != UidDefect::padding;
    const auto changed = instance.change(index, repaired.value, to_string(repaired.defect),
                                         record ? Record::nonconforming : Record::none);
    if (!changed) return tl::unexpected(changed.error());
    return Pass{};
  }

  // Only the end of the whole may have a NUL, the one that makes its length even.
  static UidDefect defect_of(const std::string& one, bool last, std::size_t whole) {
    const bool padded_by_rule = last && whole % 2 == 0 && !one.empty() && one.back() == '\0';
    const std::string value = padded_by_rule ? one.substr(0, one.size() - 1) : one;
    const UidDefect defect = dicom::find_uid_defect(value);
    const bool one_more = defect == UidDefect::none && !value.empty() && value.back() == '\0';
    return one_more ? UidDefect::padding : defect;
  }

  Policy policy_for(UidDefect defect, bool replaceable, const std::string& value) const {
    const Policy policy = options_.policies.at(defect);
    // Classes, syntaxes and coding schemes mean something; a made-up one would not.
    if (replaceable && !dicom::is_well_known_uid(dicom::trim_uid(value))) return policy;
    if (defect != UidDefect::padding) return Policy::pass;
    return policy == Policy::hash ? Policy::trim : policy;
  }

  std::string replacement(Policy policy, const std::string& value, bool last) const {
    std::string trimmed(dicom::trim_uid(value));
    switch (policy) {
      case Policy::trim:
        return trimmed;
      case Policy::strip_zeros: {
        std::string stripped = dicom::strip_leading_zeros(trimmed);
        return dicom::is_valid_uid(stripped) ? stripped : hashed(trimmed);
      }
      case Policy::hash:
        return hashed(trimmed);
      default:
        break;
    }
    // Left as it is; the NUL that pads the whole is put back by text_to_value().
    if (last && !value.empty() && value.back() == '\0') return value.substr(0, value.size() - 1);
    return value;
  }

  std::string hashed(const std::string& uid) const {
    return options_.dcm4che ? dicom::md5_uid(uid) : dicom::hash_uid(options_.key, uid);
  }

  Options options_;
};

Policy to_policy(std::string_view text) {
  static const std::map<std::string_view, Policy> policies = {
      {"trim", Policy::trim},     {"strip_zeros", Policy::strip_zeros},
      {"hash", Policy::hash},     {"pass", Policy::pass},
      {"reject", Policy::reject}, {"quarantine", Policy::quarantine}};
  return policies.at(text);
}

}  // namespace

std::unique_ptr<Filter> make_sanitize_uids(config::Table& options, const FilterContext& context) {
  Options made;
  made.scope = context.name;
  const auto policy = [&](std::string_view key, std::string_view fallback, auto... allowed) {
    return to_policy(options.choice(key, fallback, {allowed..., "pass", "reject", "quarantine"}));
  };
  made.policies = {{UidDefect::padding, policy("padding", "trim", "trim", "hash")},
                   {UidDefect::inner_white_space, policy("inner_white_space", "hash", "hash")},
                   {UidDefect::illegal_character, policy("illegal_character", "hash", "hash")},
                   {UidDefect::empty_component, policy("empty_component", "hash", "hash")},
                   {UidDefect::leading_zero, policy("leading_zero", "hash", "strip_zeros", "hash")},
                   {UidDefect::too_long, policy("too_long", "hash", "hash")}};
  made.missing = policy("missing", "reject");
  made.mismatch = policy("mismatch", "reject");
  made.dcm4che =
      options.choice("algorithm", "hmac-sha-256", {"hmac-sha-256", "dcm4che-md5"}) == "dcm4che-md5";
  made.key = options.string("key", context.site_key);
  if (options.has("key") && made.key.size() < 16) {
    options.mistake("key",
                    "key is too short to be a secret: at least 16 characters, or leave it "
                    "out to use the gateway's own");
  }
  made.record_original = options.boolean("record_original", true);
  return std::make_unique<SanitizeUids>(std::move(made));
}

}  // namespace sluice
