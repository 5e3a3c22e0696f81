// Which options the types of filters accept; see accepted_keys.h.
#pragma once

#include <sstream>
#include <string>

#include "gateway/pipeline/filter.h"
#include "tests/support/accepted_keys.h"
#include "tests/support/lookup_file.h"

namespace sluice::test {

// Reads options, to which those without a default are added where the text has none.
inline TomlReader options_reader(const FilterType& type) {
  return [type](const std::string& text, config::Mistakes& mistakes) {
    std::string whole;
    std::istringstream required(required_options(std::string(type.type)));
    for (std::string line; std::getline(required, line);) {
      const std::string key = line.substr(0, line.find(" = "));
      const bool is_given = ("\n" + text).find("\n" + key + " = ") != std::string::npos;
      if (!is_given) whole += line + "\n";
    }
    config::Table options = config::Table::parse(whole + text, mistakes);
    static_cast<void>(type.make(options, {"name", "key"}));
    options.finish();
  };
}

}  // namespace sluice::test
