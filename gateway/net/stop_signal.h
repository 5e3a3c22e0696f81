// Tells every connection that waits for a next message to stop waiting.
//
// Raised once, stays raised. A connection inside a message does not look at it: a
// running instance is finished. Safe from any thread; must outlive its connections.
#pragma once

#include <atomic>

#include "gateway/base/file_descriptor.h"

namespace sluice::net {

class StopSignal {
 public:
  StopSignal();

  void raise();
  [[nodiscard]] bool is_raised() const { return raised_.load(std::memory_order_acquire); }

  // Readable once raised; -1 when the system gave none, and then only deadlines wake.
  [[nodiscard]] int descriptor() const { return event_.get(); }

 private:
  std::atomic<bool> raised_ = false;
  FileDescriptor event_;
};

}  // namespace sluice::net
