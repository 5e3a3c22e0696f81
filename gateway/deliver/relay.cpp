#include "gateway/deliver/relay.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "gateway/deliver/payload.h"

namespace sluice {
namespace {

// How the row is to be added.
DeliveryState row_state(AttemptResult result) {
  switch (result) {
    case AttemptResult::delivered:
      return DeliveryState::delivered;
    case AttemptResult::not_now:
      return DeliveryState::ready;
    default:
      return DeliveryState::sending;
  }
}

}  // namespace

std::optional<Relay> Relay::begin(Dispatcher& dispatcher,
                                  const std::vector<DeliveryRow>& deliveries) {
  const bool prompt = std::ranges::all_of(deliveries, [&](const DeliveryRow& delivery) {
    Lane* const lane = dispatcher.lane(delivery.destination);
    return delivery.state == DeliveryState::ready && lane != nullptr && lane->is_prompt();
  });
  if (!prompt || dispatcher.patience().count() == 0) return std::nullopt;
  return Relay(dispatcher, deliveries);
}

void Relay::send(const InstanceRow& instance, const dicom::Header& header,
                 std::span<const std::byte> data_set) {
  const SteadyTime patience = std::chrono::steady_clock::now() + dispatcher_->patience();
  for (DeliveryRow& delivery : deliveries_) {
    // What no payload can be made of, a worker will hold, with the reason.
    auto payload = Payload::open_received(SpoolReader(data_set), header, instance, delivery.route,
                                          dispatcher_->origin());
    if (!payload) continue;
    Lane& lane = *dispatcher_->lane(delivery.destination);
    QueueEntry entry{instance, delivery};
    Lane::Relayed relayed = lane.relay(entry, *payload, patience);
    delivery.state = row_state(relayed.attempt.result);
    if (delivery.state == DeliveryState::delivered) {
      delivery.attempts = 1;
      delivery.status = relayed.attempt.status;
      delivery.reason = full_reason(relayed.attempt);
    }
    if (delivery.state != DeliveryState::ready) {
      sent_.push_back({&lane, std::move(entry), std::move(relayed)});
    }
  }
}

bool Relay::is_delivered() const {
  return std::ranges::all_of(deliveries_, [](const DeliveryRow& delivery) {
    return delivery.state == DeliveryState::delivered;
  });
}

void Relay::settle() {
  for (Sent& sent : sent_) sent.lane->settle(sent.entry, std::move(sent.relayed));
  sent_.clear();
}

}  // namespace sluice
