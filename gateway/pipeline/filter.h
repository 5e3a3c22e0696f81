// The contract of a filter: one step of a chain.
//
// A filter is a folder below filters/ and one line in filters/filters.cpp. It sees
// pipeline, dicom, ledger, config and base, nothing else. What every filter must
// hold is tested for all of them in tests/contract/.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/config/table.h"
#include "gateway/ledger/ledger.h"
#include "gateway/pipeline/instance.h"

namespace sluice {

struct Pass {};
struct Drop {  // answered as a success, delivered nowhere by this route
  std::string reason;
};
struct Reject {          // the sender gets this status; nothing is kept
  std::uint16_t status;  // PS3.4 B.2.3: A7xx, A9xx or Cxxx
  std::string reason;
};
struct Quarantine {  // kept, delivered by this route only when a person says so
  std::string reason;
};
using Verdict = std::variant<Pass, Drop, Reject, Quarantine>;

// What a filter may do, for `check` to tell of what can never be meant.
struct FilterEffects {
  std::vector<std::string> attributes;  // that it edits, as paths
  std::vector<std::string> labels;      // that it gives
};

// Immutable after construction and shared by all threads. Deterministic: the same
// instance and ledger give the same edits and verdict. What changes outside counts only
// through Ledger::value_as_of().
class Filter {
 public:
  virtual ~Filter() = default;

  // Errors: transient, when the ledger cannot answer now; the instance is then
  // refused (A700) or, when sending, tried again later.
  [[nodiscard]] virtual Result<Verdict> apply(Instance& instance, Ledger& ledger) const = 0;

  [[nodiscard]] virtual FilterEffects effects() const { return {}; }
};

struct FilterContext {
  std::string name;      // of the [[filter]] table, or the type: the scope of its ledger entries
  std::string site_key;  // secret of the site; UIDs made under it agree on every gateway
};

// Reads the options it knows from the table and reports each mistake there; the
// table reports the keys that nobody read. Has no side effects: `check` calls it too.
// Returns nullptr only after having reported a mistake.
using FilterFactory = std::unique_ptr<Filter> (*)(config::Table& options,
                                                  const FilterContext& context);

struct FilterType {
  std::string_view type;
  FilterFactory make;
  // False: some of its options have no default, so that it needs a [[filter]] table.
  bool has_defaults = true;
};

}  // namespace sluice
