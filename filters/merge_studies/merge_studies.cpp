#include "filters/merge_studies/merge_studies.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/dicom/character_set.h"
#include "gateway/dicom/uid.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

using dicom::ElementIndex;
using dicom::Tag;
using dicom::Vr;
namespace tags = dicom::tags;

struct Options {
  std::vector<Tag> key;         // all must have a value
  std::vector<Tag> qualifiers;  // part of the key, may be empty
  std::vector<Tag> attributes;  // taken over from the first instance seen
  bool new_study = false;
  bool record_original = true;
  std::string site_key;
  std::string scope;
};

class MergeStudies : public Filter {
 public:
  explicit MergeStudies(Options options) : options_(std::move(options)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    const std::string original = instance.text(tags::kStudyInstanceUid);
    std::string target = original;
    if (const auto key = key_of(instance); key && !original.empty()) {
      MergedStudy proposed{options_.new_study ? dicom::hash_uid(options_.site_key, *key) : original,
                           attributes_of(instance)};
      const auto merged = ledger.merged_study(options_.scope, *key, original, proposed);
      if (!merged) return tl::unexpected(merged.error());
      target = merged->study_instance_uid;
      if (const auto joined = join(instance, *merged); !joined) {
        return tl::unexpected(joined.error());
      }
    }
    if (const auto followed = follow_references(instance, ledger, original, target); !followed) {
      return tl::unexpected(followed.error());
    }
    return Pass{};
  }

  FilterEffects effects() const override {
    FilterEffects effects{{"StudyInstanceUID"}, {}};
    for (const Tag tag : options_.attributes) effects.attributes.push_back(dicom::keyword(tag));
    return effects;
  }

 private:
  // Every value of the key behind its length, so that no two keys read the same. Of an
  // attribute that comes twice with different values nobody knows which one is meant: to
  // merge by either could make one study of two patients.
  std::optional<std::string> key_of(const Instance& instance) const {
    std::string key;
    const auto append = [&](const std::string& value) {
      key += std::to_string(value.size()) + ":" + value + ";";
    };
    for (const Tag tag : options_.key) {
      const std::string value = instance.text(tag);
      if (value.empty() || instance.is_ambiguous(tag)) return std::nullopt;
      append(value);
    }
    for (const Tag tag : options_.qualifiers) {
      if (instance.is_ambiguous(tag)) return std::nullopt;
      append(instance.text(tag));
    }
    return key;
  }

  std::map<std::string, std::string> attributes_of(const Instance& instance) const {
    std::map<std::string, std::string> attributes;
    for (const Tag tag : options_.attributes) {
      attributes[dicom::to_string(tag)] = instance.text(tag);
    }
    attributes[dicom::to_string(tags::kSpecificCharacterSet)] =
        instance.text(tags::kSpecificCharacterSet);
    return attributes;
  }

  Result<void> join(Instance& instance, const MergedStudy& merged) const {
    const Record record = options_.record_original ? Record::coerced : Record::none;
    auto changed =
        instance.change(tags::kStudyInstanceUid, merged.study_instance_uid, "merged", record);
    if (!changed) return changed;
    const std::string own_set = instance.text(tags::kSpecificCharacterSet);
    const auto first_set = merged.attributes.find(dicom::to_string(tags::kSpecificCharacterSet));
    for (const Tag tag : options_.attributes) {
      const auto first = merged.attributes.find(dicom::to_string(tag));
      // An attribute that was added to the list later: the first instance's is unknown.
      if (first == merged.attributes.end()) continue;
      if (first->second == instance.text(tag) && !instance.is_ambiguous(tag)) continue;
      const auto text = dicom::convert_text(
          first->second, first_set == merged.attributes.end() ? "" : first_set->second, own_set);
      if (!text) {
        log::warning(
            "study attribute kept: the first instance's text has no form in this one's "
            "character set",
            {{"id", instance.provenance().id},
             {"attribute", dicom::keyword(tag)},
             {"character_set", own_set}});
        continue;
      }
      changed = instance.change(tag, *text, "merged study", record);
      if (!changed) return changed;
    }
    return {};
  }

  // A reference may name a study in any instance reference attribute, whatever its
  // keyword says: RT Structure Sets have it in Referenced SOP Instance UID (0008,1155).
  Result<void> follow_references(Instance& instance, Ledger& ledger, const std::string& original,
                                 const std::string& target) const {
    const auto elements = instance.header().elements();
    for (ElementIndex index = 0; index < elements.size(); ++index) {
      const dicom::Element& element = elements[index];
      if (element.known_vr() != Vr::UI || element.depth == 0 || element.length == 0) continue;
      if (!dicom::is_instance_reference(element.tag)) continue;
      if (instance.header().is_inside(index, tags::kOriginalAttributesSequence)) continue;
      const auto value = instance.patch().value(index);
      if (!value) continue;
      const std::string before = dicom::value_to_text(Vr::UI, *value, false);
      auto after = followed(instance, ledger, before, original, target);
      if (!after) return tl::unexpected(after.error());
      if (*after == before) continue;
      // The top-level attribute's past is recorded; a reference's can be told from it.
      if (auto changed = instance.change(index, *after, "merged", Record::none); !changed) {
        return changed;
      }
    }
    return {};
  }

  Result<std::string> followed(const Instance& instance, Ledger& ledger, const std::string& values,
                               const std::string& original, const std::string& target) const {
    std::string result;
    for (std::size_t begin = 0; begin <= values.size();) {
      const std::size_t end = std::min(values.find('\\', begin), values.size());
      const std::string one = values.substr(begin, end - begin);
      if (begin > 0) result += '\\';
      if (!original.empty() && one == original) {
        result += target;
      } else {
        // What other studies were merged into by the time this instance came in.
        const auto replaced =
            ledger.replacement(options_.scope, one, instance.provenance().received_at);
        if (!replaced) return tl::unexpected(replaced.error());
        result += replaced->value_or(one);
      }
      begin = end + 1;
    }
    return result;
  }

  Options options_;
};

std::vector<Tag> tag_list(config::Table& options, std::string_view key,
                          std::vector<std::string> fallback) {
  std::vector<Tag> list;
  for (const std::string& name : options.strings(key, std::move(fallback))) {
    const auto tag = dicom::parse_tag(name);
    if (!tag) {
      options.mistake(key, tag.error().message);
    } else if (*tag >= tags::kFloatPixelData || tag->is_group_length() ||
               dicom::dictionary_vr(*tag) == Vr::SQ) {
      options.mistake(key, name +
                               " cannot stand here: it is a sequence, a group length, or at or "
                               "behind the pixel data");
    } else {
      list.push_back(*tag);
    }
  }
  return list;
}

}  // namespace

std::unique_ptr<Filter> make_merge_studies(config::Table& options, const FilterContext& context) {
  Options made;
  made.scope = context.name;
  made.site_key = context.site_key;
  made.key = tag_list(options, "key", {"PatientID", "AccessionNumber"});
  if (made.key.empty()) options.mistake("key", "key needs at least one attribute");
  made.qualifiers = tag_list(options, "qualifiers", {"IssuerOfPatientID"});
  made.attributes =
      tag_list(options, "attributes",
               {"StudyDate", "StudyTime", "StudyID", "StudyDescription", "ReferringPhysicianName"});
  for (const Tag tag : made.attributes) {
    if (tag == tags::kStudyInstanceUid || tag == tags::kSeriesInstanceUid ||
        tag == tags::kSopInstanceUid || tag == tags::kSpecificCharacterSet) {
      options.mistake("attributes", dicom::keyword(tag) +
                                        " cannot be taken over: it identifies or "
                                        "encodes the instance itself");
    }
  }
  made.new_study = options.choice("study_instance_uid", "first", {"first", "new"}) == "new";
  made.record_original = options.boolean("record_original", true);
  return std::make_unique<MergeStudies>(std::move(made));
}

}  // namespace sluice
