// What the queue holds, for people and for scripts.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "gateway/config/config.h"
#include "gateway/queue/queue.h"

namespace sluice::command {

// The queue beside a running gateway, and the configuration that leads to it.
struct OpenQueue {
  config::Config config;
  std::unique_ptr<Queue> queue;  // nullptr: `exit_code` says why not, and so does stderr
  int exit_code = 0;
};
// Also says, on stderr, that storage has failed.
[[nodiscard]] OpenQueue open_queue(const std::string& config_file);

// "waits for the schedule of night: 22:00 to 06:00 Europe/Berlin"; "" when it does not wait, or
// may be sent now. A member of a group that may be sent to is enough.
[[nodiscard]] std::string wait_for_schedule(const QueueEntry& entry, const config::Config& config,
                                            Time now);

// What a person does about it, or why there is nothing to do yet.
[[nodiscard]] std::string advice(const QueueEntry& entry, const config::Config& config, Time now);

// The keys are an interface: docs/operations.md names them.
[[nodiscard]] nlohmann::json to_json(const QueueEntry& entry, const config::Config& config,
                                     Time now);
[[nodiscard]] nlohmann::json to_json(const Rejection& rejection, Time now);

// A line for a person: id, state, destination, age ("!" when it is overdue), priority if it
// is not medium, reason.
[[nodiscard]] std::string to_line(const QueueEntry& entry, const config::Config& config, Time now);
[[nodiscard]] std::string to_line(const Rejection& rejection, Time now);

}  // namespace sluice::command
