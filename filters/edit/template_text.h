// Text with names in braces: "{StationName}-{calling_ae_title}". "{{" and "}}" are braces.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/pipeline/attribute_path.h"
#include "gateway/pipeline/instance.h"

namespace sluice {

class TemplateText {
 public:
  // Names are attributes (see AttributePath), calling_ae_title, called_ae_title, listener,
  // peer_address, receive_date (YYYYMMDD) and receive_time (HHMMSS), both in the time of this
  // machine's zone. Errors: configuration.
  [[nodiscard]] static Result<TemplateText> parse(std::string_view text);

  // In UTF-8; values of an attribute parted by "\", "" when it is absent. Errors: permanent, as
  // joined_values().
  [[nodiscard]] Result<std::string> of(const Instance& instance) const;

 private:
  using Fact = std::string (*)(const Instance&);
  std::vector<std::variant<std::string, AttributePath, Fact>> parts_;
  static Result<std::variant<std::string, AttributePath, Fact>> parse_name(std::string_view name);
};

// All values at this path, parted by "\". Errors: permanent, when one is too long to be in memory.
[[nodiscard]] Result<std::string> joined_values(const Instance& instance,
                                                const AttributePath& path);

}  // namespace sluice
