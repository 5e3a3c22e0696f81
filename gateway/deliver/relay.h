// The short way of an instance: to all its destinations while its sender waits, out of
// memory. What they don't accept, or not in time, goes the queue's way.
//
//   auto relay = Relay::begin(dispatcher, deliveries);   // nullopt: they are not prompt
//   relay->send(instance, header, data_set);
//   relay->wait();                      // for all their answers
//   relay->take_rest();                 // unless is_delivered(): then it needs no file
//   ... the instance is added to the queue with relay->deliveries() ...
//   relay->settle(instance);            // behind the commit
//
// One thread. The dispatcher must outlive it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "gateway/deliver/dispatcher.h"
#include "gateway/deliver/lane.h"

namespace sluice {

class Relay {
 public:
  // All must be `ready`, and their destinations answer at once as far as is known.
  [[nodiscard]] static std::optional<Relay> begin(Dispatcher& dispatcher,
                                                  const std::vector<DeliveryRow>& deliveries);

  // To one after the other. The header is that of the data set, which is in memory.
  void send(const InstanceRow& instance, const dicom::Header& header,
            std::span<const std::byte> data_set);

  // For their answers, until Dispatcher::patience() behind send().
  void wait();

  // All of these are prompt.
  [[nodiscard]] static bool is_possible(Dispatcher& dispatcher,
                                        const std::vector<std::string>& destinations);

  // Every destination has it.
  [[nodiscard]] bool is_delivered() const;

  // What was not sent yet, workers send next: without a claim.
  void take_rest();

  // As they are to be added: delivered, or `sending` where settle() has more to do, or ready.
  [[nodiscard]] const std::vector<DeliveryRow>& deliveries() const { return deliveries_; }

  void settle(const InstanceRow& instance);

 private:
  Relay(Dispatcher& dispatcher, std::vector<DeliveryRow> deliveries)
      : dispatcher_(&dispatcher), deliveries_(std::move(deliveries)) {}

  struct Sent {
    Lane* lane;
    std::size_t delivery;  // of deliveries_
    Lane::Relayed relayed;
  };
  Dispatcher* dispatcher_;
  std::vector<DeliveryRow> deliveries_;
  std::vector<Sent> sent_;
  SteadyTime until_;
  std::vector<std::size_t> rest_;  // of deliveries_
};

}  // namespace sluice
