#include "filters/label/label.h"

#include <string>
#include <utility>
#include <vector>

#include "gateway/pipeline/condition.h"

namespace sluice {
namespace {

class Label : public Filter {
 public:
  Label(Condition when, std::vector<std::string> labels)
      : when_(std::move(when)), labels_(std::move(labels)) {}

  Result<Verdict> apply(Instance& instance, Ledger& /*ledger*/) const override {
    if (!when_.holds(instance)) return Pass{};
    for (const std::string& label : labels_) instance.add_label(label);
    return Pass{};
  }

  FilterEffects effects() const override { return {{}, labels_}; }

 private:
  Condition when_;
  std::vector<std::string> labels_;
};

}  // namespace

std::unique_ptr<Filter> make_label(config::Table& options, const FilterContext& context) {
  Condition when = Condition::read_option(options);
  std::vector<std::string> labels = options.strings("label", {context.name});
  if (labels.empty()) options.mistake("label", "label names no label");
  for (const std::string& label : labels) {
    if (label.empty()) options.mistake("label", "a label must not be empty");
  }
  return std::make_unique<Label>(std::move(when), std::move(labels));
}

}  // namespace sluice
