#include "filters/edit/template_text.h"

#include <chrono>
#include <map>
#include <utility>

#include <date/tz.h>

#include "gateway/base/log.h"

namespace sluice {
namespace {

std::string local_time(const Instance& instance, const char* format) {
  const auto time = std::chrono::floor<std::chrono::seconds>(instance.provenance().received_at);
  return date::format(format, date::current_zone()->to_local(time));
}

}  // namespace

Result<std::string> joined_values(const Instance& instance, const AttributePath& path) {
  std::string all;
  bool is_first = true;
  for (const Text& value : instance.values(path)) {
    if (!value) return failure(ErrorCode::permanent, path.text() + " is too long to be copied");
    if (!std::exchange(is_first, false)) all += '\\';
    all += *value;
  }
  return all;
}

Result<std::variant<std::string, AttributePath, TemplateText::Fact>> TemplateText::parse_name(
    std::string_view name) {
  static const std::map<std::string, Fact, std::less<>> facts = {
      {"calling_ae_title", [](const Instance& one) { return one.provenance().calling_ae_title; }},
      {"called_ae_title", [](const Instance& one) { return one.provenance().called_ae_title; }},
      {"listener", [](const Instance& one) { return one.provenance().listener; }},
      {"peer_address", [](const Instance& one) { return one.provenance().peer_address; }},
      {"receive_date", [](const Instance& one) { return local_time(one, "%Y%m%d"); }},
      {"receive_time", [](const Instance& one) { return local_time(one, "%H%M%S"); }}};
  if (const auto fact = facts.find(name); fact != facts.end()) return fact->second;
  auto path = AttributePath::parse(name);
  if (path) return std::move(*path);
  return failure(ErrorCode::configuration,
                 "{" + log::escape(name) + "}: " + path.error().message +
                     "; besides attributes there are calling_ae_title, called_ae_title, listener, "
                     "peer_address, receive_date and receive_time, and {{ for a brace");
}

Result<TemplateText> TemplateText::parse(std::string_view text) {
  TemplateText made;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) made.parts_.emplace_back(std::exchange(literal, {}));
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char character = text[at];
    const bool is_doubled = at + 1 < text.size() && text[at + 1] == character;
    if ((character == '{' || character == '}') && is_doubled) {
      literal += character;
      ++at;
    } else if (character == '{') {
      const std::size_t end = text.find('}', at);
      if (end == std::string_view::npos) {
        return failure(ErrorCode::configuration,
                       "'" + log::escape(text) + "' has a { without its }; write {{ for a brace");
      }
      auto part = parse_name(text.substr(at + 1, end - at - 1));
      if (!part) return tl::unexpected(part.error());
      end_literal();
      made.parts_.push_back(std::move(*part));
      at = end;
    } else if (character == '}') {
      return failure(ErrorCode::configuration,
                     "'" + log::escape(text) + "' has a } without its {; write }} for a brace");
    } else {
      literal += character;
    }
  }
  end_literal();
  return made;
}

Result<std::string> TemplateText::of(const Instance& instance) const {
  std::string text;
  for (const auto& part : parts_) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      text += *literal;
    } else if (const auto* path = std::get_if<AttributePath>(&part)) {
      auto values = joined_values(instance, *path);
      if (!values) return values;
      text += *values;
    } else {
      text += std::get<Fact>(part)(instance);
    }
  }
  return text;
}

}  // namespace sluice
