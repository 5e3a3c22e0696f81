// How syslog messages get to one collector.
//
// Syslog has no answer: what a collector has taken can only be inferred (RFC 5424 8.5).
//   file        written and fdatasync'ed
//   datagrams   in the receiver's queue
//   streams     the peer's system has acknowledged every byte (TCP), the connection was
//               still there a moment later, and the peer had not closed it
// Nothing tells that a collector which died with bytes unread had processed them: behind
// a stream, the last messages before a crash of the collector's host may be missing there.
//
// One thread calls it, but for interrupt().
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/base/error.h"
#include "gateway/config/config.h"

namespace sluice::audit {

using SteadyTime = std::chrono::steady_clock::time_point;

class Transport {
 public:
  Transport() = default;
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Connects, or opens the file. Does nothing when that is done. Errors: transient.
  [[nodiscard]] virtual Result<void> open() = 0;

  // One syslog message, without framing. After an error it is closed, and whether the
  // messages that were not yet taken arrived is unknown. Errors: transient; permanent when
  // this message can never be sent, and then it is still open.
  [[nodiscard]] virtual Result<void> send(std::string_view message) = 0;

  // True when all that was sent is taken, as far as can be known. Errors: transient, when
  // it must be sent again; it is closed then.
  [[nodiscard]] virtual Result<bool> is_taken() = 0;

  // How long a true of is_taken() must be followed by others before it counts.
  [[nodiscard]] virtual std::chrono::milliseconds trial() const = 0;

  // Ends in order. True when all that was sent is taken: the peer has read to our end and
  // closed as well. Waits for it until the deadline.
  [[nodiscard]] virtual bool finish(SteadyTime deadline) = 0;

  virtual void close() = 0;

  // Any thread: what blocks ends soon with an error, now and later.
  void interrupt() { interrupted_ = true; }

 protected:
  [[nodiscard]] bool is_interrupted() const { return interrupted_; }

 private:
  std::atomic<bool> interrupted_ = false;
};

[[nodiscard]] std::unique_ptr<Transport> make_transport(const config::AuditDestination& address);

}  // namespace sluice::audit
