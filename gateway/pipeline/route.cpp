#include "gateway/pipeline/route.h"

#include <optional>

namespace sluice {

Route::Route(const config::Route& route)
    : name_(route.name),
      destinations_(route.destinations),
      final_(route.final),
      acknowledge_(route.acknowledge),
      priority_(route.priority) {
  std::optional<config::Table> when = route.when;
  if (when) condition_ = Condition::read(*when);
}

}  // namespace sluice
