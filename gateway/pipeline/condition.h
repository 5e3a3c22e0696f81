// Which instances are meant: conditions on attributes and on where an instance came from.
//
//   when = { Modality = ["CT", "MR"], calling_ae_title = "CT*" }      all of these
//   when = { any = [ { BodyPartExamined = "HEAD" }, { not = { SeriesNumber = { less = 9 } } } ] }
//
// Keys are attributes (see AttributePath), calling_ae_title, called_ae_title, peer_address,
// listener, sop_class, transfer_syntax, label, time, and all, any and not, which hold tables of
// the same kind. Values are tests of them (see ValueCondition); of `time` a window (see
// TimeWindow). A multi-valued attribute holds when one of its values does, one that comes twice, or
// at several places, when one of them does. Text is compared in UTF-8.
//
// Deterministic: time is the time of receipt. Immutable; safe from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/config/table.h"
#include "gateway/pipeline/instance.h"

namespace sluice {

// How a condition came out, for a person.
struct Finding {
  bool holds = false;
  std::string text;  // "Modality: CT, MR; it is \"US\""
  std::vector<Finding> parts;
  std::string asked = {};  // of that text "Modality: CT, MR"; "" of any, all and not
  std::string found = {};  // and "\"US\""
};

// What can be known of instances before one comes.
struct Surroundings {
  std::vector<std::string> listeners;  // all of them
  std::vector<std::string> labels;     // that a filter may have given by then
};

class Condition {
 public:
  // Always.
  Condition();

  // Reads all keys and notes every mistake.
  [[nodiscard]] static Condition read(config::Table& when);
  // The table `when` of these options; without one: always.
  [[nodiscard]] static Condition read_option(config::Table& options);

  [[nodiscard]] bool is_always() const;

  [[nodiscard]] bool holds(const Instance& instance) const;
  [[nodiscard]] Finding explain(const Instance& instance) const;

  // Why it can never hold; "" when it may.
  [[nodiscard]] std::string why_never(const Surroundings& surroundings) const;

  // The paths of all attributes that it looks at.
  [[nodiscard]] std::vector<std::string> attributes() const;

  struct Node;

 private:
  explicit Condition(std::shared_ptr<const Node> root) : root_(std::move(root)) {}
  std::shared_ptr<const Node> root_;
};

}  // namespace sluice
