#include "gateway/command/made_image.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/dicom/character_set.h"
#include "gateway/dicom/patch.h"
#include "gateway/dicom/uid.h"
#include "gateway/pipeline/attribute_path.h"

namespace sluice::command {
namespace {

using dicom::NewElement;
using dicom::NewItem;
using dicom::Tag;
using dicom::Vr;

constexpr std::string_view kSecondaryCapture = "1.2.840.10008.5.1.4.1.1.7";
constexpr std::uint32_t kMostMadeItems = 1000;  // of one sequence
constexpr std::array kTextVrs{Vr::LO, Vr::LT, Vr::PN, Vr::SH, Vr::ST, Vr::UC, Vr::UT};

struct MadeValue {
  std::string key;
  AttributePath path;
  std::string text;  // UTF-8
};

NewElement* find_made(NewItem& item, Tag tag) {
  const auto found = std::ranges::find(item, tag, &NewElement::tag);
  return found == item.end() ? nullptr : &*found;
}

// (gggg,00ee) in the block of its creator, which gets the first free one (PS3.5 7.8.1).
Tag place_private(NewItem& item, const AttributePath::Step& step) {
  std::string creator = step.creator;
  if (creator.size() % 2 != 0) creator += ' ';
  std::uint16_t block = 0x10;
  for (; block < 0xFF; ++block) {
    const NewElement* const taken = find_made(item, {step.tag.group, block});
    if (taken == nullptr) {
      item.push_back({{step.tag.group, block}, Vr::LO, creator});
      break;
    }
    const auto* const text = std::get_if<std::string>(&taken->value);
    if (text != nullptr && *text == creator) break;
  }
  return {step.tag.group, static_cast<std::uint16_t>(block << 8U | step.tag.element)};
}

// The item that a step leads to, made where it is not there yet; nullptr after a mistake.
NewItem* enter(NewItem& item, const AttributePath::Step& step, const std::string& key,
               config::Table& attributes) {
  if (!step.item || *step.item >= kMostMadeItems) {
    attributes.mistake(key, "'" + log::escape(key) + "' must number its items, from [0] to [" +
                                std::to_string(kMostMadeItems - 1) + "]");
    return nullptr;
  }
  const Tag tag = step.creator.empty() ? step.tag : place_private(item, step);
  NewElement* sequence = find_made(item, tag);
  if (sequence == nullptr) {
    item.push_back({tag, Vr::SQ, std::vector<NewItem>{}});
    sequence = &item.back();
  }
  auto* const items = std::get_if<std::vector<NewItem>>(&sequence->value);
  if (items == nullptr) {
    attributes.mistake(key, "'" + log::escape(key) + "' leads into what is no sequence here");
    return nullptr;
  }
  if (items->size() <= *step.item) items->resize(*step.item + 1U);
  return &(*items)[*step.item];
}

void put_value(NewItem& root, const MadeValue& made, const std::string& character_set,
               config::Table& attributes) {
  NewItem* item = &root;
  const auto& steps = made.path.steps();
  for (const AttributePath::Step& step : std::span(steps).first(steps.size() - 1)) {
    item = enter(*item, step, made.key, attributes);
    if (item == nullptr) return;
  }
  const Tag tag =
      steps.back().creator.empty() ? steps.back().tag : place_private(*item, steps.back());
  if (find_made(*item, tag) != nullptr) {
    attributes.mistake(made.key, "'" + log::escape(made.key) + "' is set twice");
    return;
  }
  const Vr vr = made.path.vr();
  if (vr == Vr::SQ && made.text.empty()) {
    item->push_back({tag, vr, std::vector<NewItem>{}});
    return;
  }
  std::string text = made.text;
  if (std::ranges::find(kTextVrs, vr) != kTextVrs.end()) {
    auto converted = dicom::convert_text(text, dicom::kUtf8Set, character_set);
    if (!converted) {
      attributes.mistake(made.key, "the value of '" + log::escape(made.key) +
                                       "' has no form in Specific Character Set '" +
                                       log::escape(character_set) + "'");
      return;
    }
    text = std::move(*converted);
  }
  auto value = dicom::text_to_value(vr, text, false);
  if (value) {
    item->push_back({tag, vr, std::move(*value)});
  } else {
    attributes.mistake(made.key, "'" + log::escape(made.key) + "': " + value.error().message);
  }
}

std::vector<MadeValue> read_values(config::Table& attributes) {
  std::vector<MadeValue> values;
  for (const std::string& key : attributes.keys()) {
    const std::vector<std::string> parts = attributes.strings(key, {});
    std::string text;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      text += (part == 0 ? "" : "\\") + parts[part];
    }
    auto path = AttributePath::parse(key);
    if (path) {
      values.push_back({key, std::move(*path), std::move(text)});
    } else {
      attributes.mistake(key, path.error().message);
    }
  }
  attributes.finish();
  return values;
}

std::string character_set_of(const std::vector<MadeValue>& values) {
  bool is_ascii = true;
  for (const MadeValue& one : values) {
    if (one.path.top_level() == dicom::tags::kSpecificCharacterSet) return one.text;
    is_ascii = is_ascii && std::ranges::all_of(one.text, [](char c) {
                 return static_cast<unsigned char>(c) < 0x80;
               });
  }
  return is_ascii ? "" : std::string(dicom::kUtf8Set);
}

void complete(NewItem& root, const std::string& character_set, const std::string& seed) {
  const auto add = [&](Tag tag, Vr vr, const std::string& text) {
    if (find_made(root, tag) == nullptr) root.push_back({tag, vr, text});
  };
  if (!character_set.empty()) add(dicom::tags::kSpecificCharacterSet, Vr::CS, character_set);
  add(dicom::tags::kSopClassUid, Vr::UI, std::string(kSecondaryCapture));
  for (const Tag tag : {dicom::tags::kSopInstanceUid, dicom::tags::kStudyInstanceUid,
                        dicom::tags::kSeriesInstanceUid}) {
    add(tag, Vr::UI, dicom::hash_uid("test", seed + "\\" + dicom::keyword(tag)));
  }
}

Result<dicom::Header> written(NewItem root) {
  const auto syntax = dicom::transfer_syntax(std::string(dicom::kExplicitVrLittleEndian));
  const auto nothing = dicom::scan({}, syntax);
  if (!nothing) return tl::unexpected(nothing.error());
  dicom::Patch patch(*nothing);
  for (NewElement& element : root) {
    if (auto put = patch.put(dicom::kRoot, std::move(element)); !put) {
      return tl::unexpected(put.error());
    }
  }
  const auto pieces = patch.render(0);
  if (!pieces) return tl::unexpected(pieces.error());
  std::string bytes;
  for (const dicom::Piece& piece : *pieces) bytes += piece.bytes;
  return dicom::scan(std::as_bytes(std::span(bytes)), syntax);
}

}  // namespace

dicom::Header make_image(config::Table& attributes, const std::string& seed) {
  const std::vector<MadeValue> values = read_values(attributes);
  const std::string character_set = character_set_of(values);
  NewItem root;
  for (const MadeValue& one : values) put_value(root, one, character_set, attributes);
  complete(root, character_set, seed);
  auto header = written(std::move(root));
  if (header) return std::move(*header);
  attributes.mistake("attributes make no data set: " + header.error().message);
  return {};
}

}  // namespace sluice::command
