// Shows the gateway to who watches it, over HTTP without TLS:
//
//   GET /metrics   all counters, in the Prometheus text format
//   GET /health    200 "ok" while instances are accepted; 503 and why they are not
//
//   auto endpoint = Endpoint::start(*config.metrics, [&] { return why_nothing_is_accepted(); });
//
// Beside GET there is HEAD; anything else is refused. Nothing of a request is believed: its
// head has 8 KiB at most, a connection serves one and has 10 s in all, and of more than 16
// connections at a time the oldest gives way, so that who asks at once is served.
//
// One thread of its own does all of it, and shares no lock with the way of an instance. The
// destructor ends it; what is being answered then is cut off.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "gateway/base/error.h"
#include "gateway/config/config.h"

namespace sluice::metrics {

class Endpoint {
 public:
  // Why instances are not accepted just now; "": they are. Called in the endpoint's thread.
  using Trouble = std::function<std::string()>;

  struct Limits {
    std::size_t connections = 16;                // at a time
    std::chrono::milliseconds deadline{10'000};  // of a request and its answer together
  };

  // Errors: configuration, with address and port.
  [[nodiscard]] static Result<std::unique_ptr<Endpoint>> start(const config::Metrics& config,
                                                               Trouble trouble, Limits limits);
  [[nodiscard]] static Result<std::unique_ptr<Endpoint>> start(const config::Metrics& config,
                                                               Trouble trouble) {
    return start(config, std::move(trouble), {});
  }
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // Port 0 was replaced by the real one.
  [[nodiscard]] std::uint16_t port() const;

 private:
  class State;
  explicit Endpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::metrics
