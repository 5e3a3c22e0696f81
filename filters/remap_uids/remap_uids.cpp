#include "filters/remap_uids/remap_uids.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "filters/remap_uids/key_file.h"
#include "gateway/dicom/uid.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

using dicom::ElementIndex;
using dicom::Tag;
using dicom::Vr;

// Fewer bits, and two UIDs of a large archive could become one.
constexpr unsigned kLeastBits = 64;

// Goes through all UIDs that name something, wherever they stand. Unlike the filters that
// repair, it reaches what earlier systems recorded in Original Attributes Sequence: old UIDs
// there would tell what the new ones stand for.
class RemapUids : public Filter {
 public:
  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    const auto elements = instance.header().elements();
    for (ElementIndex index = 0; index < elements.size(); ++index) {
      const dicom::Element& element = elements[index];
      if (element.known_vr() != Vr::UI || !is_remapped(element.tag)) continue;
      const auto value = instance.patch().value(index);
      if (!value) continue;  // removed by an earlier filter: the header keeps all UIDs
      auto verdict = remap(instance, ledger, index, std::string(*value));
      if (!verdict || !std::holds_alternative<Pass>(*verdict)) return verdict;
    }
    return Pass{};
  }

  FilterEffects effects() const override {
    return {{"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}, {}};
  }

 private:
  [[nodiscard]] virtual bool is_remapped(Tag tag) const = 0;
  // What a UID turns into: nothing (it stays), one, or two of which nobody knows the right one.
  [[nodiscard]] virtual Result<std::vector<std::string>> substitutes(std::string_view uid,
                                                                     const Instance& instance,
                                                                     Ledger& ledger) const = 0;
  [[nodiscard]] virtual std::string_view reason() const = 0;
  [[nodiscard]] virtual Record record() const = 0;

  // The values of one element; those that stay do so as they are written.
  Result<Verdict> remap(Instance& instance, Ledger& ledger, ElementIndex index,
                        std::string_view values) const {
    // The NUL that makes the length even is put back where it is needed.
    if (values.ends_with('\0')) values.remove_suffix(1);
    std::string text;
    bool has_changed = false;
    for (std::size_t begin = 0; begin <= values.size();) {
      const std::size_t end = std::min(values.find('\\', begin), values.size());
      const std::string_view one = values.substr(begin, end - begin);
      const std::string_view uid = dicom::trim_uid(one);
      if (begin > 0) text += '\\';
      begin = end + 1;
      if (uid.empty() || dicom::is_well_known_uid(uid)) {
        text += one;
        continue;
      }
      const auto found = substitutes(uid, instance, ledger);
      if (!found) return tl::unexpected(found.error());
      if (found->size() > 1) {
        return Quarantine{instance.header().path(index) + ": more than one original in the ledger"};
      }
      has_changed = has_changed || !found->empty();
      text += found->empty() ? one : std::string_view(found->front());
    }
    if (!has_changed) return Pass{};
    if (auto changed = instance.change(index, text, reason(), record()); !changed) {
      return tl::unexpected(changed.error());
    }
    return Pass{};
  }
};

struct Options {
  std::string scope;
  std::string key;
  std::string prefix;  // "": 2.25.
  bool remember = true;
  std::set<Tag> keep;
};

class ReplaceUids : public RemapUids {
 public:
  explicit ReplaceUids(Options options) : options_(std::move(options)) {}

 private:
  bool is_remapped(Tag tag) const override {
    return dicom::is_instance_reference(tag) && !options_.keep.contains(tag);
  }

  Result<std::vector<std::string>> substitutes(std::string_view uid, const Instance& /*instance*/,
                                               Ledger& ledger) const override {
    std::vector<std::string> made = {options_.prefix.empty()
                                         ? dicom::hash_uid(options_.key, uid)
                                         : dicom::hash_uid(options_.key, uid, options_.prefix)};
    if (!options_.remember) return made;
    const auto replaced = ledger.replaces_uid(options_.scope, uid, made.front(), reason());
    if (!replaced) return tl::unexpected(replaced.error());
    if (!*replaced) made.clear();  // one of our own that came back
    return made;
  }

  std::string_view reason() const override { return "remapped"; }
  // Nor what earlier filters of the chain did to the same element: what is recorded is the
  // value as received.
  Record record() const override { return Record::never; }

  Options options_;
};

class RestoreUids : public RemapUids {
 public:
  explicit RestoreUids(std::string of) : of_(std::move(of)) {}

 private:
  bool is_remapped(Tag tag) const override { return dicom::is_instance_reference(tag); }

  Result<std::vector<std::string>> substitutes(std::string_view uid, const Instance& instance,
                                               Ledger& ledger) const override {
    return ledger.originals(of_, uid, instance.provenance().received_at);
  }

  std::string_view reason() const override { return "restored"; }
  Record record() const override { return Record::none; }

  std::string of_;  // the filter whose replacements are undone
};

bool is_below(std::string_view uid, std::string_view root) {
  return uid == root || (uid.starts_with(root) && uid[root.size()] == '.');
}

std::optional<std::string> mistake_in_prefix(std::string_view prefix) {
  if (!dicom::is_valid_uid(prefix) || prefix.find('.') == std::string_view::npos) {
    return "prefix is no UID root, such as \"1.2.826.0.1.3680043.10.999\"";
  }
  if (is_below(prefix, "1.2.840.10008")) return "prefix belongs to the DICOM standard";
  if (is_below(prefix, "2.25")) return "prefix belongs to UUIDs; leave it out for 2.25.";
  if (dicom::hashed_bits_below(prefix) < kLeastBits) {
    return "prefix is too long: with more than 43 characters, too few of 64 are left for UIDs that "
           "stay apart";
  }
  return std::nullopt;
}

std::set<Tag> tags_to_keep(config::Table& options) {
  std::set<Tag> tags;
  for (const std::string& name : options.strings("keep", {})) {
    const auto tag = dicom::parse_tag(name);
    if (!tag) {
      options.mistake("keep", tag.error().message);
    } else if (!tag->is_private() && dicom::dictionary_vr(*tag) != Vr::UI) {
      options.mistake("keep", name + " is no attribute for UIDs");
    } else if (!dicom::is_instance_reference(*tag)) {
      options.mistake("keep", name + " is never replaced; leave it out");
    } else {
      tags.insert(*tag);
    }
  }
  return tags;
}

}  // namespace

std::unique_ptr<Filter> make_remap_uids(config::Table& options, const FilterContext& context) {
  const bool restores = options.choice("mode", "replace", {"replace", "restore"}) == "restore";
  const std::string of = options.string("of", "");
  const std::string key_file = options.string("key_file", "");
  Options made;
  made.scope = context.name;
  made.prefix = options.string("prefix", "");
  made.remember = options.boolean("remember", true);
  made.keep = tags_to_keep(options);
  if (restores) {
    if (of.empty()) {
      options.mistake("of",
                      "mode \"restore\" needs `of`, the filter whose replacements are undone");
    }
    for (const std::string_view key : {"key_file", "prefix", "remember", "keep"}) {
      if (!options.has(key)) continue;
      options.mistake(key, std::string(key) + " has an effect only with mode = \"replace\"");
    }
    return std::make_unique<RestoreUids>(of);
  }
  if (options.has("of")) options.mistake("of", "of has an effect only with mode = \"restore\"");
  if (!made.prefix.empty()) {
    if (const auto mistake = mistake_in_prefix(made.prefix)) options.mistake("prefix", *mistake);
  }
  // Two filters of the site must not give one UID the same replacement, nor one of them what
  // sanitize_uids gives: copies for two purposes could be told to be of one original.
  made.key = dicom::derived_key(context.site_key, "remap_uids " + context.name);
  if (!key_file.empty()) {
    auto key = read_key_file(key_file);
    if (!key) {
      options.mistake("key_file", key.error().message);
    } else {
      made.key = std::move(*key);
    }
  }
  return std::make_unique<ReplaceUids>(std::move(made));
}

}  // namespace sluice
