// What filters that number series and instances share: how an integer string (IS, PS3.5
// 6.2) is read, what is wrong with one, and what becomes of it then.
//
// All of it is constant after construction and may be used from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/dicom/tag.h"
#include "gateway/pipeline/filter.h"

namespace sluice {

enum class NumberDefect { none, absent, empty, not_integer, out_of_range, multi_valued };
enum class NumberPolicy { assign, pass, reject, quarantine };

[[nodiscard]] std::string_view to_string(NumberDefect defect);

struct IntegerString {
  NumberDefect defect = NumberDefect::none;
  std::int32_t number = 0;  // when there is no defect
};

// One value without its padding.
[[nodiscard]] IntegerString read_integer_string(const std::string& text);

// The option `key`: assign (its default), pass, reject or quarantine.
[[nodiscard]] NumberPolicy read_number_policy(config::Table& options, std::string_view key);

// What a filter answers by this policy; nullopt for assign.
[[nodiscard]] std::optional<Verdict> to_verdict(NumberPolicy policy, std::string reason);

// What becomes of a number that is none, by its defect.
class NumberPolicies {
 public:
  // The options absent, empty, not_integer, out_of_range and multi_valued.
  explicit NumberPolicies(config::Table& options);

  // Of no defect: assign.
  [[nodiscard]] NumberPolicy of(NumberDefect defect) const;

  // Where the attribute comes twice at top level: what is to be refused decides, then a
  // number, then what gets one; both get the same then.
  [[nodiscard]] IntegerString read(const Instance& instance, dicom::Tag tag) const;

 private:
  [[nodiscard]] int weight(NumberDefect defect) const;

  std::map<NumberDefect, NumberPolicy> policies_;
};

// The UID at top level as it came, without padding; "" when there is none. A filter before
// this one that replaced it does not make it that of something else.
[[nodiscard]] std::string uid_as_received(const Instance& instance, dicom::Tag tag);

// How a number that had this defect is remembered.
[[nodiscard]] Record record_of(NumberDefect defect);

}  // namespace sluice
