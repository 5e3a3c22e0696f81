// The short way of an instance: to all its destinations while its sender waits, out of
// memory. What they accept needs no file; what they don't, or not in time, goes the queue's way.
//
//   auto relay = Relay::begin(dispatcher, deliveries);   // nullopt: they are not prompt
//   relay->send(instance, header, data_set);
//   ... the instance is added to the queue with relay->deliveries(), as far as it goes
//       with its file durable: is_delivered() says whether it needs one ...
//   relay->settle();                                     // behind the commit
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

  // One after the other, together within Dispatcher::patience(). The header is that of the
  // data set, which is in memory.
  void send(const InstanceRow& instance, const dicom::Header& header,
            std::span<const std::byte> data_set);

  // Every destination has it.
  [[nodiscard]] bool is_delivered() const;

  // As they are to be added: delivered; `sending` where settle() is to record more; or ready.
  [[nodiscard]] const std::vector<DeliveryRow>& deliveries() const { return deliveries_; }

  void settle();

 private:
  Relay(Dispatcher& dispatcher, std::vector<DeliveryRow> deliveries)
      : dispatcher_(&dispatcher), deliveries_(std::move(deliveries)) {}

  struct Sent {
    Lane* lane;
    QueueEntry entry;
    Lane::Relayed relayed;
  };
  Dispatcher* dispatcher_;
  std::vector<DeliveryRow> deliveries_;
  std::vector<Sent> sent_;
};

}  // namespace sluice
