// Which instances a route takes, and where it leads.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/pipeline/condition.h"

namespace sluice {

class Route {
 public:
  // Notes the mistakes in its conditions.
  explicit Route(const config::Route& route);

  // As received, with the labels of the routes before: a route is chosen before any of its
  // filters runs.
  [[nodiscard]] const Condition& condition() const { return condition_; }

  [[nodiscard]] const std::string& name() const { return name_; }
  // None: it is there for what its filters say, a verdict or a label.
  [[nodiscard]] const std::vector<std::string>& destinations() const { return destinations_; }
  [[nodiscard]] bool is_final() const { return final_; }
  [[nodiscard]] config::Acknowledge acknowledge() const { return acknowledge_; }
  [[nodiscard]] config::Priority priority() const { return priority_; }

 private:
  std::string name_;
  Condition condition_;
  std::vector<std::string> destinations_;
  bool final_ = false;
  config::Acknowledge acknowledge_ = config::Acknowledge::safe;
  config::Priority priority_ = config::Priority::medium;
};

}  // namespace sluice
