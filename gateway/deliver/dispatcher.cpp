#include "gateway/deliver/dispatcher.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
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

// What a route names: a destination, or a group of which one is enough.
struct Members {
  Lanes lanes;  // in the order of the group
  bool is_balanced = false;
  std::atomic<std::size_t> turn = 0;

  // Balanced, the next that is prompt; else the first that is not away, or the first of all.
  [[nodiscard]] std::shared_ptr<Lane> choose() {
    if (lanes.size() == 1) return lanes.front();
    const std::size_t first = is_balanced ? turn++ : 0;
    for (std::size_t n = 0; is_balanced && n < lanes.size(); ++n) {
      const auto& lane = lanes[(first + n) % lanes.size()];
      if (lane->is_prompt()) return lane;
    }
    const auto there =
        std::ranges::find_if(lanes, [](const auto& lane) { return !lane->is_away(); });
    return there == lanes.end() ? lanes.front() : *there;
  }
  // Whether choose() would find one that is; takes nobody's turn.
  [[nodiscard]] bool is_prompt() {
    if (!is_balanced) return choose()->is_prompt();
    return std::ranges::any_of(lanes, [](const auto& lane) { return lane->is_prompt(); });
  }
};
using MembersByName = std::map<std::string, std::shared_ptr<Members>, std::less<>>;

const std::string& name_of(const std::shared_ptr<Lane>& lane) {
  return lane->destination().name;
}

MembersByName members_of(const Lanes& lanes, const config::Config& config) {
  MembersByName all;
  for (const auto& lane : lanes) {
    const auto alone = std::make_shared<Members>();
    alone->lanes.push_back(lane);
    all.emplace(name_of(lane), alone);
  }
  for (const config::Group& group : config.groups) {
    const auto members = std::make_shared<Members>();
    members->is_balanced = group.is_balanced;
    for (const std::string& name : group.destinations) {
      members->lanes.push_back(all.at(name)->lanes.front());
    }
    all.emplace(group.name, members);
  }
  return all;
}

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
    const auto setup = current.get();
    setups_.emplace_back(setup);
    lanes_ = lanes_for(*setup);
    members_ = members_of(lanes_, setup->config);
    serve_groups(setup->config);
  }

  void start() {
    report_removed_destinations();
    start(lanes_);
  }

  // Its filters are the pipeline's: a lane goes on where only they changed.
  [[nodiscard]] Lanes lanes_for(const Setup& setup) const {
    Lanes lanes;
    lanes.reserve(setup.config.destinations.size());
    for (config::Destination destination : setup.config.destinations) {
      destination.filters.clear();
      destination.filters_line = 0;
      const auto same = std::ranges::find_if(
          lanes_, [&](const auto& lane) { return lane->destination() == destination; });
      lanes.push_back(same != lanes_.end() ? *same
                                           : std::make_shared<Lane>(destination, services_));
    }
    return lanes;
  }

  void apply(Lanes lanes) {
    const auto setup = services_.current.get();
    const Lanes added = without(lanes, lanes_);
    const Lanes removed = without(lanes_, lanes);
    MembersByName members = members_of(lanes, setup->config);
    lanes_ = std::move(lanes);
    std::erase_if(setups_, [](const auto& earlier) { return earlier.expired(); });
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [name, gone] : members_) {
        if (!members.contains(name)) earlier_.push_back({name, gone, setups_});
      }
      members_.swap(members);
    }
    setups_.emplace_back(setup);
    for (const auto& [name, before] : members) queue_.serve(name, {});
    serve_groups(setup->config);
    for (const auto& lane : removed) {
      log::info("destination ended or changed", {{"destination", name_of(lane)}});
      lane->ask_to_stop();
      ending_.push_back(lane);
    }
    if (!removed.empty()) queue_.wake();
    start(added);
    report_removed_destinations();
  }

  void keep_house() {
    const auto ended = std::erase_if(ending_, [](const auto& lane) {
      if (!lane->wait_ended(steady_clock::now())) return false;
      lane->join();
      return true;
    });
    // They may have taken to themselves that there is work, for a group also.
    if (ended > 0) std::ranges::for_each(lanes_, [](const auto& lane) { lane->look_again(); });
    forget_unused();
    const auto earlier = std::erase_if(setups_, [](const auto& setup) { return setup.expired(); });
    if (earlier == 0) return;
    log::info("earlier configurations are not used any more", {{"count", earlier}});
    report_removed_destinations();
  }

  [[nodiscard]] std::shared_ptr<Lane> lane(std::string_view name) const {
    const auto members = members_called(name);
    return members ? members->choose() : nullptr;
  }
  [[nodiscard]] bool is_prompt(std::string_view name) const {
    const auto members = members_called(name);
    return members && members->is_prompt();
  }

  bool stop(steady_clock::time_point deadline) {
    Lanes lanes = lanes_;
    std::ranges::copy(ending_, std::back_inserter(lanes));
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
  // What only earlier configurations name.
  struct Earlier {
    std::string name;
    std::shared_ptr<Members> members;
    std::vector<std::weak_ptr<const Setup>> users;  // under which it may be asked for
  };

  // With failover, each one's turn comes behind those before it.
  void serve_groups(const config::Config& config) {
    std::map<const Lane*, std::vector<Lane::Served>> served;
    for (const config::Group& group : config.groups) {
      std::vector<std::weak_ptr<Lane>> before;
      for (const auto& lane : members_.at(group.name)->lanes) {
        served[lane.get()].push_back({group.name, before});
        if (!group.is_balanced) before.push_back(lane);
      }
      queue_.serve(group.name, group.destinations);
    }
    for (const auto& lane : lanes_) lane->serve(std::move(served[lane.get()]));
  }

  [[nodiscard]] std::shared_ptr<Members> members_called(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    if (const auto found = members_.find(name); found != members_.end()) return found->second;
    const auto earlier = std::ranges::find(earlier_, name, &Earlier::name);
    return earlier == earlier_.end() ? nullptr : earlier->members;
  }

  void start(const Lanes& lanes) {
    if (lanes.empty()) return;
    auto waits = queue_.longest_waits();
    if (!waits) {
      log::error("pauses begin anew: the queue cannot be asked for the last ones",
                 {{"reason", waits.error().message}});
      waits.emplace();
    }
    for (const auto& lane : lanes) lane->start((*waits)[name_of(lane)]);
  }

  // What is in nobody's hand ends here, behind the lock: it may have associations to end.
  void forget_unused() {
    std::vector<Earlier> unused;
    const std::lock_guard lock(mutex_);
    const auto is_used = [](const Earlier& earlier) {
      return std::ranges::any_of(earlier.users, [](const auto& setup) { return !setup.expired(); });
    };
    const auto rest = std::partition(earlier_.begin(), earlier_.end(), is_used);
    std::move(rest, earlier_.end(), std::back_inserter(unused));
    earlier_.erase(rest, earlier_.end());
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
      if (count.destination.empty() || !is_unfinished(count.state) ||
          members_.contains(count.destination)) {
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
  Lanes lanes_;
  Lanes ending_;              // those of earlier configurations, before they are joined
  mutable std::mutex mutex_;  // held by the one thread to change what follows, by others to read
  MembersByName members_;
  std::vector<Earlier> earlier_;
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

bool Dispatcher::is_prompt(std::string_view destination) const {
  return state_->is_prompt(destination);
}

}  // namespace sluice
