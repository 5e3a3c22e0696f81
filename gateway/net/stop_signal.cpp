#include "gateway/net/stop_signal.h"

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/base/log.h"

namespace sluice::net {

StopSignal::StopSignal() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void StopSignal::raise() {
  if (raised_.exchange(true, std::memory_order_acq_rel) || !event_.is_valid()) return;
  const std::uint64_t one = 1;
  if (::write(event_.get(), &one, sizeof(one)) != static_cast<ssize_t>(sizeof(one))) {
    log::warning("idle associations end by their time-out only: the stop event was not written");
  }
}

}  // namespace sluice::net
