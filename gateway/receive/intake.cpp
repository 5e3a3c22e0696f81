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

// Narrower than where it is read again: what was acknowledged must stay readable.
dicom::ScanLimits scan_limits(const config::Gateway& gateway) {
  // An empty image may well be 1000 times its deflated size. Text, of which the values are
  // kept in memory, is not.
  constexpr std::uint64_t kHeaderInflateRatio = 100;
  dicom::ScanLimits limits;
  static_assert(config::kMostNesting <= dicom::kMostNesting);
  limits.depth = static_cast<std::uint32_t>(gateway.max_nesting);
  limits.inflated = std::min(limits.inflated, gateway.max_instance_size);
  limits.header_inflate_ratio = kHeaderInflateRatio;
  return limits;
}

constexpr std::size_t kHeadRoom = std::size_t{4} * 1024;  // file head before the data set
constexpr std::string_view kTooLongToPassOn =
    "its header is too long to be passed on without a file";

bool is_final(const DeliveryRow& row) {
  return row.state == DeliveryState::dropped;
}

}  // namespace

Intake::Intake(Services services, const config::Gateway& gateway, Provenance provenance,
               std::string transfer_syntax_uid)
    : services_(std::move(services)),
      gateway_(gateway),
      provenance_(std::move(provenance)),
      transfer_syntax_uid_(std::move(transfer_syntax_uid)) {
  auto incoming = services_.spool.create({provenance_.sop_class_uid, provenance_.sop_instance_uid,
                                          transfer_syntax_uid_, provenance_.calling_ae_title});
  if (!incoming) {
    fail(status::kOutOfResources, incoming.error().message);
    return;
  }
  incoming_.emplace(std::move(*incoming));
  if (!may_stay_in_memory()) incoming_->begin_file();
  provenance_.id = incoming_->id();
  scanner_.emplace(dicom::transfer_syntax(transfer_syntax_uid_), scan_limits(gateway_));
}

// Not known yet is which route it takes.
bool Intake::may_stay_in_memory() const {
  return std::ranges::any_of(services_.pipeline.routes(), [&](const Route& route) {
    return route.acknowledge() == config::Acknowledge::delivered ||
           (route.acknowledge() == config::Acknowledge::safe && services_.dispatcher != nullptr &&
            Relay::is_possible(*services_.dispatcher, route.destinations(),
                               gateway_.delivery_patience));
  });
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
  // Nothing of it may go to the disk.
  if (length_ > kInMemory - kHeadRoom && services_.pipeline.all_pass_on()) {
    fail(status::kOutOfResources, std::string(kTooLongToPassOn));
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

void Intake::finish(Answer answer) noexcept {
  answer_ = std::move(answer);
  try {
    if (auto reply = complete()) give(std::move(*reply));
  } catch (const std::exception&) {
    give({status::kOutOfResources, {}});
  }
}

// Behind it this may be gone.
void Intake::give(Reply reply) noexcept {
  try {
    if (!reply.is_stored()) {
      discard();
      if (reply.comment.empty()) reply.comment = "Out of resources: no memory";
    }
    report(reply);
  } catch (const std::exception&) {
    // No memory for a log line: the answer matters more.
  }
  const Answer answer = std::move(answer_);
  answer(std::move(reply));
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

std::optional<Reply> Intake::objection(const dicom::Header& header) {
  note_subject(header);
  if (!all_equal(header, dicom::tags::kSopClassUid, provenance_.sop_class_uid)) {
    return Reply{status::kDataSetDoesNotMatch,
                 "SOP Class UID (0008,0016) is not that of the command"};
  }
  // Whether the SOP Instance UID is the command's is for the pipeline to say, since a
  // filter may have a policy for it; but then there must be one such UID only.
  const std::string instance_uid = text_of(header, dicom::tags::kSopInstanceUid);
  if (header.find(dicom::tags::kSopInstanceUid) &&
      !all_equal(header, dicom::tags::kSopInstanceUid, instance_uid)) {
    return Reply{status::kDataSetDoesNotMatch, "two SOP Instance UIDs (0008,0018)"};
  }
  return std::nullopt;
}

// What a filter rejects, too, is a reply.
tl::expected<Decision, Reply> Intake::decide(const dicom::Header& header) {
  auto decision = services_.pipeline.decide(provenance_, header, services_.ledger);
  if (!decision) {
    if (decision.error().code == ErrorCode::transient) {
      return tl::unexpected(refused_by("ledger", decision.error()));
    }
    return tl::unexpected(Reply{status::kCannotUnderstand, decision.error().message});
  }
  if (const Reject* reject = decision->rejected()) {
    outcome_ = "rejected";
    return tl::unexpected(Reply{reject->status, reject->reason});
  }
  if (decision->routes.empty() && gateway_.unrouted == "reject") {
    outcome_ = "rejected";
    return tl::unexpected(Reply{status::kCannotUnderstand, "no route takes this instance"});
  }
  return std::move(*decision);
}

Intake::Completed Intake::complete() {
  if (failed_) return *failed_;
  const auto header = scanner_->finish();
  if (!header) return Reply{status::kCannotUnderstand, header.error().message};
  note_irregular_tags(*header);
  if (auto refusal = objection(*header)) return *refusal;
  if (early_header_ && early_header_->irregular_tags() != irregular_tags_) early_decision_.reset();
  auto decision = early_decision_ ? std::move(*early_decision_) : decide(*header);
  if (!decision) return decision.error();
  if (decision->acknowledge() != config::Acknowledge::delivered) return keep(*header, *decision);
  const auto data_set = incoming_->in_memory();
  if (!data_set) return Reply{status::kOutOfResources, std::string(kTooLongToPassOn)};
  return send_on(SpoolReader(*data_set), *header, *decision);
}

// Tags only: what stands in them may name the patient.
void Intake::note_irregular_tags(const dicom::Header& header) {
  irregular_tags_ = header.irregular_tags();
  if (irregular_tags_.empty()) return;
  count("sluice_irregular_tags_total", {{"policy", gateway_.irregular_tags}});
  log::warning("tags twice or out of order", {{"id", provenance_.id},
                                              {"calling_ae_title", provenance_.calling_ae_title},
                                              {"sop_instance_uid", provenance_.sop_instance_uid},
                                              {"tags", irregular_tags_},
                                              {"policy", gateway_.irregular_tags}});
}

void Intake::note_subject(const dicom::Header& header) {
  if (services_.audit == nullptr) return;
  subject_ = audit::Subject{text_of(header, dicom::tags::kPatientId),
                            text_of(header, dicom::tags::kPatientName),
                            text_of(header, dicom::tags::kSpecificCharacterSet),
                            text_of(header, dicom::tags::kStudyInstanceUid)};
}

// The store's message names our files: it is for the log, not for the sender.
Reply Intake::refused_by(std::string_view store, const Error& error) const {
  log::error("a store refused an instance",
             {{"id", provenance_.id}, {"store", store}, {"reason", error.message}});
  return {status::kOutOfResources,
          "Out of resources: the " + std::string(store) + " cannot be written"};
}

Intake::Completed Intake::keep(const dicom::Header& header, const Decision& decision) {
  if (!services_.queue.has_room()) {
    count("sluice_queue_errors_total", {{"reason", "disk full"}});
    return Reply{status::kOutOfResources, "gateway disk full, send again later"};
  }
  const std::vector<DeliveryRow> deliveries =
      delivery_rows(provenance_, decision, gateway_.unrouted == "drop");
  // What the routes decided must be durable before the row that relies on it, and before
  // anyone sees it.
  if (const auto committed = services_.ledger.commit(); !committed) {
    return refused_by("ledger", committed.error());
  }
  for (const RouteDecision& route : decision.routes) {
    if (!routes_.empty()) routes_ += ",";
    routes_ += route.route;
  }
  if (std::all_of(deliveries.begin(), deliveries.end(), is_final)) outcome_ = "dropped";
  auto claim = services_.queue.claim_uid(provenance_.sop_instance_uid);
  if (!claim) return refused_by("queue", claim.error());
  auto same_uid = rules(incoming_->as_received());
  if (!same_uid) return refused_by("ledger", same_uid.error());
  const auto known = services_.queue.knows_uid(provenance_.sop_instance_uid);
  const bool is_new = known && !*known && !same_uid->had_new_uid;
  if (is_new) return keep_new(header, decision, deliveries, std::move(*claim));
  const auto stored = incoming_->close();
  if (!stored) return Reply{status::kOutOfResources, stored.error().message};
  // Last: once this has returned, nothing may fail any more.
  const auto added = add(instance_row(*stored, header), deliveries, std::move(*same_uid));
  if (!added) return refused_by("queue", added.error());
  note_known(*added);
  return Reply{};
}

// Nobody else adds under this UID meanwhile: it may be sent before its row is there.
//
// What a destination has accepted cannot be taken back. When all have, the image is safe, also
// where the disk fails just now and no row can tell of it: a refusal would not be true. When
// only some have, the sender is refused, sends it again, and those get it twice.
Intake::Completed Intake::keep_new(const dicom::Header& header, const Decision& decision,
                                   const std::vector<DeliveryRow>& deliveries,
                                   UidClaims::Claim claim) {
  rows_ = std::make_shared<QueueRecord>();
  InstanceRow& row = rows_->instance = instance_row(incoming_->as_received(), header);
  if (services_.dispatcher != nullptr) {
    relay_ = Relay::begin(*services_.dispatcher, deliveries, gateway_.delivery_patience);
  }
  const auto data_set = incoming_->in_memory();
  // What is deflated is changed by way of files.
  if (relay_ && data_set && decision.acknowledge() != config::Acknowledge::stored &&
      !header.transfer_syntax().deflated) {
    relay_->send(row, decision, *data_set);
    relay_->wait();
  }
  row.has_file = !relay_ || !relay_->is_delivered();
  if (row.has_file) {
    if (const auto stored = incoming_->close(); !stored) {
      return Reply{status::kOutOfResources, stored.error().message};
    }
    if (relay_) relay_->take_rest();
  } else {
    acknowledged_by_ = "destination";
    discard();
  }
  rows_->deliveries = relay_ ? relay_->deliveries() : deliveries;
  services_.queue.add_new(rows_, std::move(claim), [this](const Result<void>& added) noexcept {
    try {
      give(settle(added));
    } catch (const std::exception&) {
      give({status::kOutOfResources, {}});
    }
  });
  return std::nullopt;
}

Reply Intake::settle(const Result<void>& added) {
  if (!added && rows_->instance.has_file) return refused_by("queue", added.error());
  if (!added) report_unrecorded(added.error());
  if (relay_) relay_->settle(rows_->instance);
  return {};
}

void Intake::report_unrecorded(const Error& error) const {
  count("sluice_unrecorded_total");
  log::error("delivered, but not in the history: the queue cannot be written",
             {{"id", provenance_.id},
              {"calling_ae_title", provenance_.calling_ae_title},
              {"sop_instance_uid", provenance_.sop_instance_uid},
              {"reason", error.message}});
}

Result<SameUidRules> Intake::rules(const StoredFile& stored) const {
  SameUidRules rules;
  rules.window = gateway_.duplicate_window;
  rules.other_bytes = parse_other_bytes(gateway_.other_bytes).value_or(OtherBytes::quarantine);
  if (rules.other_bytes != OtherBytes::new_uid) return rules;
  rules.new_uid =
      services_.pipeline.uid_for_other_bytes(provenance_.sop_instance_uid, stored.digest);
  const auto used = Pipeline::was_used(rules.new_uid, services_.ledger);
  if (!used) return tl::unexpected(used.error());
  rules.had_new_uid = *used;
  return rules;
}

// What the queue would rely on is looked at between two questions to it, not while its
// writer waits. Each turn knows one file more; a new one can only have come meanwhile.
Result<Added> Intake::add(const InstanceRow& row, const std::vector<DeliveryRow>& deliveries,
                          SameUidRules rules) {
  constexpr int kMostTurns = 100;
  for (int turn = 0; turn < kMostTurns; ++turn) {
    auto added = services_.queue.add_unless_known(row, deliveries, rules);
    if (!added || added->to_check.empty()) return added;
    for (const std::string& id : added->to_check) {
      (is_sound(id) ? rules.sound : rules.unsound).push_back(id);
    }
  }
  return failure(ErrorCode::transient, "the same instance comes too often at once");
}

// One that is gone was delivered meanwhile, and the queue says so when it is asked again.
// One that cannot be read just now is not relied on either: a second delivery is better
// than none.
bool Intake::is_sound(const std::string& id) const {
  QueueFilter filter;
  filter.instance_id = id;
  filter.limit = 1;
  const auto entries = services_.queue.list(filter);
  if (!entries || entries->empty()) return false;
  const InstanceRow& row = entries->front().instance;
  const auto reader =
      services_.spool.read({row.id, row.data_set_offset, row.data_set_length, row.digest});
  return reader && reader->verify(row.digest);
}

// After the commit nothing may throw. The file of a duplicate goes before the answer; one
// that cannot be removed now is reported at the next start.
void Intake::note_known(const Added& added) noexcept {
  if (added.is_duplicate) discard();
  try {
    if (added.is_duplicate) {
      outcome_ = "duplicate";
      known_as_ = added.same_as;
    } else if (!added.other_bytes_of.empty()) {
      report_other_bytes(added);
    } else if (added.replaced > 0) {
      log::info("sent again; takes the place of deliveries that rested",
                {{"id", provenance_.id}, {"first", added.same_as}, {"deliveries", added.replaced}});
    }
  } catch (const std::exception&) {
    return;  // no memory for a log line: the answer matters more
  }
}

void Intake::report_other_bytes(const Added& added) const {
  count("sluice_other_bytes_total", {{"policy", gateway_.other_bytes}});
  log::warning("other bytes under a known SOP Instance UID",
               {{"id", provenance_.id},
                {"first", added.other_bytes_of},
                {"calling_ae_title", provenance_.calling_ae_title},
                {"sop_instance_uid", provenance_.sop_instance_uid},
                {"policy", gateway_.other_bytes}});
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
  row.user_name = provenance_.user_name;
  row.irregular_tags = irregular_tags_;
  return row;
}

void Intake::report(const Reply& reply) const {
  if (reply.is_stored()) return report_success();
  const std::string_view outcome = outcome_ == "undelivered"                      ? "undelivered"
                                   : reply.status == status::kDataSetDoesNotMatch ? "mismatch"
                                   : outcome_ == "rejected"                       ? "rejected"
                                   : reply.status == status::kCannotUnderstand    ? "corrupt"
                                                                                  : "failed";
  count("sluice_received_total", {{"outcome", std::string(outcome)}});
  log::warning("not stored", {{"id", provenance_.id},
                              {"calling_ae_title", provenance_.calling_ae_title},
                              {"peer_address", provenance_.peer_address},
                              {"sop_instance_uid", provenance_.sop_instance_uid},
                              {"bytes", length_},
                              {"status", hexadecimal(reply.status)},
                              {"reason", reply.comment}});
  // A gateway in trouble is no fault of the instance: its sender tries again by itself.
  if (outcome != "failed" && outcome != "undelivered") list_rejection(reply);
}

void Intake::report_success() const {
  count("sluice_received_total", {{"outcome", outcome_}});
  count("sluice_received_bytes_total", {}, length_);
  count("sluice_acknowledged_total", {{"by", acknowledged_by_}});
  if (outcome_ == "duplicate") {
    log::info("duplicate", {{"id", provenance_.id},
                            {"first", known_as_},
                            {"calling_ae_title", provenance_.calling_ae_title},
                            {"sop_instance_uid", provenance_.sop_instance_uid},
                            {"bytes", length_}});
    return;
  }
  log::info(outcome_, {{"id", provenance_.id},
                       {"calling_ae_title", provenance_.calling_ae_title},
                       {"sop_instance_uid", provenance_.sop_instance_uid},
                       {"bytes", length_},
                       {"route", routes_},
                       {"acknowledged_by", acknowledged_by_}});
}

void Intake::list_rejection(const Reply& reply) const {
  Rejection rejection;
  rejection.id = provenance_.id;
  rejection.received_at = provenance_.received_at;
  rejection.updated_at = provenance_.received_at;
  rejection.calling_ae_title = provenance_.calling_ae_title;
  rejection.called_ae_title = provenance_.called_ae_title;
  rejection.peer_address = provenance_.peer_address;
  rejection.listener = provenance_.listener;
  rejection.sop_class_uid = provenance_.sop_class_uid;
  rejection.sop_instance_uid = provenance_.sop_instance_uid;
  rejection.transfer_syntax_uid = transfer_syntax_uid_;
  rejection.data_set_length = length_;
  rejection.status = hexadecimal(reply.status);
  rejection.reason = reply.comment;
  services_.queue.note_rejection(rejection);
}

}  // namespace sluice
