#include "gateway/deliver/dispatcher.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/deliver/lane.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kGrace{2000};  // for interrupted workers to end
constexpr milliseconds kInterruptInterval{50};

bool is_unfinished(DeliveryState state) {
  return state == DeliveryState::ready || state == DeliveryState::sending ||
         state == DeliveryState::deferred || state == DeliveryState::held;
}

}  // namespace

class Dispatcher::State {
 public:
  State(const config::Config& config, Spool& spool, Queue& queue, Ledger& ledger,
        const Pipeline& pipeline, audit::Recorder* audit)
      : queue_(queue),
        origin_{spool, pipeline, ledger, config.gateway.data_dir},
        patience_(config.gateway.delivery_patience) {
    for (const config::Destination& destination : config.destinations) {
      names_.push_back(destination.name);
      lanes_.push_back(
          std::make_unique<Lane>(destination, Lane::Services{queue, origin_, audit, patience_}));
    }
    for (const config::Group& group : config.groups) add_group(group);
  }

  void start() {
    report_removed_destinations();
    auto waits = queue_.longest_waits();
    if (!waits) {
      log::error("pauses begin anew: the queue cannot be asked for the last ones",
                 {{"reason", waits.error().message}});
      waits.emplace();
    }
    for (std::size_t n = 0; n < lanes_.size(); ++n) lanes_[n]->start((*waits)[names_[n]]);
  }

  Lane* lane(std::string_view destination) {
    const auto group = groups_.find(destination);
    if (group != groups_.end()) return group->second.choose();
    const auto found = std::ranges::find(names_, destination);
    return found == names_.end() ? nullptr
                                 : lanes_[static_cast<std::size_t>(found - names_.begin())].get();
  }
  [[nodiscard]] milliseconds patience() const { return patience_; }
  [[nodiscard]] const Payload::Origin& origin() const { return origin_; }

  bool stop(steady_clock::time_point deadline) {
    for (const auto& lane : lanes_) lane->ask_to_stop();
    queue_.wake();
    if (!wait_ended(deadline)) interrupt_until(std::max(deadline, steady_clock::now()) + kGrace);
    bool ended = true;
    for (const auto& lane : lanes_) {
      const bool lane_ended = lane->wait_ended(steady_clock::now());
      if (lane_ended) lane->join();
      ended = ended && lane_ended;
    }
    return ended;
  }

 private:
  // Lanes of which one is enough.
  struct Members {
    std::vector<Lane*> lanes;
    bool is_balanced = false;
    std::atomic<std::size_t> turn = 0;

    // The first that is not away, or is free; the first of all, when there is none.
    [[nodiscard]] Lane* choose() {
      const std::size_t first = is_balanced ? turn++ : 0;
      for (std::size_t n = 0; n < lanes.size(); ++n) {
        Lane* const lane = lanes[(first + n) % lanes.size()];
        if (is_balanced ? lane->is_prompt() : !lane->is_away()) return lane;
      }
      return lanes.front();
    }
  };

  // In the order of the group; with failover each one's turn comes behind those before it.
  void add_group(const config::Group& group) {
    Members& members = groups_[group.name];
    members.is_balanced = group.is_balanced;
    for (const std::string& name : group.destinations) {
      Lane* const one = lane(name);
      one->serve({group.name, group.is_balanced ? std::vector<Lane*>() : members.lanes});
      members.lanes.push_back(one);
    }
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
          std::ranges::find(names_, count.destination) != names_.end() ||
          groups_.contains(count.destination)) {
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

  bool wait_ended(steady_clock::time_point until) {
    return std::ranges::all_of(lanes_, [&](const auto& lane) { return lane->wait_ended(until); });
  }

  // Again and again: a worker may open an association behind a single interrupt. All
  // at once: one lane that hangs takes nothing of another's time.
  void interrupt_until(steady_clock::time_point end) {
    while (steady_clock::now() < end) {
      for (const auto& lane : lanes_) lane->interrupt();
      if (wait_ended(std::min(end, steady_clock::now() + kInterruptInterval))) return;
    }
  }

  Queue& queue_;
  const Payload::Origin origin_;
  const milliseconds patience_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::map<std::string, Members, std::less<>> groups_;
};

Dispatcher::Dispatcher(const config::Config& config, Spool& spool, Queue& queue, Ledger& ledger,
                       const Pipeline& pipeline, audit::Recorder* audit)
    : state_(std::make_unique<State>(config, spool, queue, ledger, pipeline, audit)) {}

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

Lane* Dispatcher::lane(std::string_view destination) {
  return state_->lane(destination);
}

milliseconds Dispatcher::patience() const {
  return state_->patience();
}

const Payload::Origin& Dispatcher::origin() const {
  return state_->origin();
}

}  // namespace sluice
