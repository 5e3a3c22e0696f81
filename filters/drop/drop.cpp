#include "filters/drop/drop.h"

#include <string>
#include <utility>

#include "gateway/pipeline/condition.h"

namespace sluice {
namespace {

class DropWhen : public Filter {
 public:
  DropWhen(Condition when, std::string reason)
      : when_(std::move(when)), reason_(std::move(reason)) {}

  Result<Verdict> apply(Instance& instance, Ledger& /*ledger*/) const override {
    if (!when_.holds(instance)) return Pass{};
    return Drop{reason_};
  }

 private:
  Condition when_;
  std::string reason_;
};

}  // namespace

std::unique_ptr<Filter> make_drop(config::Table& options, const FilterContext& context) {
  Condition when = Condition::read_option(options);
  std::string reason = options.string("reason", "as " + context.name + " says");
  return std::make_unique<DropWhen>(std::move(when), std::move(reason));
}

}  // namespace sluice
