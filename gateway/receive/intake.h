// One instance from its C-STORE-RQ to the status of its response.
//
//   Intake intake(services, config.gateway, provenance, transfer_syntax_uid);
//   for (auto pdv : pdvs) intake.append(pdv);
//   intake.finish([](Reply reply) { ... });
//
// Status 0000 means: ledger and queue are committed, and before that either every destination
// has accepted it or its file was synced; so the instance survives a power cut. The short way
// (deliver/relay.h) is for what is in memory, new, and wanted by prompt destinations only; a
// route may ask for the disk. Any other status means: nothing of it is kept. After a
// failure append() takes what still comes and stores none of it, because the sender
// reads the status only when all is sent.
//
// The same bytes again are answered 0000 and not kept, when what came first is safe and
// under way or delivered; its file is looked at before that is said. Other bytes under a
// known SOP Instance UID are kept, flagged, and treated as gateway.other_bytes says.
//
// Destroyed before finish(), it leaves nothing. One thread, but for the reply, which may come
// from another; the services must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/audit/messages.h"
#include "gateway/config/config.h"
#include "gateway/deliver/relay.h"
#include "gateway/dicom/header.h"
#include "gateway/pipeline/instance.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/queue/queue_record.h"
#include "gateway/receive/server.h"
#include "gateway/spool/spool.h"

namespace sluice {

// Statuses of C-STORE (PS3.4 B.2.3, PS3.7 Annex C).
namespace status {
inline constexpr std::uint16_t kSuccess = 0x0000;
inline constexpr std::uint16_t kOutOfResources = 0xA700;
inline constexpr std::uint16_t kDataSetDoesNotMatch = 0xA900;
inline constexpr std::uint16_t kCannotUnderstand = 0xC000;
inline constexpr std::uint16_t kSopClassNotSupported = 0x0122;
inline constexpr std::uint16_t kUnrecognizedOperation = 0x0211;
}  // namespace status

struct Reply {
  std::uint16_t status = status::kSuccess;
  std::string comment;  // for the person at the console; "" with success

  // Without or with a warning (PS3.4 Table B.2-1): a warning is a destination's own.
  [[nodiscard]] bool is_stored() const { return status == 0 || (status & 0xF000U) == 0xB000U; }
};

class Intake {
 public:
  // `provenance.id` is given here. Both UIDs of it as in the command, without padding.
  Intake(Services services, const config::Gateway& gateway, Provenance provenance,
         std::string transfer_syntax_uid);
  ~Intake() = default;
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  // Bytes of the data set, in order.
  void append(std::span<const std::byte> bytes) noexcept;

  // True once, when its routes keep nothing and enough is known of it: pass_on() is to take
  // the rest, while it comes.
  [[nodiscard]] bool wants_to_pass_on() noexcept;
  // Sends it to its destination, the end only when all of it is known to be sound. Bytes that
  // `next` is not asked for are the caller's to append.
  void pass_on(const ReceivedStream::Next& next) noexcept;

  // The data set is complete. Once. `answer` is called once, from this thread before this
  // returns, or soon from another, of which others wait behind it; it must not throw. From then
  // on the intake may end, and not earlier.
  using Answer = std::function<void(Reply)>;
  void finish(Answer answer) noexcept;

  [[nodiscard]] const std::string& id() const { return provenance_.id; }

  // Whose and of which study it is, once finish() could read that and there is an audit
  // trail.
  [[nodiscard]] const std::optional<audit::Subject>& subject() const { return subject_; }

 private:
  void take(std::span<const std::byte> bytes);
  void fail(std::uint16_t status, std::string comment);
  // nullopt: it is answered when its rows are durable.
  using Completed = std::optional<Reply>;
  [[nodiscard]] Completed complete();
  // What the sender is told of an instance that is not what its command says.
  [[nodiscard]] std::optional<Reply> objection(const dicom::Header& header);
  [[nodiscard]] tl::expected<Decision, Reply> decide(const dicom::Header& header);
  // acknowledge = "delivered": in intake_passing.cpp.
  [[nodiscard]] bool decides_to_pass_on();
  [[nodiscard]] Result<std::span<const std::byte>> pass_next(const ReceivedStream::Next& next);
  [[nodiscard]] Reply send_on(Payload::Source source, const dicom::Header& header,
                              const Decision& decision);
  [[nodiscard]] Reply send_to(Lane& lane, DeliveryRow delivery, Payload::Source source,
                              const Instance& edited);
  void note_subject(const dicom::Header& header);
  void note_irregular_tags(const dicom::Header& header);
  [[nodiscard]] static bool all_equal(const dicom::Header& header, dicom::Tag tag,
                                      std::string_view expected);
  [[nodiscard]] InstanceRow instance_row(const StoredFile& stored,
                                         const dicom::Header& header) const;
  [[nodiscard]] Completed keep(const dicom::Header& header, const Decision& decision);
  [[nodiscard]] bool may_stay_in_memory() const;
  // Of a new SOP Instance UID.
  [[nodiscard]] Completed keep_new(const dicom::Header& header, const Decision& decision,
                                   const std::vector<DeliveryRow>& deliveries,
                                   UidClaims::Claim claim);
  [[nodiscard]] Reply settle(const Result<void>& added);
  void give(Reply reply) noexcept;
  void report_unrecorded(const Error& error) const;
  [[nodiscard]] Result<SameUidRules> rules(const StoredFile& stored) const;
  [[nodiscard]] Result<Added> add(const InstanceRow& row,
                                  const std::vector<DeliveryRow>& deliveries, SameUidRules rules);
  [[nodiscard]] bool is_sound(const std::string& id) const;
  void note_known(const Added& added) noexcept;
  void report_other_bytes(const Added& added) const;
  [[nodiscard]] Reply refused_by(std::string_view store, const Error& error) const;
  void discard() noexcept;
  void report(const Reply& reply) const;
  void report_success() const;
  void list_rejection(const Reply& reply) const;

  Services services_;
  const config::Gateway& gateway_;
  Provenance provenance_;
  std::optional<Incoming> incoming_;
  std::optional<dicom::Scanner> scanner_;
  std::optional<Reply> failed_;                // or passed on: what finish() says
  bool asked_ = false;                         // whether it is to be passed on while it comes
  std::optional<dicom::Header> early_header_;  // these two: when that was asked
  std::optional<Decision> early_decision_;
  std::optional<audit::Subject> subject_;
  std::string transfer_syntax_uid_;
  std::string outcome_ = "stored";        // for the log
  std::string acknowledged_by_ = "disk";  // or "destination", for log and counter
  std::string known_as_;                  // for the log: the earlier one with this UID
  std::string routes_;                    // for the log: names, comma-separated
  std::string irregular_tags_;            // "": none
  std::uint64_t length_ = 0;              // bytes that came
  std::shared_ptr<QueueRecord> rows_;     // these two: while they are made durable
  std::optional<Relay> relay_;
  Answer answer_;
};

}  // namespace sluice
