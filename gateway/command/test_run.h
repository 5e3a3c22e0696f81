// Runs a test of a configuration, and tells what is otherwise than it expects.
#pragma once

#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/command/setup.h"
#include "gateway/command/test_table.h"
#include "gateway/ledger/ledger.h"

namespace sluice::command {

// One expectation that was not met.
struct UnmetExpectation {
  std::string key;    // of the [[test]] table; of `values` with the attribute: "values.Modality"
  std::string route;  // that it is about; "": the instance as a whole
  std::string expected;
  std::string got;
};

// Empty: as expected. What the instance makes filters decide goes into the ledger. A chain that
// fails is told as an unmet "verdict". Errors: permanent and corrupt, when the image cannot be
// read.
[[nodiscard]] Result<std::vector<UnmetExpectation>> run_test(const ConfigurationTest& test,
                                                             const Setup& setup, Ledger& ledger);

}  // namespace sluice::command
