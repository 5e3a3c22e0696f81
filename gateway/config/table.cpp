#include "gateway/config/table.h"

#include <algorithm>
#include <limits>

#include <toml++/toml.h>

#include "gateway/base/log.h"
#include "gateway/config/nearest.h"
#include "gateway/config/quantity.h"

namespace sluice::config {
namespace {

int line_at(const toml::source_region& source) {
  return static_cast<int>(source.begin.line);
}

std::string kind(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

// What a person has to write instead, when quotes are all that is missing.
std::string quotes_hint(const toml::node& node) {
  if (const auto* number = node.as_integer()) {
    return "; write \"" + std::to_string(number->get()) + "\"";
  }
  if (const auto* truth = node.as_boolean()) {
    return std::string("; write \"") + (truth->get() ? "true" : "false") + "\"";
  }
  return "";
}

}  // namespace

struct Table::State {
  std::shared_ptr<const toml::table> document;  // keeps `table` alive
  const toml::table* table = nullptr;
  Mistakes* mistakes = nullptr;
  int line = 0;
  std::vector<std::string> asked;  // every key that a getter knows, in the order of asking
  bool finished = false;

  const toml::node* ask(std::string_view key) {
    if (std::find(asked.begin(), asked.end(), key) == asked.end()) asked.emplace_back(key);
    return table->get(key);
  }
  [[nodiscard]] int line_of_key(std::string_view key) const {
    const auto found = table->find(key);
    return found == table->end() ? line : line_at(found->first.source());
  }
  void wrong_kind(std::string_view key, std::string_view wanted, const toml::node& node,
                  std::string_view hint = "") const {
    mistakes->add(line_of_key(key), std::string(key) + " must be " + std::string(wanted) +
                                        ", not " + kind(node) + std::string(hint));
  }
  [[nodiscard]] Table inner(const toml::table& inner_table, int inner_line) const {
    auto state = std::make_shared<State>();
    state->document = document;
    state->table = &inner_table;
    state->mistakes = mistakes;
    state->line = inner_line;
    return Table(std::move(state));
  }
};

std::string Table::string(std::string_view key, std::string_view fallback) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return std::string(fallback);
  if (const auto* text = node->as_string()) return text->get();
  state_->wrong_kind(key, "a string", *node, quotes_hint(*node));
  return std::string(fallback);
}

std::string Table::required_string(std::string_view key) {
  if (state_->ask(key) == nullptr) {
    mistake(std::string(key) + " is missing");
    return "";
  }
  const std::size_t mistakes_before = state_->mistakes->list().size();
  std::string value = string(key, "");
  if (value.empty() && state_->mistakes->list().size() == mistakes_before) {
    mistake(key, std::string(key) + " must not be empty");
  }
  return value;
}

std::string Table::choice(std::string_view key, std::string_view fallback,
                          std::initializer_list<std::string_view> allowed) {
  std::string value = string(key, fallback);
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
  const std::vector<std::string> names(allowed.begin(), allowed.end());
  std::string message =
      std::string(key) + " must be one of " + join(names) + ", not '" + log::escape(value) + "'";
  if (const auto near = nearest(value, names)) message += "; did you mean '" + *near + "'?";
  mistake(key, std::move(message));
  return std::string(fallback);
}

std::int64_t Table::integer(std::string_view key, std::int64_t fallback, std::int64_t least,
                            std::int64_t most) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return fallback;
  const auto* const number = node->as_integer();
  if (number == nullptr) {
    state_->wrong_kind(key, "an integer", *node);
    return fallback;
  }
  const std::int64_t value = number->get();
  if (value >= least && value <= most) return value;
  std::string wanted = " must be from " + std::to_string(least) + " to " + std::to_string(most);
  if (most == std::numeric_limits<std::int64_t>::max()) {
    wanted = " must be at least " + std::to_string(least);
  }
  mistake(key, std::string(key) + wanted + ", not " + std::to_string(value));
  return fallback;
}

bool Table::boolean(std::string_view key, bool fallback) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return fallback;
  if (const auto* truth = node->as_boolean()) return truth->get();
  state_->wrong_kind(key, "true or false", *node);
  return fallback;
}

std::optional<double> Table::number(std::string_view key) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* whole = node->as_integer()) return static_cast<double>(whole->get());
  if (const auto* fraction = node->as_floating_point()) return fraction->get();
  state_->wrong_kind(key, "a number", *node);
  return std::nullopt;
}

std::chrono::milliseconds Table::duration(std::string_view key,
                                          std::chrono::milliseconds fallback) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return fallback;
  const std::string accepted = "; units are " + std::string(kDurationUnits);
  const auto* const text = node->as_string();
  if (text == nullptr) {
    state_->wrong_kind(key, "a duration such as \"30s\"", *node, accepted);
    return fallback;
  }
  if (const auto value = parse_duration(text->get())) return *value;
  mistake(key, std::string(key) +
                   " must be a whole number and a unit such as \"30s\", at most 36500d, not '" +
                   log::escape(text->get()) + "'" + accepted);
  return fallback;
}

std::uint64_t Table::size(std::string_view key, std::uint64_t fallback) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return fallback;
  const std::string accepted = "; units are " + std::string(kSizeUnits);
  const auto* const text = node->as_string();
  if (text == nullptr) {
    state_->wrong_kind(key, "a size such as \"64 KiB\"", *node, accepted);
    return fallback;
  }
  if (const auto value = parse_size(text->get())) return *value;
  mistake(key, std::string(key) +
                   " must be a whole number and a unit such as \"64 KiB\", at most 1 EiB, not '" +
                   log::escape(text->get()) + "'" + accepted);
  return fallback;
}

std::vector<std::string> Table::strings(std::string_view key, std::vector<std::string> fallback) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return fallback;
  if (const auto* text = node->as_string()) return {text->get()};
  const auto* const array = node->as_array();
  if (array == nullptr) {
    state_->wrong_kind(key, "a string or an array of strings", *node, quotes_hint(*node));
    return fallback;
  }
  std::vector<std::string> values;
  bool whole = true;
  for (const toml::node& element : *array) {
    if (const auto* text = element.as_string()) {
      values.push_back(text->get());
      continue;
    }
    whole = false;
    state_->mistakes->add(line_at(element.source()), std::string(key) + " must hold strings, not " +
                                                         kind(element) + quotes_hint(element));
  }
  return whole ? values : fallback;
}

std::optional<Table> Table::table(std::string_view key) {
  const toml::node* const node = state_->ask(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* inner = node->as_table()) return state_->inner(*inner, state_->line_of_key(key));
  const bool doubled = node->is_array_of_tables();
  state_->wrong_kind(key, "a table", *node,
                     doubled ? " of tables; write [" + std::string(key) + "]" : "");
  return std::nullopt;
}

std::vector<Table> Table::tables(std::string_view key) {
  const toml::node* const node = state_->ask(key);
  std::vector<Table> tables;
  if (node == nullptr) return tables;
  const auto* const array = node->as_array();
  if (array == nullptr) {
    const bool single = node->is_table();
    state_->wrong_kind(key, "an array of tables", *node,
                       single ? "; write [[" + std::string(key) + "]]" : "");
    return tables;
  }
  for (const toml::node& element : *array) {
    if (const auto* inner = element.as_table()) {
      tables.push_back(state_->inner(*inner, line_at(inner->source())));
    } else {
      state_->mistakes->add(line_at(element.source()),
                            std::string(key) + " must hold tables, not " + kind(element));
    }
  }
  return tables;
}

std::vector<std::string> Table::keys() const {
  std::vector<const toml::key*> keys;
  for (const auto& entry : *state_->table) keys.push_back(&entry.first);
  std::stable_sort(keys.begin(), keys.end(), [](const toml::key* left, const toml::key* right) {
    return left->source().begin < right->source().begin;
  });
  std::vector<std::string> names;
  names.reserve(keys.size());
  for (const toml::key* key : keys) names.emplace_back(key->str());
  return names;
}

bool Table::has(std::string_view key) const {
  return state_->table->contains(key);
}

bool Table::is_table(std::string_view key) const {
  const toml::node* const node = state_->table->get(key);
  return node != nullptr && node->is_table();
}

bool Table::is_integer(std::string_view key) const {
  const toml::node* const node = state_->table->get(key);
  return node != nullptr && node->is_integer();
}

void Table::know(std::string_view key) {
  static_cast<void>(state_->ask(key));
}

void Table::mistake(std::string_view key, std::string message) {
  state_->mistakes->add(state_->line_of_key(key), std::move(message));
}

void Table::mistake(std::string message) {
  state_->mistakes->add(state_->line, std::move(message));
}

int Table::line() const {
  return state_->line;
}

int Table::line_of(std::string_view key) const {
  return state_->line_of_key(key);
}

void Table::finish() {
  if (state_->finished) return;
  state_->finished = true;
  for (const std::string& key : keys()) {
    const auto& asked = state_->asked;
    if (std::find(asked.begin(), asked.end(), key) != asked.end()) continue;
    mistake(key, "unknown key '" + log::escape(key) + "'" + suggestion(key, asked));
  }
}

Table Table::parse(std::string_view toml, Mistakes& mistakes) {
  auto document = std::make_shared<toml::table>();
  // toml++ in Debian's library form tells a syntax error by an exception only.
  try {
    *document = toml::parse(toml);
  } catch (const toml::parse_error& error) {
    mistakes.add(line_at(error.source()), log::escape(error.description()));
  }
  auto state = std::make_shared<State>();
  state->table = document.get();
  state->document = std::move(document);
  state->mistakes = &mistakes;
  return Table(std::move(state));
}

}  // namespace sluice::config
