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

bool Relay::is_possible(const Dispatcher& dispatcher, const std::vector<std::string>& destinations,
                        std::chrono::milliseconds patience) {
  return patience.count() != 0 &&
         std::ranges::all_of(destinations, [&](const std::string& destination) {
           return dispatcher.is_prompt(destination);
         });
}

std::optional<Relay> Relay::begin(const Dispatcher& dispatcher,
                                  const std::vector<DeliveryRow>& deliveries,
                                  std::chrono::milliseconds patience) {
  if (patience.count() == 0) return std::nullopt;
  Lanes lanes;
  lanes.reserve(deliveries.size());
  for (const DeliveryRow& delivery : deliveries) {
    if (delivery.state != DeliveryState::ready) return std::nullopt;
    lanes.push_back(dispatcher.lane(delivery.destination));
    if (lanes.back() == nullptr || !lanes.back()->is_prompt()) return std::nullopt;
  }
  return Relay(std::move(lanes), deliveries, patience);
}

void Relay::send(const InstanceRow& instance, const Decision& decision,
                 std::span<const std::byte> data_set) {
  until_ = std::chrono::steady_clock::now() + patience_;
  entry_.instance = instance;
  for (std::size_t n = 0; n < deliveries_.size(); ++n) {
    entry_.delivery = deliveries_[n];
    const Instance* edited = decision.edited(entry_.delivery.route, entry_.delivery.destination);
    if (edited == nullptr) continue;
    // What no payload can be made of, a worker will hold, with the reason.
    auto payload = Payload::open_received(SpoolReader(data_set), *edited, entry_);
    if (!payload) continue;
    sent_.push_back({n, lanes_[n]->relay(entry_, *payload, until_)});
  }
}

void Relay::wait() {
  for (Sent& sent : sent_) {
    lanes_[sent.delivery]->wait(sent.relayed, until_);
    DeliveryRow& delivery = deliveries_[sent.delivery];
    delivery.state = row_state(sent.relayed.attempt.result);
    if (delivery.state != DeliveryState::delivered) continue;
    delivery.attempts = 1;
    delivery.status = sent.relayed.attempt.status;
    delivery.reason =
        lanes_[sent.delivery]->reason_in_row(delivery, full_reason(sent.relayed.attempt));
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
  entry_.instance.has_file = instance.has_file;
  for (Sent& sent : sent_) {
    entry_.delivery = deliveries_[sent.delivery];
    lanes_[sent.delivery]->settle(entry_, std::move(sent.relayed));
  }
  for (const std::size_t n : rest_) {
    lanes_[n]->hand_over({instance, deliveries_[n]});
  }
  sent_.clear();
  rest_.clear();
}

}  // namespace sluice
