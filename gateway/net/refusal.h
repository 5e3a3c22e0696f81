// The one way in which a refused client becomes known: a counter, a log line, and whoever
// else wants to hear of it, such as an audit trail.
//
// A connection is refused for its address, before a byte of it is read; an association
// for what its request says. One thread.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "gateway/base/log_budget.h"

namespace sluice::net {

// The texts live as long as the call that tells of it.
struct Refusal {
  enum class Of { connection, association };
  Of of = Of::connection;
  std::string_view listener;  // name
  std::string_view peer_address;
  std::string_view calling_ae_title;  // of an association; from the network, to be escaped
  std::string_view called_ae_title;
  std::string_view reason;    // one of a few fixed texts
  bool is_transient = false;  // a limit: it may come again
  bool is_alerted = false;    // a security alert has told of it
};

// Called for each refusal, however many there are, in the acceptor's thread. Must not
// block, nor throw.
using RefusalHook = std::function<void(const Refusal&)>;

class Refusals {
 public:
  explicit Refusals(RefusalHook hook) : hook_(std::move(hook)) {}

  // Counted and told to the hook each time; logged as often as is good for the disk.
  void tell(const Refusal& refusal);
  // To the hook only: what was counted and logged as something else.
  void pass_on(const Refusal& refusal) const {
    if (hook_) hook_(refusal);
  }

 private:
  RefusalHook hook_;
  // Apart, so that a flood of strangers hides no misconfigured modality.
  LogBudget connections_{20, std::chrono::seconds(10)};
  LogBudget associations_{50, std::chrono::seconds(2)};
};

}  // namespace sluice::net
