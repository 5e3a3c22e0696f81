// One rule of the filter `edit`: what becomes of the value of an attribute.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "gateway/config/table.h"
#include "gateway/pipeline/attribute_path.h"
#include "gateway/pipeline/condition.h"

namespace sluice {

struct EditRule {
  // The element as it is, its VR, and the instance; gives the element as it is to be, nullopt for
  // none. Errors: permanent, when it would take a value that is too long to be in memory.
  using Operation = std::function<Result<Text>(const Text&, dicom::Vr, const Instance&)>;

  AttributePath attribute;
  Condition when;
  std::string name;  // of the operation, for `explain`
  Operation operation;

  // Whether what it gives depends on what stands there.
  [[nodiscard]] bool reads_before() const;

  // Notes every mistake; nullopt only after one.
  [[nodiscard]] static std::optional<EditRule> read(config::Table& table);
};

}  // namespace sluice
