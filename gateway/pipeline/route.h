// Which instances a route takes: conditions on provenance and header, all of which
// must hold.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/dicom/header.h"
#include "gateway/pipeline/instance.h"

namespace sluice {

// `*` is any run of characters, `?` any one; all else stands for itself.
[[nodiscard]] bool matches_glob(std::string_view glob, std::string_view text);

class Route {
 public:
  // Notes unknown attributes and attributes behind the pixel data as mistakes.
  Route(const config::Route& route, config::Mistakes& mistakes);

  // A multi-valued attribute matches when one of its values does, one that comes twice
  // when either does; an absent one is "".
  // As received: routes are chosen before any filter runs.
  [[nodiscard]] bool takes(const Instance& instance) const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::string>& destinations() const { return destinations_; }
  [[nodiscard]] bool is_final() const { return final_; }
  [[nodiscard]] config::Acknowledge acknowledge() const { return acknowledge_; }

 private:
  enum class Source { attribute, calling_ae_title, called_ae_title, peer_address, listener };
  struct Condition {
    Source source = Source::attribute;
    dicom::Tag tag;
    std::vector<std::string> globs;
  };
  [[nodiscard]] static bool holds(const Condition& condition, const Instance& instance);

  std::string name_;
  std::vector<Condition> conditions_;
  std::vector<std::string> destinations_;
  bool final_ = false;
  config::Acknowledge acknowledge_ = config::Acknowledge::safe;
};

}  // namespace sluice
