#include "gateway/deliver/dispatcher.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/deliver/lane.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kGrace{2000};  // for interrupted workers to end
constexpr milliseconds kInterruptInterval{50};

using Lanes = std::vector<std::shared_ptr<Lane>>;

// Those of `lanes` that `others` does not have.
Lanes without(const Lanes& lanes, const Lanes& others) {
  Lanes rest;
  std::ranges::copy_if(lanes, std::back_inserter(rest), [&](const auto& lane) {
    return std::ranges::find(others, lane) == others.end();
  });
  return rest;
}

bool is_unfinished(DeliveryState state) {
  return state == DeliveryState::ready || state == DeliveryState::sending ||
         state == DeliveryState::deferred || state == DeliveryState::held;
}

}  // namespace

class Dispatcher::State {
 public:
  State(const CurrentSetup& current, Spool& spool, Queue& queue, Ledger& ledger,
        audit::Recorder* audit)
      : queue_(queue), services_{queue, spool, ledger, current, audit} {
    setups_.emplace_back(current.get());
    lanes_ = lanes_for(*current.get());
  }

  void start() {
    report_removed_destinations();
    start(lanes_);
  }

  [[nodiscard]] Lanes lanes_for(const Setup& setup) const {
    Lanes lanes;
    for (const config::Destination& destination : setup.config.destinations) {
      const auto same = std::ranges::find_if(
          lanes_, [&](const auto& lane) { return lane->destination() == destination; });
      lanes.push_back(same != lanes_.end() ? *same
                                           : std::make_shared<Lane>(destination, services_));
    }
    return lanes;
  }

  void apply(Lanes lanes) {
    const Lanes added = without(lanes, lanes_);
    const Lanes removed = without(lanes_, lanes);
    std::erase_if(setups_, [](const auto& setup) { return setup.expired(); });
    {
      const std::lock_guard lock(mutex_);
      for (const auto& lane : removed) retired_.push_back({lane, setups_});
      lanes_ = std::move(lanes);
    }
    setups_.emplace_back(services_.current.get());
    for (const auto& lane : removed) {
      log::info("destination ended or changed", {{"destination", name_of(*lane)}});
      lane->ask_to_stop();
    }
    if (!removed.empty()) queue_.wake();
    start(added);
    report_removed_destinations();
  }

  void keep_house() {
    for (Retired& retired : retired_) {
      if (retired.is_joined || !retired.lane->wait_ended(steady_clock::now())) continue;
      retired.lane->join();
      retired.is_joined = true;
      for (const auto& lane : lanes_) {
        if (name_of(*lane) == name_of(*retired.lane)) lane->look_again();
      }
    }
    forget_unused();
    const auto earlier = std::erase_if(setups_, [](const auto& setup) { return setup.expired(); });
    if (earlier == 0) return;
    log::info("earlier configurations are not used any more", {{"count", earlier}});
    report_removed_destinations();
  }

  [[nodiscard]] std::shared_ptr<Lane> lane(std::string_view destination) const {
    const auto is_it = [&](const auto& lane) { return name_of(*lane) == destination; };
    const std::lock_guard lock(mutex_);
    if (const auto found = std::ranges::find_if(lanes_, is_it); found != lanes_.end()) {
      return *found;
    }
    const auto retired = std::ranges::find_if(retired_, is_it, &Retired::lane);
    return retired == retired_.end() ? nullptr : retired->lane;
  }

  bool stop(steady_clock::time_point deadline) {
    const Lanes lanes = unjoined();
    for (const auto& lane : lanes) lane->ask_to_stop();
    queue_.wake();
    if (!wait_ended(lanes, deadline)) {
      interrupt_until(lanes, std::max(deadline, steady_clock::now()) + kGrace);
    }
    bool ended = true;
    for (const auto& lane : lanes) {
      const bool lane_ended = lane->wait_ended(steady_clock::now());
      if (lane_ended) lane->join();
      ended = ended && lane_ended;
    }
    return ended;
  }

 private:
  // A lane of an earlier configuration.
  struct Retired {
    std::shared_ptr<Lane> lane;
    std::vector<std::weak_ptr<const Setup>> users;  // under which it may be asked for
    bool is_joined = false;
  };

  static const std::string& name_of(const Lane& lane) { return lane.destination().name; }

  void start(const Lanes& lanes) {
    if (lanes.empty()) return;
    auto waits = queue_.longest_waits();
    if (!waits) {
      log::error("pauses begin anew: the queue cannot be asked for the last ones",
                 {{"reason", waits.error().message}});
      waits.emplace();
    }
    for (const auto& lane : lanes) lane->start((*waits)[name_of(*lane)]);
  }

  // What is in nobody's hand ends here, behind the lock: it may have associations to end.
  void forget_unused() {
    std::vector<Retired> unused;
    const std::lock_guard lock(mutex_);
    const auto is_used = [](const Retired& retired) {
      return !retired.is_joined ||
             std::ranges::any_of(retired.users, [](const auto& setup) { return !setup.expired(); });
    };
    const auto rest = std::ranges::partition(retired_, is_used);
    std::ranges::move(rest, std::back_inserter(unused));
    retired_.erase(rest.begin(), rest.end());
  }

  [[nodiscard]] Lanes unjoined() const {
    Lanes lanes = lanes_;
    for (const Retired& retired : retired_) {
      if (!retired.is_joined) lanes.push_back(retired.lane);
    }
    return lanes;
  }

  // What waits for a destination that the configuration no longer has waits for ever,
  // unless somebody hears of it.
  void report_removed_destinations() {
    const auto counts = queue_.counts();
    if (!counts) {
      log::error("the queue cannot be compared with the configuration",
                 {{"reason", counts.error().message}});
      return;
    }
    for (const Queue::Count& count : *counts) {
      const auto is_it = [&](const auto& lane) { return name_of(*lane) == count.destination; };
      if (count.destination.empty() || !is_unfinished(count.state) ||
          std::ranges::any_of(lanes_, is_it)) {
        continue;
      }
      log::warning(
          "deliveries wait for a destination that the configuration does not have; put it back, "
          "or end them with 'sluice queue discard'",
          {{"destination", count.destination},
           {"state", to_string(count.state)},
           {"count", count.count}});
    }
  }

  static bool wait_ended(const Lanes& lanes, steady_clock::time_point until) {
    return std::ranges::all_of(lanes, [&](const auto& lane) { return lane->wait_ended(until); });
  }

  // Again and again: a worker may open an association behind a single interrupt. All
  // at once: one lane that hangs takes nothing of another's time.
  static void interrupt_until(const Lanes& lanes, steady_clock::time_point end) {
    while (steady_clock::now() < end) {
      for (const auto& lane : lanes) lane->interrupt();
      if (wait_ended(lanes, std::min(end, steady_clock::now() + kInterruptInterval))) return;
    }
  }

  Queue& queue_;
  const Lane::Services services_;
  std::vector<std::weak_ptr<const Setup>> setups_;  // that something may run under
  mutable std::mutex mutex_;  // held by the one thread to change what follows, by others to read
  Lanes lanes_;
  std::vector<Retired> retired_;
};

Dispatcher::Dispatcher(const CurrentSetup& current, Spool& spool, Queue& queue, Ledger& ledger,
                       audit::Recorder* audit)
    : state_(std::make_unique<State>(current, spool, queue, ledger, audit)) {}

Dispatcher::~Dispatcher() {
  if (!stop(milliseconds(0))) {
    // Threads that use this object still run, and nothing can end them.
    log::error("a delivery worker hangs; the process ends");
    std::quick_exit(1);
  }
}

void Dispatcher::start() {
  state_->start();
}

bool Dispatcher::stop(milliseconds drain_timeout) {
  return state_->stop(steady_clock::now() + drain_timeout);
}

Dispatcher::Change Dispatcher::prepare(const Setup& next) const {
  Change change;
  change.lanes_ = state_->lanes_for(next);
  return change;
}

void Dispatcher::apply(Change change) {
  state_->apply(std::move(change.lanes_));
}

void Dispatcher::keep_house() {
  state_->keep_house();
}

std::shared_ptr<Lane> Dispatcher::lane(std::string_view destination) const {
  return state_->lane(destination);
}

}  // namespace sluice
