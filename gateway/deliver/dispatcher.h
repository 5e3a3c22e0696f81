// The sending side: for each destination a few workers that claim deliveries, send
// them, and record how it went. One destination's trouble is its own: nothing is
// shared between destinations but queue and spool.
//
// stop() lets running instances finish until the deadline; what was claimed and not
// tried is ready again.
//
// Another configuration changes the destinations that it has otherwise, and no other one:
//
//   auto change = dispatcher.prepare(setup);   // all that can fail
//   current.set(setup);
//   dispatcher.apply(std::move(change));
//   dispatcher.keep_house();                   // now and then
//
// Workers of a destination that changed or is gone end behind the instance that they send, new
// ones begin at once. What waits for one that is gone stays in the queue, as after a restart.
//
// One thread calls it, but for lane(). The services must outlive the dispatcher.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "gateway/audit/recorder.h"
#include "gateway/config/config.h"
#include "gateway/deliver/lane.h"
#include "gateway/ledger/ledger.h"
#include "gateway/pipeline/setup.h"
#include "gateway/queue/queue.h"
#include "gateway/spool/spool.h"

namespace sluice {

class Dispatcher {
 public:
  Dispatcher(const CurrentSetup& current, Spool& spool, Queue& queue, Ledger& ledger,
             audit::Recorder* audit = nullptr);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Warns of deliveries whose destination the configuration does not have any more.
  void start();
  // Ends by the time-out and a little more. False when a worker still hung then, in a name
  // look-up or an association that is not answered; the process should then end without
  // destroying this. Nothing is lost: its deliveries are ready at the next start.
  [[nodiscard]] bool stop(std::chrono::milliseconds drain_timeout);

  // The lanes of another configuration, those of unchanged destinations among them.
  class Change {
   private:
    friend class Dispatcher;
    std::vector<std::shared_ptr<Lane>> lanes_;
  };
  [[nodiscard]] Change prepare(const Setup& next) const;
  void apply(Change change);
  // Ends what has nothing more to do, and warns of what waits for nobody once nothing runs
  // under a configuration from before.
  void keep_house();

  // For what is relayed or passed on: of a group one, in turn where it is balanced; also one that
  // is gone, while an association runs that began with it. nullptr: no such destination. Any
  // thread.
  [[nodiscard]] std::shared_ptr<Lane> lane(std::string_view destination) const;
  // Whether lane() would be prompt. Any thread.
  [[nodiscard]] bool is_prompt(std::string_view destination) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
