#include "gateway/deliver/audited_sender.h"

#include <optional>
#include <utility>

#include "gateway/audit/transfers.h"
#include "gateway/config/address.h"

namespace sluice {
namespace {

// Instances that come one by one, as a modality makes them, are one transfer.
constexpr std::chrono::seconds kEndOfBatch{2};

audit::Route route_to(const config::Destination& destination) {
  audit::Node peer;
  if (destination.scheme.starts_with("dicom")) {
    peer.ae_title = destination.called_ae_title;
    peer.access_point_type = config::is_ip_address(destination.host)
                                 ? audit::AccessPoint::ip_address
                                 : audit::AccessPoint::machine_name;
    peer.access_point = destination.host;
  } else {
    peer.access_point_type = audit::AccessPoint::uri;
    peer.access_point = destination.scheme + "://" + destination.host + destination.folder;
  }
  return {audit::Direction::sent, destination.calling_ae_title, std::move(peer)};
}

// nullopt: nothing left the gateway.
std::optional<audit::Outcome> outcome_of(AttemptResult result) {
  switch (result) {
    case AttemptResult::delivered:
      return audit::Outcome::success;
    case AttemptResult::failed:
    case AttemptResult::refused:
      return audit::Outcome::minor_failure;  // tried again
    case AttemptResult::hold:
      return audit::Outcome::serious_failure;
    case AttemptResult::away:
    case AttemptResult::postponed:
    case AttemptResult::not_now:
    case AttemptResult::unanswered:
      return std::nullopt;
  }
  return std::nullopt;
}

class AuditedSender final : public Sender {
 public:
  AuditedSender(std::unique_ptr<Sender> sender, const config::Destination& destination,
                audit::Recorder* recorder)
      : sender_(std::move(sender)), transfers_(recorder, route_to(destination)) {}

  void prepare(std::span<const QueueEntry> batch) override { sender_->prepare(batch); }

  Attempt send(Payload& payload) override {
    begin(payload.identifiers());
    return tell(sender_->send(payload));
  }

  Attempt send_now(Payload& payload, SteadyTime until) override {
    begin(payload.identifiers());
    return tell(sender_->send_now(payload, until));
  }

  Attempt answer(SteadyTime until) override { return tell(sender_->answer(until)); }

  bool open() override { return sender_->open(); }
  bool is_open() override { return sender_->is_open(); }

  void idle(std::chrono::milliseconds since) override {
    if (since >= kEndOfBatch) transfers_.tell();
    sender_->idle(since);
  }

  void interrupt() override { sender_->interrupt(); }

 private:
  void begin(const Identifiers& of) {
    subject_ = {of.patient_id, of.patient_name, of.specific_character_set, of.study_instance_uid};
    sop_class_uid_ = of.sop_class_uid;
    transfers_.begin(subject_, sop_class_uid_, std::chrono::system_clock::now());
  }

  Attempt tell(Attempt attempt) {
    if (const auto outcome = outcome_of(attempt.result)) {
      transfers_.add(subject_, sop_class_uid_, *outcome, attempt.reason);
    }
    return attempt;
  }

  std::unique_ptr<Sender> sender_;
  audit::Subject subject_;  // of the last one sent
  std::string sop_class_uid_;
  audit::Transfers transfers_;
};

}  // namespace

std::unique_ptr<Sender> audited(std::unique_ptr<Sender> sender,
                                const config::Destination& destination, audit::Recorder* recorder) {
  if (recorder == nullptr) return sender;
  return std::make_unique<AuditedSender>(std::move(sender), destination, recorder);
}

}  // namespace sluice
