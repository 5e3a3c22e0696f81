// Routes that keep nothing: the destination's answer is the sender's.
#include <charconv>
#include <memory>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/receive/delivery_rows.h"
#include "gateway/receive/intake.h"

namespace sluice {
namespace {

// Less is sent when it is complete.
constexpr std::uint64_t kPassedWhileItComes = std::uint64_t{64} * 1024;

// The destination's own words, where it has said something.
Reply reply_of(const Attempt& attempt, const std::string& destination) {
  std::uint16_t status = 0;
  const char* const end = attempt.status.data() + attempt.status.size();
  const bool has_status =
      !attempt.status.empty() && std::from_chars(attempt.status.data(), end, status, 16).ptr == end;
  if (has_status) return {status, attempt.comment.empty() ? attempt.reason : attempt.comment};
  if (attempt.result == AttemptResult::delivered) return {};
  return {status::kOutOfResources, "not delivered to " + destination + ": " + attempt.reason};
}

}  // namespace

bool Intake::wants_to_pass_on() noexcept {
  if (asked_ || failed_ || services_.dispatcher == nullptr || length_ < kPassedWhileItComes ||
      !services_.pipeline.some_pass_on() || !scanner_->header_complete() ||
      !incoming_->in_memory()) {
    return false;
  }
  asked_ = true;
  try {
    return decides_to_pass_on();
  } catch (const std::exception&) {
    failed_ = Reply{status::kOutOfResources, {}};
    discard();
    return false;
  }
}

bool Intake::decides_to_pass_on() {
  auto header = scanner_->finish_header();
  if (!header) return false;           // complete() finds the same
  early_header_ = std::move(*header);  // where it stays: the decision refers to it
  if (auto refusal = objection(*early_header_)) {
    fail(refusal->status, refusal->comment);
    return false;
  }
  auto decision = decide(*early_header_);
  if (!decision) {
    fail(decision.error().status, decision.error().comment);
    return false;
  }
  early_decision_ = std::move(*decision);
  return early_decision_->acknowledge() == config::Acknowledge::delivered;
}

// The end is given only behind a sound instance: an error aborts the association in which it
// goes on, and the destination has nothing of it.
Result<std::span<const std::byte>> Intake::pass_next(const ReceivedStream::Next& next) {
  auto bytes = next();
  if (!bytes) return bytes;
  const auto spoilt = [&](std::uint16_t status, std::string comment) {
    failed_ = Reply{status, comment};
    return failure(ErrorCode::permanent, std::move(comment));
  };
  if (!bytes->empty()) {
    length_ += bytes->size();
    if (length_ > gateway_.max_instance_size) {
      return spoilt(
          status::kOutOfResources,
          "Out of resources: larger than " + std::to_string(gateway_.max_instance_size) + " bytes");
    }
    incoming_->pass(*bytes);
    if (const auto scanned = scanner_->feed(*bytes); !scanned) {
      return spoilt(status::kCannotUnderstand, scanned.error().message);
    }
    return bytes;
  }
  const auto whole = scanner_->finish();
  if (!whole) return spoilt(status::kCannotUnderstand, whole.error().message);
  note_irregular_tags(*whole);
  if (!irregular_tags_.empty() && gateway_.irregular_tags != "deliver") {
    outcome_ = "rejected";
    return spoilt(status::kCannotUnderstand, "tags " + irregular_tags_);
  }
  return bytes;
}

void Intake::pass_on(const ReceivedStream::Next& next) noexcept {
  try {
    ReceivedStream stream(*incoming_->in_memory(), [&] { return pass_next(next); });
    Reply reply = send_on(std::move(stream), *early_header_, *early_decision_);
    if (!failed_) failed_ = std::move(reply);
  } catch (const std::exception&) {
    if (!failed_) failed_ = Reply{status::kOutOfResources, {}};
  }
  discard();
}

Reply Intake::send_on(Payload::Source source, const dicom::Header& header,
                      const Decision& decision) {
  std::vector<DeliveryRow> deliveries =
      delivery_rows(provenance_, decision, gateway_.unrouted == "drop");
  for (const RouteDecision& route : decision.routes) {
    if (!routes_.empty()) routes_ += ",";
    routes_ += route.route;
  }
  if (deliveries.size() > 1) {
    outcome_ = "undelivered";
    return {status::kOutOfResources, "routes that keep nothing lead to several destinations"};
  }
  DeliveryRow& delivery = deliveries.front();
  if (delivery.state == DeliveryState::quarantined) {
    outcome_ = "rejected";
    return {status::kCannotUnderstand, delivery.reason};
  }
  if (const auto committed = services_.ledger.commit(); !committed) {
    return refused_by("ledger", committed.error());
  }
  if (delivery.state == DeliveryState::dropped) {
    outcome_ = "dropped";
    InstanceRow row = instance_row(incoming_->as_received(), header);
    row.has_file = false;
    services_.queue.note_passed(row, delivery);
    return {};
  }
  const std::shared_ptr<Lane> lane =
      services_.dispatcher == nullptr ? nullptr : services_.dispatcher->lane(delivery.destination);
  const Instance* edited = decision.edited(delivery.route, delivery.destination);
  if (lane == nullptr || edited == nullptr) {
    return {status::kOutOfResources, "no such destination"};
  }
  return send_to(*lane, std::move(delivery), std::move(source), *edited);
}

Reply Intake::send_to(Lane& lane, DeliveryRow delivery, Payload::Source source,
                      const Instance& edited) {
  const dicom::Header& header = edited.header();
  const QueueEntry entry{instance_row(incoming_->as_received(), header), delivery};
  auto payload = Payload::open_received(std::move(source), edited, entry);
  if (!payload) return {status::kOutOfResources, payload.error().message};
  Lane::Relayed relayed = lane.pass_on(entry, *payload);
  if (failed_) return *failed_;  // what came was not sound
  Reply reply = reply_of(relayed.attempt, delivery.destination);
  count("sluice_passed_on_total", {{"destination", delivery.destination},
                                   {"outcome", reply.is_stored() ? "delivered" : "undelivered"}});
  if (relayed.attempt.result != AttemptResult::delivered) {
    outcome_ = "undelivered";
    if (reply.is_stored()) reply = {status::kOutOfResources, relayed.attempt.reason};
    return reply;
  }
  acknowledged_by_ = "destination";
  InstanceRow row = instance_row(incoming_->as_received(), header);
  row.has_file = false;
  delivery.state = DeliveryState::delivered;
  delivery.attempts = 1;
  delivery.status = relayed.attempt.status;
  delivery.reason = full_reason(relayed.attempt);
  services_.queue.note_passed(row, delivery);
  lane.settle(entry, std::move(relayed));
  return reply;
}

}  // namespace sluice
