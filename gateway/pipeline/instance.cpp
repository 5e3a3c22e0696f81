#include "gateway/pipeline/instance.h"

#include <algorithm>
#include <utility>

#include "gateway/dicom/uid.h"
#include "gateway/dicom/vr.h"

namespace sluice {

using dicom::ElementIndex;
using dicom::Tag;
using dicom::Vr;

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
  note(dicom::keyword(tag), vr, reason, before.value_or(""), *encoded);
  remember({index, tag, record});
  return patch_.set(tag, text);
}

Result<void> Instance::change(ElementIndex index, std::string_view text, std::string_view reason,
                              Record record) {
  const dicom::Element& element = header()[index];
  auto encoded = dicom::text_to_value(element.known_vr(), text, header().is_big_endian(index));
  if (!encoded) return tl::unexpected(encoded.error());
  const auto before = patch_.value(index);
  if (before && *before == *encoded) return {};
  note(header().path(index), element.known_vr(), reason, before.value_or(""), *encoded);
  remember({index, element.tag, record});
  patch_.set(index, std::move(*encoded));
  return {};
}

void Instance::note(std::string path, Vr vr, std::string_view reason, std::string_view before,
                    std::string_view after) {
  const bool big_endian = header().transfer_syntax().big_endian;
  // A UID's padding is what was wrong with it: shown as it stands.
  const auto text = [&](std::string_view value) {
    return vr == Vr::UI ? std::string(value.substr(0, value.find_last_not_of('\0') + 1))
                        : dicom::value_to_text(vr, value, big_endian);
  };
  changes_.push_back({step_, std::move(path), std::string(reason), text(before), text(after)});
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
