#include "filters/edit/rule.h"

#include <algorithm>
#include <array>
#include <locale>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <re2/re2.h>

#include "filters/edit/template_text.h"
#include "gateway/base/log.h"
#include "gateway/dicom/value_rules.h"
#include "gateway/dicom/vr.h"

namespace sluice {
namespace {

using dicom::Vr;
using Operation = EditRule::Operation;

constexpr std::array<std::string_view, 11> kOperations{"set",    "default", "copy",    "remove",
                                                       "append", "prefix",  "suffix",  "replace",
                                                       "upper",  "trim",    "truncate"};

// Every value by itself, "\" left alone where it is a character.
Text each_value(const Text& text, Vr vr, const std::function<std::string(std::string_view)>& turn) {
  if (!text) return text;
  if (dicom::has_one_value(vr)) return turn(*text);
  std::string all;
  std::string_view rest = *text;
  for (;;) {
    const std::size_t end = rest.find('\\');
    all += turn(rest.substr(0, end));
    if (end == std::string_view::npos) return all;
    all += '\\';
    rest.remove_prefix(end + 1);
  }
}

std::optional<TemplateText> read_template(config::Table& table, std::string_view key) {
  auto text = TemplateText::parse(table.string(key, ""));
  if (text) return std::move(*text);
  table.mistake(key, text.error().message);
  return std::nullopt;
}

Operation set_to(const TemplateText& value) {
  return [value](const Text&, Vr, const Instance& instance) -> Result<Text> {
    return value.of(instance);
  };
}

Operation default_to(const TemplateText& value) {
  return [value](const Text& before, Vr, const Instance& instance) -> Result<Text> {
    if (!before.value_or("").empty()) return before;
    return value.of(instance);
  };
}

Operation append(const TemplateText& value) {
  return [value](const Text& before, Vr, const Instance& instance) -> Result<Text> {
    const auto own = value.of(instance);
    if (!own || before.value_or("").empty()) return own;
    return *before + "\\" + *own;
  };
}

// In front of, or behind, each value that there is.
Operation put_around(const TemplateText& value, bool before_it) {
  return [value, before_it](const Text& before, Vr vr, const Instance& instance) -> Result<Text> {
    if (before.value_or("").empty()) return before;
    const auto own = value.of(instance);
    if (!own) return own;
    return each_value(before, vr, [&](std::string_view one) {
      return before_it ? *own + std::string(one) : std::string(one) + *own;
    });
  };
}

// What is absent or empty there changes nothing here.
std::optional<Operation> read_copy(config::Table& table) {
  auto from = AttributePath::parse(table.string("copy", ""));
  if (!from) {
    table.mistake("copy", from.error().message);
    return std::nullopt;
  }
  return
      [path = std::move(*from)](const Text& before, Vr, const Instance& instance) -> Result<Text> {
        auto all = joined_values(instance, path);
        if (all && all->find_first_not_of('\\') == std::string::npos) return before;
        return all;
      };
}

std::optional<Operation> read_replace(config::Table& table) {
  auto replace = table.table("replace");
  if (!replace) return std::nullopt;
  const std::string pattern = replace->required_string("regex");
  const std::string with = replace->string("with", "");
  replace->finish();
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto expression = std::make_shared<const re2::RE2>(pattern, options);
  std::string why = expression->ok() ? "" : expression->error();
  if (why.empty()) static_cast<void>(expression->CheckRewriteString(with, &why));
  if (!why.empty()) {
    replace->mistake("replace: " + log::escape(why) + "; regex has the syntax of RE2, and `with` " +
                     "takes what its groups matched as \\1 to \\9");
    return std::nullopt;
  }
  return [expression, with](const Text& before, Vr vr, const Instance&) {
    return each_value(before, vr, [&](std::string_view one) {
      std::string value(one);
      re2::RE2::GlobalReplace(&value, *expression, with);
      return value;
    });
  };
}

// Letters of every script, each by itself; "ß" stays.
std::string upper_case(std::string_view text) {
  static const std::locale unicode("C.UTF-8");
  const auto& facet = std::use_facet<std::codecvt<wchar_t, char, std::mbstate_t>>(unicode);
  std::wstring wide(text.size(), L'\0');
  std::mbstate_t state{};
  const char* from = nullptr;
  wchar_t* to = nullptr;
  const auto read = facet.in(state, text.data(), text.data() + text.size(), from, wide.data(),
                             wide.data() + wide.size(), to);
  if (read != std::codecvt_base::ok) return std::string(text);
  wide.resize(static_cast<std::size_t>(to - wide.data()));
  std::use_facet<std::ctype<wchar_t>>(unicode).toupper(wide.data(), wide.data() + wide.size());
  std::string upper(wide.size() * 4, '\0');
  const wchar_t* wide_from = nullptr;
  char* narrow_to = nullptr;
  state = {};
  const auto written = facet.out(state, wide.data(), wide.data() + wide.size(), wide_from,
                                 upper.data(), upper.data() + upper.size(), narrow_to);
  if (written != std::codecvt_base::ok) return std::string(text);
  upper.resize(static_cast<std::size_t>(narrow_to - upper.data()));
  return upper;
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(' ') - begin + 1));
}

std::optional<Operation> read_truncate(config::Table& table) {
  constexpr int kMost = 1 << 20;
  std::optional<std::size_t> own;
  if (table.is_integer("truncate")) {
    own = static_cast<std::size_t>(table.integer("truncate", kMost, 1, kMost));
  } else if (!table.boolean("truncate", true)) {
    table.mistake("truncate",
                  "truncate is true, for the limit of the VR, or a number of characters");
  }
  return [own](const Text& before, Vr vr, const Instance&) {
    const auto longest = own ? own : dicom::longest_value(vr);
    return each_value(before, vr, [&](std::string_view one) {
      return longest ? trimmed(dicom::first_characters(one, *longest)) : std::string(one);
    });
  };
}

std::optional<Operation> read_operation(config::Table& table, std::string_view name) {
  if (name == "copy") return read_copy(table);
  if (name == "replace") return read_replace(table);
  if (name == "truncate") return read_truncate(table);
  if (name == "remove" || name == "upper" || name == "trim") {
    if (!table.boolean(name, true)) {
      table.mistake(name, std::string(name) + " = false does nothing; leave the rule out");
    }
    if (name == "remove") return [](const Text&, Vr, const Instance&) { return Text(); };
    const auto turn = name == "upper" ? upper_case : trimmed;
    return
        [turn](const Text& before, Vr vr, const Instance&) { return each_value(before, vr, turn); };
  }
  const auto value = read_template(table, name);
  if (!value) return std::nullopt;
  if (name == "set") return set_to(*value);
  if (name == "default") return default_to(*value);
  if (name == "append") return append(*value);
  return put_around(*value, name == "prefix");
}

// What would leave no instance that a PACS can take, or another kind of instance.
std::string objection(const AttributePath& path, std::string_view operation) {
  const auto tag = path.top_level();
  if (path.vr() == Vr::SQ && operation != "remove") return "is a sequence; it can only be removed";
  if (operation == "append" && dicom::has_one_value(path.vr())) {
    return "has one value and no more; suffix puts text behind it";
  }
  if (!tag) return "";
  if (*tag == dicom::tags::kSopClassUid) return "says what the instance is, and is not edited";
  const bool is_identity = *tag == dicom::tags::kSopInstanceUid ||
                           *tag == dicom::tags::kStudyInstanceUid ||
                           *tag == dicom::tags::kSeriesInstanceUid;
  if (is_identity && operation == "remove") return "is what no instance can be without";
  return "";
}

}  // namespace

bool EditRule::reads_before() const {
  return name != "set" && name != "copy" && name != "remove";
}

std::optional<EditRule> EditRule::read(config::Table& table) {
  const std::string attribute = table.required_string("attribute");
  Condition when = Condition::read_option(table);
  std::vector<std::string> asked;
  for (const std::string_view name : kOperations) {
    if (table.has(name)) asked.emplace_back(name);
  }
  std::optional<Operation> operation;
  for (const std::string& name : asked) operation = read_operation(table, name);
  for (const std::string_view name : kOperations) table.know(name);
  table.finish();
  if (asked.size() != 1) {
    std::string known;
    for (const std::string_view name : kOperations) {
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    table.mistake("a rule needs exactly one of " + known);
    return std::nullopt;
  }
  if (attribute.empty()) return std::nullopt;
  auto path = AttributePath::parse(attribute);
  if (!path) {
    table.mistake("attribute", path.error().message);
    return std::nullopt;
  }
  if (const std::string why = objection(*path, asked.front()); !why.empty()) {
    table.mistake("attribute", log::escape(attribute) + " " + why);
    return std::nullopt;
  }
  if (!operation) return std::nullopt;
  return EditRule{std::move(*path), std::move(when), asked.front(), std::move(*operation)};
}

}  // namespace sluice
