// A configuration and what was built of it, as one piece: constant, and shared by all who
// work under it, for as long as each of them needs it.
//
//   CurrentSetup current(setup);
//   const auto setup = current.get();     // at the start of what is to be done under one
//   setup->pipeline->decide(...);
//   current.set(next);                    // a reload
//
// An association takes one when its client connects and keeps it; a delivery takes the one of
// the moment for each attempt.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "gateway/config/config.h"
#include "gateway/pipeline/pipeline.h"

namespace sluice {

struct Setup {
  std::shared_ptr<config::Mistakes> mistakes;  // the tables in `config` refer to it
  config::Config config;
  std::shared_ptr<const Pipeline> pipeline;
};

// The one in force. Safe from any thread.
class CurrentSetup {
 public:
  explicit CurrentSetup(std::shared_ptr<const Setup> setup) : setup_(std::move(setup)) {}

  [[nodiscard]] std::shared_ptr<const Setup> get() const {
    const std::lock_guard lock(mutex_);
    return setup_;
  }
  void set(std::shared_ptr<const Setup> setup) {
    const std::lock_guard lock(mutex_);
    setup_.swap(setup);  // the one before goes with the argument, behind the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Setup> setup_;
};

}  // namespace sluice
