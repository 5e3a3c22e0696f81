// One destination's workers, and what they know together of how it fares.
//
//   Lane lane(destination, {queue, origin});
//   lane.start();
//   lane.ask_to_stop();
//   if (!lane.wait_ended(deadline)) lane.interrupt();   // again and again: a worker may
//   lane.join();                                        // open an association behind one
//
// When the destination is away, all its workers back off together; when it is one
// instance that fails, that instance backs off longer still, lest it keeps the others
// waiting. What was claimed and not tried is ready again, whatever happens in between.
//
// One thread calls the public functions. Join before it ends; the services outlive it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/audit/recorder.h"
#include "gateway/config/config.h"
#include "gateway/deliver/payload.h"
#include "gateway/deliver/sender.h"
#include "gateway/queue/queue.h"

namespace sluice {

class Lane {
 public:
  struct Services {
    Queue& queue;
    Payload::Origin origin;
    audit::Recorder* audit = nullptr;  // nullptr: no audit trail
  };

  Lane(const config::Destination& destination, Services services);
  ~Lane() = default;
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // A worker that cannot be started is logged; the others do its work. `last_wait` is the
  // longest that its deliveries were told to wait before a restart: should the first attempt
  // fail again, the pauses go on growing from there.
  void start(std::chrono::milliseconds last_wait = {});

  void ask_to_stop();
  // True when all workers have ended.
  [[nodiscard]] bool wait_ended(std::chrono::steady_clock::time_point until);
  void interrupt();
  void join();  // after wait_ended() was true

 private:
  void run(Sender& sender);
  void work(Sender& sender);
  [[nodiscard]] bool send_batch(Sender& sender);
  void send_or_postpone(Sender& sender, const QueueEntry& entry);
  void send(Sender& sender, const QueueEntry& entry);
  void record(const QueueEntry& entry, const Attempt& attempt, std::uint64_t bytes = 0,
              std::chrono::steady_clock::duration took = {});
  void raise_configuration_alarm(const Outcome& outcome);
  [[nodiscard]] Outcome outcome_of(const QueueEntry& entry, const Attempt& attempt);

  [[nodiscard]] std::chrono::milliseconds back_off(int failures) const;
  [[nodiscard]] std::chrono::milliseconds back_off_together();
  void note_success();
  [[nodiscard]] bool is_backing_off();
  [[nodiscard]] bool is_stopping();
  void pause(std::chrono::steady_clock::time_point until);

  const config::Destination destination_;
  const Services services_;
  std::vector<std::unique_ptr<Sender>> senders_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  int running_ = 0;
  int failures_ = 0;  // of the destination, in a row
  std::chrono::steady_clock::time_point blocked_until_;
  std::string alarm_;  // the reason of the last configuration alarm; "": none since a success
};

}  // namespace sluice
