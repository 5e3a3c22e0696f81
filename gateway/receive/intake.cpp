#include "gateway/receive/intake.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/dicom/uid.h"
#include "gateway/receive/delivery_rows.h"

namespace sluice {
namespace {

std::string hexadecimal(std::uint16_t status) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (int shift = 12; shift >= 0; shift -= 4) text.push_back(kDigits[status >> shift & 0xF]);
  return text;
}

std::string text_of(const dicom::Header& header, dicom::Tag tag) {
  const auto index = header.find(tag);
  if (!index) return {};
  const auto value = header.value(*index);
  return value ? std::string(dicom::trim_uid(*value)) : std::string();
}

bool is_final(const DeliveryRow& row) {
  return row.state == DeliveryState::dropped;
}

}  // namespace

Intake::Intake(const Services& services, const config::Gateway& gateway, Provenance provenance,
               const std::string& transfer_syntax_uid)
    : services_(services),
      gateway_(gateway),
      provenance_(std::move(provenance)),
      transfer_syntax_uid_(transfer_syntax_uid) {
  auto incoming = services_.spool.create({provenance_.sop_class_uid, provenance_.sop_instance_uid,
                                          transfer_syntax_uid, provenance_.calling_ae_title});
  if (!incoming) {
    fail(status::kOutOfResources, incoming.error().message);
    return;
  }
  incoming_.emplace(std::move(*incoming));
  provenance_.id = incoming_->id();
  scanner_.emplace(dicom::transfer_syntax(transfer_syntax_uid), dicom::ScanLimits{});
}

void Intake::fail(std::uint16_t status, std::string comment) {
  if (!failed_) failed_ = Reply{status, std::move(comment)};
  discard();
}

void Intake::discard() noexcept {
  if (incoming_) incoming_->discard();
  incoming_.reset();
  scanner_.reset();
}

void Intake::append(std::span<const std::byte> bytes) noexcept {
  length_ += bytes.size();
  if (failed_) return;
  try {
    take(bytes);
  } catch (const std::exception&) {
    // Without a comment, which would need memory: finish() finds one.
    failed_ = Reply{status::kOutOfResources, {}};
    discard();
  }
}

void Intake::take(std::span<const std::byte> bytes) {
  if (length_ > gateway_.max_instance_size) {
    fail(status::kOutOfResources,
         "Out of resources: larger than " + std::to_string(gateway_.max_instance_size) + " bytes");
    return;
  }
  if (const auto written = incoming_->append(bytes); !written) {
    fail(status::kOutOfResources, written.error().message);
    return;
  }
  if (const auto scanned = scanner_->feed(bytes); !scanned) {
    fail(status::kCannotUnderstand, scanned.error().message);
  }
}

bool Intake::is_hopeless() const {
  return length_ / 2 > gateway_.max_instance_size;
}

Reply Intake::finish() noexcept {
  Reply reply;
  try {
    reply = complete();
  } catch (const std::exception&) {
    reply.status = status::kOutOfResources;
  }
  try {
    if (reply.status != status::kSuccess) {
      discard();
      if (reply.comment.empty()) reply.comment = "Out of resources: no memory";
    }
    report(reply);
  } catch (const std::exception&) {
    // No memory for a log line: the answer matters more.
  }
  return reply;
}

// True when every element with this tag has this value, padding aside: the second of
// two must not slip past a comparison that looks at the first.
bool Intake::all_equal(const dicom::Header& header, dicom::Tag tag, std::string_view expected) {
  const auto differs = [&](dicom::ElementIndex index) {
    const auto value = header.value(index);
    return !value || dicom::trim_uid(*value) != dicom::trim_uid(expected);
  };
  const auto first = header.find(tag);
  if (!first || differs(*first)) return false;
  if (!header.is_unordered()) return true;
  const auto elements = header.elements();
  for (dicom::ElementIndex i = 0; i < elements.size(); ++i) {
    if (elements[i].tag == tag && elements[i].parent == dicom::kRoot && differs(i)) return false;
  }
  return true;
}

Reply Intake::complete() {
  if (failed_) return *failed_;
  const auto header = scanner_->finish();
  if (!header) return {status::kCannotUnderstand, header.error().message};
  note_subject(*header);
  if (!all_equal(*header, dicom::tags::kSopClassUid, provenance_.sop_class_uid)) {
    return {status::kDataSetDoesNotMatch, "SOP Class UID (0008,0016) is not that of the command"};
  }
  // Whether the SOP Instance UID is the command's is for the pipeline to say, since a
  // filter may have a policy for it; but then there must be one such UID only.
  const std::string instance_uid = text_of(*header, dicom::tags::kSopInstanceUid);
  if (!instance_uid.empty() && !all_equal(*header, dicom::tags::kSopInstanceUid, instance_uid)) {
    return {status::kDataSetDoesNotMatch, "two SOP Instance UIDs (0008,0018)"};
  }
  const auto stored = incoming_->close();
  if (!stored) return {status::kOutOfResources, stored.error().message};
  const auto decision = services_.pipeline.decide(provenance_, *header, services_.ledger);
  if (!decision) {
    if (decision.error().code == ErrorCode::transient)
      return refused_by("ledger", decision.error());
    return {status::kCannotUnderstand, decision.error().message};
  }
  if (const Reject* reject = decision->rejected()) {
    outcome_ = "rejected";
    return {reject->status, reject->reason};
  }
  if (decision->routes.empty() && gateway_.unrouted == "reject") {
    outcome_ = "rejected";
    return {status::kCannotUnderstand, "no route takes this instance"};
  }
  return keep(*stored, *header, *decision);
}

void Intake::note_subject(const dicom::Header& header) {
  if (services_.audit == nullptr) return;
  const auto text = [&](dicom::Tag tag) {
    const auto index = header.find(tag);
    const auto value = index ? header.value(*index) : std::nullopt;
    return std::string(dicom::trim_uid(value.value_or("")));
  };
  subject_ = audit::Subject{text(dicom::tags::kPatientId), text(dicom::tags::kPatientName),
                            text(dicom::tags::kSpecificCharacterSet),
                            text_of(header, dicom::tags::kStudyInstanceUid)};
}

// The store's message names our files: it is for the log, not for the sender.
Reply Intake::refused_by(std::string_view store, const Error& error) const {
  log::error("a store refused an instance",
             {{"id", provenance_.id}, {"store", store}, {"reason", error.message}});
  return {status::kOutOfResources,
          "Out of resources: the " + std::string(store) + " cannot be written"};
}

Reply Intake::keep(const StoredFile& stored, const dicom::Header& header,
                   const Decision& decision) {
  const std::vector<DeliveryRow> deliveries =
      delivery_rows(provenance_, decision, gateway_.unrouted == "drop");
  // What the routes decided must be durable before the row that relies on it.
  if (const auto committed = services_.ledger.commit(); !committed) {
    return refused_by("ledger", committed.error());
  }
  for (const RouteDecision& route : decision.routes) {
    if (!routes_.empty()) routes_ += ",";
    routes_ += route.route;
  }
  if (std::all_of(deliveries.begin(), deliveries.end(), is_final)) outcome_ = "dropped";
  // Last: once this has returned, nothing may fail any more.
  const auto added = services_.queue.add(instance_row(stored, header), deliveries);
  if (!added) return refused_by("queue", added.error());
  return {};
}

InstanceRow Intake::instance_row(const StoredFile& stored, const dicom::Header& header) const {
  InstanceRow row;
  row.id = stored.id;
  row.received_at = provenance_.received_at;
  row.calling_ae_title = provenance_.calling_ae_title;
  row.called_ae_title = provenance_.called_ae_title;
  row.peer_address = provenance_.peer_address;
  row.listener = provenance_.listener;
  row.sop_class_uid = provenance_.sop_class_uid;
  row.sop_instance_uid = provenance_.sop_instance_uid;
  row.study_instance_uid = text_of(header, dicom::tags::kStudyInstanceUid);
  row.series_instance_uid = text_of(header, dicom::tags::kSeriesInstanceUid);
  row.transfer_syntax_uid = transfer_syntax_uid_;
  row.data_set_offset = stored.data_set_offset;
  row.data_set_length = stored.data_set_length;
  row.digest = stored.digest;
  return row;
}

void Intake::report(const Reply& reply) const {
  if (reply.status == status::kSuccess) {
    count("sluice_received_total", {{"outcome", outcome_}});
    count("sluice_received_bytes_total", {}, length_);
    log::info(outcome_, {{"id", provenance_.id},
                         {"calling_ae_title", provenance_.calling_ae_title},
                         {"sop_instance_uid", provenance_.sop_instance_uid},
                         {"bytes", length_},
                         {"route", routes_}});
    return;
  }
  const std::string_view outcome = reply.status == status::kDataSetDoesNotMatch ? "mismatch"
                                   : outcome_ == "rejected"                     ? "rejected"
                                   : reply.status == status::kCannotUnderstand  ? "corrupt"
                                                                                : "failed";
  count("sluice_received_total", {{"outcome", std::string(outcome)}});
  log::warning("not stored", {{"id", provenance_.id},
                              {"calling_ae_title", provenance_.calling_ae_title},
                              {"peer_address", provenance_.peer_address},
                              {"sop_instance_uid", provenance_.sop_instance_uid},
                              {"bytes", length_},
                              {"status", hexadecimal(reply.status)},
                              {"reason", reply.comment}});
}

}  // namespace sluice
