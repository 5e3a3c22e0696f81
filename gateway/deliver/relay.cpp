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

bool Relay::is_possible(Dispatcher& dispatcher, const std::vector<std::string>& destinations) {
  return dispatcher.patience().count() > 0 &&
         std::ranges::all_of(destinations, [&](const std::string& destination) {
           Lane* const lane = dispatcher.lane(destination);
           return lane != nullptr && lane->is_prompt();
         });
}

std::optional<Relay> Relay::begin(Dispatcher& dispatcher,
                                  const std::vector<DeliveryRow>& deliveries) {
  std::vector<std::string> destinations;
  for (const DeliveryRow& delivery : deliveries) {
    if (delivery.state != DeliveryState::ready) return std::nullopt;
    destinations.push_back(delivery.destination);
  }
  if (!is_possible(dispatcher, destinations)) return std::nullopt;
  return Relay(dispatcher, deliveries);
}

void Relay::send(const InstanceRow& instance, const dicom::Header& header,
                 std::span<const std::byte> data_set) {
  until_ = std::chrono::steady_clock::now() + dispatcher_->patience();
  QueueEntry entry{instance, {}};
  for (std::size_t n = 0; n < deliveries_.size(); ++n) {
    entry.delivery = deliveries_[n];
    // What no payload can be made of, a worker will hold, with the reason.
    auto payload =
        Payload::open_received(SpoolReader(data_set), header, entry, dispatcher_->origin());
    if (!payload) continue;
    Lane& lane = *dispatcher_->lane(entry.delivery.destination);
    sent_.push_back({&lane, n, lane.relay(entry, *payload, until_)});
  }
}

void Relay::wait() {
  for (Sent& sent : sent_) {
    sent.lane->wait(sent.relayed, until_);
    DeliveryRow& delivery = deliveries_[sent.delivery];
    delivery.state = row_state(sent.relayed.attempt.result);
    if (delivery.state != DeliveryState::delivered) continue;
    delivery.attempts = 1;
    delivery.status = sent.relayed.attempt.status;
    delivery.reason = sent.lane->reason_in_row(delivery, full_reason(sent.relayed.attempt));
  }
}

bool Relay::is_delivered() const {
  return std::ranges::all_of(deliveries_, [](const DeliveryRow& delivery) {
    return delivery.state == DeliveryState::delivered;
  });
}

void Relay::take_rest() {
  for (std::size_t n = 0; n < deliveries_.size(); ++n) {
    DeliveryRow& delivery = deliveries_[n];
    if (delivery.state != DeliveryState::ready) continue;
    delivery.state = DeliveryState::sending;
    rest_.push_back(n);
  }
}

void Relay::settle(const InstanceRow& instance) {
  QueueEntry entry{instance, {}};
  for (Sent& sent : sent_) {
    entry.delivery = deliveries_[sent.delivery];
    sent.lane->settle(entry, std::move(sent.relayed));
  }
  for (const std::size_t n : rest_) {
    dispatcher_->lane(deliveries_[n].destination)->hand_over({instance, deliveries_[n]});
  }
  sent_.clear();
  rest_.clear();
}

}  // namespace sluice
