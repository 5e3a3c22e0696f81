// One destination's workers, and what they know together of how it fares.
//
//   Lane lane(destination, {queue, spool, ledger, current});
//   lane.start();
//   lane.ask_to_stop();
//   if (!lane.wait_ended(deadline)) lane.interrupt();   // again and again: a worker may
//   lane.join();                                        // open an association behind one
//
// Beside the queue's way there is a short one: while the destination is prompt, a receiving
// thread relays an instance itself, before it answers its sender:
//
//   if (lane.is_prompt()) relayed = lane.relay(entry, payload, until);
//   lane.wait(relayed, until);
//   ... the row is committed ...
//   lane.settle(entry, std::move(relayed));
//
// When the destination is away, all its workers back off together; when it is one
// instance that fails, that instance backs off longer still, lest it keeps the others
// waiting. What was claimed and not tried is ready again, whatever happens in between.
//
// A lane without workers, before start() and behind their end, sends nothing of the queue: it
// is not prompt, what is handed over is ready again, and settle() waits for a late answer
// itself. pass_on() works all the same, for who began while it was in the configuration.
//
// One thread calls the public functions but those of the short way, which any may call. Join
// before it ends; the services outlive it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/audit/recorder.h"
#include "gateway/config/config.h"
#include "gateway/deliver/claimed.h"
#include "gateway/deliver/flow.h"
#include "gateway/deliver/lane_counters.h"
#include "gateway/deliver/payload.h"
#include "gateway/deliver/sender.h"
#include "gateway/deliver/sender_pool.h"
#include "gateway/pipeline/setup.h"
#include "gateway/queue/queue.h"

namespace sluice {

class Lane {
 public:
  struct Services {
    Queue& queue;
    const Spool& spool;
    Ledger& ledger;
    const CurrentSetup& current;       // by which each attempt goes
    audit::Recorder* audit = nullptr;  // nullptr: no audit trail
  };

  // What became of an instance on the short way.
  struct Relayed {
    Attempt attempt;
    std::uint64_t bytes = 0;
    std::chrono::steady_clock::duration took = {};  // of sending and waiting
    SenderPool::Lease sender = {};                  // while its answer is awaited
  };

  // A group that its destination is in, and the lanes of those that come first.
  struct Served {
    std::string group;
    std::vector<std::weak_ptr<Lane>> before;
  };

  Lane(const config::Destination& destination, Services services);
  ~Lane() = default;
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // A worker that cannot be started is logged; the others do its work. `last_wait` is the
  // longest that its deliveries were told to wait before a restart: should the first attempt
  // fail again, the pauses go on growing from there.
  void start(std::chrono::milliseconds last_wait = {});

  // All of them; at any time.
  void serve(std::vector<Served> groups);
  // It is left alone for the time being, or outside of its schedule.
  [[nodiscard]] bool is_away() { return !may_send(); }

  void ask_to_stop();
  // True when all workers have ended.
  [[nodiscard]] bool wait_ended(std::chrono::steady_clock::time_point until);
  void interrupt();
  void join();  // after wait_ended() was true
  // Others may have taken to themselves that there is work, and ended.
  void look_again();

  [[nodiscard]] const config::Destination& destination() const { return destination_; }

  // Nothing waits for it, it answered in time at last, and is not left alone.
  [[nodiscard]] bool is_prompt();
  // not_now, when it cannot be sent by then; nothing is recorded yet.
  [[nodiscard]] Relayed relay(const QueueEntry& entry, Payload& payload, SteadyTime until);
  // What the row of such a delivery is to say.
  [[nodiscard]] std::string reason_in_row(const DeliveryRow& row, std::string reason) const;
  // For the answer. Afterwards it is still unanswered if there was none.
  void wait(Relayed& relayed, SteadyTime until);
  // Sends it whatever was before and however long it takes, and records nothing: for a sender
  // that gets the destination's own answer.
  [[nodiscard]] Relayed pass_on(const QueueEntry& entry, Payload& payload);
  // Sends what was added as `sending`, in its turn.
  void hand_over(QueueEntry entry);
  // Records what is not known yet from the row, which is durable by now. A worker waits for
  // an answer that is still to come.
  void settle(const QueueEntry& entry, Relayed relayed);

 private:
  // Between two looks at an idle association, and when the queue itself fails.
  static constexpr std::chrono::milliseconds kPause{1000};
  struct Late {
    QueueEntry entry;
    Relayed relayed;
  };
  void run();
  void work();
  [[nodiscard]] bool send_batch();
  [[nodiscard]] std::shared_ptr<const std::vector<Served>> groups();
  [[nodiscard]] bool send_batch_for(const std::string& name);
  [[nodiscard]] bool is_of_group(const QueueEntry& entry) const {
    return entry.delivery.destination != destination_.name;
  }
  [[nodiscard]] bool send_handed_over();
  void send_all(std::vector<QueueEntry> entries);
  [[nodiscard]] bool may_end();
  [[nodiscard]] bool is_to_look_again();
  [[nodiscard]] bool settle_late();
  void settle_now(Late& late);
  void ask_for_more(const QueueEntry& entry);
  [[nodiscard]] bool open_more();
  void send_or_postpone(Sender& sender, const QueueEntry& entry);
  void send(Sender& sender, const QueueEntry& entry);
  void record(const QueueEntry& entry, const Attempt& attempt, std::uint64_t bytes = 0,
              std::chrono::steady_clock::duration took = {});
  void report(const QueueEntry& entry, const Outcome& outcome, const Attempt& attempt,
              std::uint64_t bytes, std::chrono::steady_clock::duration took);
  void raise_configuration_alarm(const Outcome& outcome);
  [[nodiscard]] Outcome outcome_of(const QueueEntry& entry, const Attempt& attempt);

  [[nodiscard]] std::chrono::milliseconds back_off(int failures) const;
  [[nodiscard]] std::chrono::milliseconds back_off_together();
  void note(const Attempt& attempt, std::chrono::steady_clock::duration took);
  [[nodiscard]] bool is_backing_off();
  // Neither backing off nor outside of its schedule.
  [[nodiscard]] bool may_send();
  // False when this one may not be sent any more, or not by now.
  [[nodiscard]] bool wait_for_turn(const QueueEntry& entry);
  // By one that was handed over meanwhile.
  [[nodiscard]] bool is_overtaken(const QueueEntry& entry) {
    const std::lock_guard lock(mutex_);
    return !handed_over_.empty() && is_more_urgent(handed_over_.front(), entry);
  }
  [[nodiscard]] bool is_too_old(const QueueEntry& entry) const;
  [[nodiscard]] bool is_stopping();
  void pause(std::chrono::steady_clock::time_point until);

  const config::Destination destination_;
  const Services services_;
  const LaneCounters counters_;
  Flow flow_;
  SenderPool senders_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::shared_ptr<const std::vector<Served>> groups_ = std::make_shared<std::vector<Served>>();
  bool stopping_ = false;
  bool look_again_ = false;
  int running_ = 0;
  int failures_ = 0;  // of the destination, in a row
  std::chrono::steady_clock::time_point blocked_until_;
  bool is_slow_ = false;                 // at last
  std::vector<Late> late_;               // answers that a worker is to wait for
  std::deque<QueueEntry> handed_over_;   // by priority
  std::vector<QueueEntry> more_wanted_;  // one, when relaying waits for associations
  std::chrono::steady_clock::time_point next_more_;
  std::string alarm_;  // the reason of the last configuration alarm; "": none since a success
};

}  // namespace sluice
