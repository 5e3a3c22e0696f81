#include "gateway/pipeline/instance.h"

#include <algorithm>
#include <utility>

#include "gateway/dicom/character_set.h"
#include "gateway/dicom/uid.h"
#include "gateway/dicom/value_rules.h"
#include "gateway/dicom/vr.h"

namespace sluice {

using dicom::ElementIndex;
using dicom::Tag;
using dicom::Vr;

namespace {

void add_values(std::vector<Text>& values, Vr vr, std::string_view text) {
  while (!dicom::has_one_value(vr)) {
    const std::size_t end = text.find('\\');
    if (end == std::string_view::npos) break;
    values.emplace_back(std::string(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  values.emplace_back(std::string(text));
}

}  // namespace

Instance::Instance(Provenance provenance, const dicom::Header& header)
    : provenance_(std::move(provenance)), patch_(header) {}

bool Instance::has_uid_mismatch() const {
  const auto expected = dicom::trim_uid(provenance_.sop_instance_uid);
  const auto uids = dicom::Patch(header()).values(dicom::tags::kSopInstanceUid);
  if (uids.empty()) return !expected.empty();
  return std::ranges::any_of(
      uids, [&](std::string_view uid) { return dicom::trim_uid(uid) != expected; });
}

bool Instance::is_ambiguous(Tag tag) const {
  if (!header().is_unordered()) return false;
  const auto first = patch_.value(tag);
  const auto elements = header().elements();
  for (ElementIndex index = 0; index < elements.size(); ++index) {
    const dicom::Element& element = elements[index];
    if (element.tag == tag && element.parent == dicom::kRoot && patch_.value(index) != first) {
      return true;
    }
  }
  return false;
}

std::string Instance::character_set(ElementIndex item) const {
  for (ElementIndex at = item; at != dicom::kRoot; at = header()[at].parent) {
    if (!header()[at].is_item()) continue;
    const auto own = header().find(dicom::tags::kSpecificCharacterSet, at);
    const auto value = own ? patch_.value(*own) : std::nullopt;
    if (value) return dicom::value_to_text(Vr::CS, *value, false);
  }
  return text(dicom::tags::kSpecificCharacterSet);
}

std::string Instance::unicode(const dicom::PlacedValue& value, ElementIndex item) const {
  std::string text = dicom::value_to_text(value.vr, value.value, value.big_endian);
  if (!dicom::is_in_character_set(value.vr)) return text;
  return dicom::convert_text(text, character_set(item), dicom::kUtf8Set).value_or(std::move(text));
}

std::vector<Text> Instance::values(const AttributePath& path) const {
  std::vector<Text> all;
  for (const AttributePath::Place& place : path.places(patch_)) {
    for (const dicom::PlacedValue& found : patch_.values(place.parent, place.tag)) {
      if (found.is_kept) {
        add_values(all, found.vr, unicode(found, place.parent));
      } else {
        all.emplace_back(std::nullopt);
      }
    }
  }
  return all;
}

void Instance::add_label(const std::string& label) {
  if (std::ranges::find(labels_, label) == labels_.end()) labels_.push_back(label);
}

Result<void> Instance::change(Tag tag, std::string_view text, std::string_view reason,
                              Record record) {
  const auto index = header().find(tag);
  const Vr vr = index ? header()[*index].known_vr() : dicom::dictionary_vr(tag);
  const bool big_endian =
      index ? header().is_big_endian(*index) : header().transfer_syntax().big_endian;
  const auto encoded = dicom::text_to_value(vr, text, big_endian);
  if (!encoded) return tl::unexpected(encoded.error());
  const auto before = patch_.value(tag);
  if (before && *before == *encoded && !is_ambiguous(tag)) return {};
  note(dicom::keyword(tag), reason, shown({vr, big_endian, before.value_or("")}, dicom::kRoot),
       shown({vr, big_endian, *encoded}, dicom::kRoot));
  remember({index, tag, record});
  return patch_.set(tag, text);
}

Result<void> Instance::change(ElementIndex index, std::string_view text, std::string_view reason,
                              Record record) {
  const dicom::Element& element = header()[index];
  const Vr vr = element.known_vr();
  const bool big_endian = header().is_big_endian(index);
  auto encoded = dicom::text_to_value(vr, text, big_endian);
  if (!encoded) return tl::unexpected(encoded.error());
  const auto before = patch_.value(index);
  if (before && *before == *encoded) return {};
  note(header().path(index), reason, shown({vr, big_endian, before.value_or("")}, element.parent),
       shown({vr, big_endian, *encoded}, element.parent));
  remember({index, element.tag, record});
  patch_.set(index, std::move(*encoded));
  return {};
}

Result<void> Instance::change(const AttributePath::Place& place, Vr vr, std::string_view text,
                              std::string_view reason, Record record) {
  const std::vector<ElementIndex> received = patch_.received(place.parent, place.tag);
  for (const ElementIndex index : received) {
    if (auto changed = change(index, text, reason, record); !changed) return changed;
  }
  if (!received.empty()) return {};
  const bool big_endian = place.parent == dicom::kRoot ? header().transfer_syntax().big_endian
                                                       : header().is_big_endian(place.parent);
  auto encoded = dicom::text_to_value(vr, text, big_endian);
  if (!encoded) return tl::unexpected(encoded.error());
  const auto before = patch_.values(place.parent, place.tag);
  if (!before.empty() && before.front().value == *encoded) return {};
  note(path_of(place), reason, before.empty() ? "" : shown(before.front(), place.parent),
       shown({vr, big_endian, *encoded}, place.parent));
  if (place.parent == dicom::kRoot) remember({std::nullopt, place.tag, record});
  added_.push_back(place);
  return patch_.put(place.parent, {place.tag, vr, std::move(*encoded)});
}

void Instance::remove(const AttributePath::Place& place, std::string_view reason, Record record) {
  for (const ElementIndex index : patch_.received(place.parent, place.tag)) {
    const dicom::Element& element = header()[index];
    const std::string_view value = patch_.value(index).value_or("");
    note(header().path(index), reason,
         shown({element.known_vr(), header().is_big_endian(index), value}, element.parent), "");
    remember({index, element.tag, record});
    patch_.remove(index);
  }
  if (const auto added = patch_.values(place.parent, place.tag); !added.empty()) {
    note(path_of(place), reason, shown(added.front(), place.parent), "");
    patch_.remove(place.tag, place.parent);
  }
}

std::string Instance::path_of(const AttributePath::Place& place) const {
  const std::string name = dicom::keyword(place.tag);
  return place.parent == dicom::kRoot ? name : header().path(place.parent) + "." + name;
}

// nullopt: some is not what its character set allows, or too long to be looked at.
std::optional<std::vector<Instance::Turned>> Instance::find_other_text() const {
  std::vector<Turned> all;
  const auto turn = [&](std::optional<ElementIndex> index, const AttributePath::Place& place,
                        const dicom::PlacedValue& found) {
    const std::string text = dicom::value_to_text(found.vr, found.value, found.big_endian);
    auto unicode = dicom::convert_text(text, character_set(place.parent), dicom::kUtf8Set);
    if (unicode && *unicode != text) all.push_back({index, place, found.vr, std::move(*unicode)});
    return unicode.has_value();
  };
  for (ElementIndex index = 0; index < header().elements().size(); ++index) {
    const dicom::Element& element = header()[index];
    const Vr vr = element.known_vr();
    if (patch_.is_removed(index)) continue;
    if (element.tag == dicom::tags::kSpecificCharacterSet && element.parent != dicom::kRoot) {
      all.push_back({index, {}, vr, std::string(dicom::kUtf8Set)});
    }
    if (!dicom::is_in_character_set(vr)) continue;
    const auto value = patch_.value(index);
    if (!value) return std::nullopt;
    if (!turn(index, {element.parent, element.tag}, {vr, header().is_big_endian(index), *value})) {
      return std::nullopt;
    }
  }
  for (const AttributePath::Place& place : added_) {
    for (const dicom::PlacedValue& found : patch_.values(place.parent, place.tag)) {
      if (dicom::is_in_character_set(found.vr) && !turn(std::nullopt, place, found)) {
        return std::nullopt;
      }
    }
  }
  return all;
}

Result<bool> Instance::turn_to_unicode(std::string_view reason) {
  const auto all = find_other_text();
  if (!all) return false;
  for (const Turned& one : *all) {
    const std::size_t noted = changes_.size();
    auto changed = one.index ? change(*one.index, one.text, reason, Record::none)
                             : change(one.place, one.vr, one.text, reason, Record::none);
    if (!changed) return tl::unexpected(changed.error());
    // The same text, though one of its forms is not of the set that stands there now.
    if (dicom::is_in_character_set(one.vr) && changes_.size() > noted) {
      changes_.back().before = changes_.back().after = one.text;
    }
  }
  auto changed = change(dicom::tags::kSpecificCharacterSet, dicom::kUtf8Set, reason, Record::none);
  if (!changed) return tl::unexpected(changed.error());
  return true;
}

// For a person. A UID's padding is what was wrong with it: shown as it stands.
std::string Instance::shown(const dicom::PlacedValue& value, ElementIndex item) const {
  if (value.vr != Vr::UI) return unicode(value, item);
  return std::string(value.value.substr(0, value.value.find_last_not_of('\0') + 1));
}

void Instance::note(std::string path, std::string_view reason, std::string before,
                    std::string after) {
  changes_.push_back(
      {step_, std::move(path), std::string(reason), std::move(before), std::move(after)});
}

void Instance::remember(const Original& original) {
  if (original.record == Record::none) return;
  if (original.record == Record::never) {
    if (original.index) untold_.insert(*original.index);
    return;
  }
  const bool known = std::ranges::any_of(originals_, [&](const Original& earlier) {
    return earlier.index == original.index && earlier.tag == original.tag;
  });
  if (!known) originals_.push_back(original);
}

}  // namespace sluice
