#include "filters/lookup/lookup.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "filters/lookup/steady_table.h"
#include "filters/lookup/table_file.h"
#include "gateway/base/log.h"
#include "gateway/dicom/character_set.h"
#include "gateway/dicom/value_rules.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

using dicom::Tag;
using dicom::Vr;
namespace tags = dicom::tags;

// PS3.4 Table B.2-1, Cannot Understand.
constexpr std::uint16_t kCannotUnderstand = 0xC000;
constexpr std::string_view kCalling = "calling_ae_title";
constexpr std::string_view kCalled = "called_ae_title";

enum class Policy { pass, quarantine, reject };

// Of what the key is made.
struct KeyPart {
  std::string name;        // for a person
  std::optional<Tag> tag;  // nullopt: an AE title
  std::string column;

  // The same however it is written in the configuration.
  [[nodiscard]] std::string id() const { return tag ? dicom::to_string(*tag) : name; }
};

struct Options {
  std::vector<KeyPart> key;
  std::vector<ValueColumn> set;
  Policy missing = Policy::pass;
  Policy characters = Policy::quarantine;
  bool clears_empty = false;
  bool record_original = true;
};

Verdict verdict(Policy policy, std::string reason) {
  if (policy == Policy::reject) return Reject{kCannotUnderstand, std::move(reason)};
  if (policy == Policy::quarantine) return Quarantine{std::move(reason)};
  return Pass{};
}

class Lookup : public Filter {
 public:
  Lookup(Options options, std::unique_ptr<SteadyTable> table)
      : options_(std::move(options)), table_(std::move(table)) {}

  Result<Verdict> apply(Instance& instance, Ledger& ledger) const override {
    std::string key;
    for (const KeyPart& part : options_.key) {
      const auto text = key_text(instance, part);
      if (!text) {
        return verdict(options_.missing, part.name +
                                             " is empty, comes twice or cannot be read in its "
                                             "character set: nothing to look up by");
      }
      append_part(key, *text);
    }
    const auto found = table_->find(key, instance.provenance().received_at, ledger);
    if (!found) return tl::unexpected(found.error());
    if (found->empty()) return verdict(options_.missing, "the file does not have " + key_names());
    const auto values = decode_values(*found);
    if (!values) return failure(ErrorCode::permanent, "what the ledger remembers is no values");
    return set(instance, *values);
  }

  FilterEffects effects() const override {
    FilterEffects effects;
    for (const ValueColumn& each : options_.set) {
      effects.attributes.push_back(dicom::keyword(each.tag));
    }
    return effects;
  }

 private:
  // Without padding, in UTF-8. By an attribute that comes twice with different values nobody
  // knows which one is meant.
  static std::optional<std::string> key_text(const Instance& instance, const KeyPart& part) {
    std::string text = part.name == kCalling ? instance.provenance().calling_ae_title
                                             : instance.provenance().called_ae_title;
    if (part.tag) {
      if (instance.is_ambiguous(*part.tag)) return std::nullopt;
      text = instance.text(*part.tag);
    }
    text.erase(0, text.find_first_not_of(' '));
    text.erase(text.find_last_not_of(' ') + 1);
    if (text.empty()) return std::nullopt;
    return dicom::convert_text(text, instance.text(tags::kSpecificCharacterSet), dicom::kUtf8Set);
  }

  [[nodiscard]] std::string key_names() const {
    std::string names;
    for (const KeyPart& part : options_.key) names += (names.empty() ? "" : ", ") + part.name;
    return names;
  }

  // What cannot be set decides the verdict; the rest is set all the same, for the case that a
  // person overrules it.
  Result<Verdict> set(Instance& instance, const Values& values) const {
    Verdict result = Pass{};
    const std::string own_set = instance.text(tags::kSpecificCharacterSet);
    const Record record = options_.record_original ? Record::coerced : Record::none;
    for (const auto& [tag, value] : values) {
      const auto column = std::ranges::find(options_.set, tag, &ValueColumn::tag);
      if (column == options_.set.end()) continue;  // of an earlier configuration
      if (value.empty() && (!options_.clears_empty || instance.texts(tag).empty())) continue;
      const auto text = dicom::convert_text(value, dicom::kUtf8Set, own_set);
      if (!text) {
        result = verdict(options_.characters, "column '" + column->column +
                                                  "' has no form in character set '" +
                                                  log::escape(own_set) + "'");
        continue;
      }
      // Other than in the dictionary's VR it can stand there in that of a careless sender.
      if (const auto changed = instance.change(tag, *text, "looked up", record); !changed) {
        result = Quarantine{"column '" + column->column + "': " + changed.error().message};
      }
    }
    return result;
  }

  const Options options_;
  const std::unique_ptr<SteadyTable> table_;
};

Policy to_policy(std::string_view text) {
  if (text == "reject") return Policy::reject;
  return text == "quarantine" ? Policy::quarantine : Policy::pass;
}

bool is_text(Tag tag) {
  const Vr vr = dicom::dictionary_vr(tag);
  return tag < tags::kFloatPixelData && tag.group > 0x0002 && !tag.is_group_length() &&
         vr != Vr::SQ && vr != Vr::UN && vr != Vr::OB && vr != Vr::OD && vr != Vr::OF &&
         vr != Vr::OL && vr != Vr::OV && vr != Vr::OW;
}

// Each name in the table `option` with its column; tags are checked by `find_mistake`.
template <typename FindMistake>
std::vector<KeyPart> read_columns(config::Table& options, std::string_view option,
                                  bool takes_ae_titles, const FindMistake& find_mistake) {
  std::vector<KeyPart> parts;
  auto table = options.table(option);
  if (table ? table->keys().empty() : !options.has(option)) {
    options.mistake(option, std::string(option) + " needs at least one attribute and its column");
  }
  if (!table) return parts;
  for (const std::string& name : table->keys()) {
    KeyPart part{name, std::nullopt, table->required_string(name)};
    if (!takes_ae_titles || (name != kCalling && name != kCalled)) {
      const auto tag = dicom::parse_tag(name);
      if (!tag) {
        table->mistake(name, std::string(option) + ": " + tag.error().message);
        continue;
      }
      part.name = dicom::keyword(*tag);
      part.tag = *tag;
      if (const std::string mistake = find_mistake(*tag); !mistake.empty()) {
        table->mistake(name, std::string(option) + ": " + part.name + " " + mistake);
        continue;
      }
    }
    if (std::ranges::find(parts, part.id(), &KeyPart::id) != parts.end()) {
      table->mistake(name, std::string(option) + ": " + part.name + " stands there twice");
      continue;
    }
    if (!part.column.empty()) parts.push_back(std::move(part));
  }
  // The same key, however the configuration orders it.
  std::ranges::sort(parts, {}, &KeyPart::id);
  return parts;
}

std::string key_mistake(Tag tag) {
  return is_text(tag) ? ""
                      : "cannot stand here: it is a sequence, private, binary, a group length, of "
                        "group 0000 or 0002, or at or behind the pixel data";
}

std::string set_mistake(Tag tag) {
  if (tag == tags::kSopClassUid || tag == tags::kSopInstanceUid ||
      tag == tags::kSpecificCharacterSet) {
    return "cannot be set: it identifies or encodes the instance itself";
  }
  return key_mistake(tag);
}

char read_delimiter(config::Table& options, bool is_csv) {
  const std::string text = options.string("delimiter", ",");
  if (!is_csv && options.has("delimiter")) {
    options.mistake("delimiter", "delimiter has an effect only without a table");
  }
  const bool is_right = text.size() == 1 && static_cast<unsigned char>(text[0]) < 0x7F &&
                        (text[0] == '\t' || text[0] >= ' ') && text[0] != '"';
  if (is_right) return text[0];
  options.mistake("delimiter", "delimiter must be one ASCII character, no quote, such as ';'");
  return ',';
}

TableFile read_file_options(config::Table& options) {
  TableFile file;
  file.path = options.required_string("file");
  const bool is_csv = !options.has("table");
  file.table = is_csv ? options.string("table", "") : options.required_string("table");
  file.delimiter = read_delimiter(options, is_csv);
  return file;
}

}  // namespace

std::unique_ptr<Filter> make_lookup(config::Table& options, const FilterContext& context) {
  Options made;
  TableFile file = read_file_options(options);
  made.key = read_columns(options, "key", true, key_mistake);
  for (const KeyPart& part : read_columns(options, "set", false, set_mistake)) {
    made.set.push_back({*part.tag, dicom::dictionary_vr(*part.tag), part.column});
  }
  made.missing = to_policy(options.choice("missing", "pass", {"pass", "quarantine", "reject"}));
  made.clears_empty = options.choice("empty", "keep", {"keep", "clear"}) == "clear";
  made.characters = to_policy(options.choice("characters", "quarantine", {"quarantine", "reject"}));
  made.record_original = options.boolean("record_original", true);
  if (file.path.empty()) return nullptr;  // which was said
  for (const KeyPart& part : made.key) {
    file.key_names.push_back(part.id());
    file.key_columns.push_back(part.column);
  }
  file.values = made.set;
  FirstReading first = read_first(file);
  for (const std::string& mistake : first.reading.mistakes) {
    options.mistake("file", log::escape(file.path) + ": " + mistake);
  }
  auto table = std::make_unique<SteadyTable>(std::move(file), context.name,
                                             std::move(first.reading), first.stamp);
  return std::make_unique<Lookup>(std::move(made), std::move(table));
}

}  // namespace sluice
