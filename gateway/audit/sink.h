// Where finished messages go: the trail of a running gateway, or a list.
#pragma once

#include "gateway/audit/store.h"

namespace sluice::audit {

class Sink {
 public:
  Sink() = default;
  virtual ~Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Any thread; returns at once.
  virtual void add(Message message) noexcept = 0;
};

}  // namespace sluice::audit
