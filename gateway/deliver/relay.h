// The short way of an instance: to all its destinations while its sender waits, out of
// memory. What they don't accept, or not in time, goes the queue's way.
//
//   auto relay = Relay::begin(dispatcher, deliveries, patience);   // nullopt: not prompt
//   relay->send(instance, decision, data_set);
//   relay->wait();                      // for all their answers
//   relay->take_rest();                 // unless is_delivered(): then it needs no file
//   ... the instance is added to the queue with relay->deliveries() ...
//   relay->settle(instance);            // behind the commit
//
// One thread. It keeps to the lanes that it began with.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "gateway/deliver/dispatcher.h"
#include "gateway/deliver/lane.h"

namespace sluice {

class Relay {
 public:
  // All must be `ready`, and their destinations answer at once as far as is known.
  // `patience`: how long their answers are waited for; 0: never.
  [[nodiscard]] static std::optional<Relay> begin(const Dispatcher& dispatcher,
                                                  const std::vector<DeliveryRow>& deliveries,
                                                  std::chrono::milliseconds patience);

  // To one after the other, as was decided. The data set is in memory.
  void send(const InstanceRow& instance, const Decision& decision,
            std::span<const std::byte> data_set);

  // For their answers, until `patience` behind send().
  void wait();

  // All of these are prompt.
  [[nodiscard]] static bool is_possible(const Dispatcher& dispatcher,
                                        const std::vector<std::string>& destinations,
                                        std::chrono::milliseconds patience);

  // Every destination has it.
  [[nodiscard]] bool is_delivered() const;

  // What was not sent yet, workers send next: without a claim.
  void take_rest();

  // As they are to be added: delivered, or `sending` where settle() has more to do, or ready.
  [[nodiscard]] const std::vector<DeliveryRow>& deliveries() const { return deliveries_; }

  void settle(const InstanceRow& instance);

 private:
  using Lanes = std::vector<std::shared_ptr<Lane>>;
  Relay(Lanes lanes, std::vector<DeliveryRow> deliveries, std::chrono::milliseconds patience)
      : lanes_(std::move(lanes)), deliveries_(std::move(deliveries)), patience_(patience) {}

  struct Sent {
    std::size_t delivery;  // of deliveries_
    Lane::Relayed relayed;
  };
  Lanes lanes_;  // of each delivery; first, because what was sent refers to them
  std::vector<DeliveryRow> deliveries_;
  std::chrono::milliseconds patience_;
  QueueEntry entry_;  // what was sent, and to whom at last
  std::vector<Sent> sent_;
  SteadyTime until_;
  std::vector<std::size_t> rest_;  // of deliveries_
};

}  // namespace sluice
