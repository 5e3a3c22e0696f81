// One rule of the filter `edit`: what becomes of the value of an attribute.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "gateway/config/table.h"
#include "gateway/pipeline/attribute_path.h"
#include "gateway/pipeline/condition.h"

namespace sluice {

// Text in UTF-8, values parted by "\"; nullopt: there is no such element.
using Text = std::optional<std::string>;

struct EditRule {
  // The element as it is, its VR, and the instance; gives the element as it is to be.
  using Operation = std::function<Text(const Text&, dicom::Vr, const Instance&)>;

  AttributePath attribute;
  Condition when;
  std::string name;  // of the operation, for `explain`
  Operation operation;

  // Notes every mistake; nullopt only after one.
  [[nodiscard]] static std::optional<EditRule> read(config::Table& table);
};

}  // namespace sluice
