#include "gateway/receive/session.h"

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/net/command_set.h"
#include "gateway/net/negotiation.h"

namespace sluice {
namespace {

namespace command = net::command;
using net::Ended;

tl::unexpected<Ended> broken(std::string reason) {
  return tl::unexpected<Ended>(Ended{Ended::Kind::protocol, std::move(reason)});
}

// Reads one data set, PDV by PDV. A command among them, another context, PDVs without end or
// content, or more than twice the largest size break the rules.
class DataSetReader {
 public:
  DataSetReader(net::Association& association, std::uint8_t context_id, std::uint64_t most)
      : association_(association), context_id_(context_id), most_(most) {}

  // Valid until the next call; nullopt at the end, and the same error again behind one.
  net::Received<std::optional<std::span<const std::byte>>> next() {
    if (ended_) return tl::unexpected<Ended>(*ended_);
    if (is_last_) return std::nullopt;
    const auto pdv = association_.next_pdv();
    if (!pdv) return end(pdv.error());
    if (pdv->is_command) return end("a command between the data PDVs of another");
    if (pdv->context_id != context_id_) {
      return end("a data set on another presentation context than its command");
    }
    if (pdv->data.empty() && !pdv->is_last && ++empty_ > net::kMaxEmptyPdvs) {
      return end("too many empty PDVs");
    }
    length_ += pdv->data.size();
    if (length_ / 2 > most_) return end("more than twice the largest instance size");
    is_last_ = pdv->is_last;
    return pdv->data;
  }

 private:
  tl::unexpected<Ended> end(Ended ended) {
    ended_ = std::move(ended);
    return tl::unexpected<Ended>(*ended_);
  }
  tl::unexpected<Ended> end(const char* rule) { return end({Ended::Kind::protocol, rule}); }

  net::Association& association_;
  std::uint8_t context_id_;
  std::uint64_t most_;
  std::uint64_t length_ = 0;
  int empty_ = 0;
  bool is_last_ = false;
  std::optional<Ended> ended_;
};

// The same for an intake that passes on.
ReceivedStream::Next stream_of(DataSetReader& reader) {
  return [&reader]() -> Result<std::span<const std::byte>> {
    for (;;) {
      const auto data = reader.next();
      if (!data) return failure(ErrorCode::transient, data.error().reason);
      if (!*data) return std::span<const std::byte>();
      if (!(*data)->empty()) return **data;
    }
  };
}

// All that comes, which the intake may pass on while it comes.
net::Received<void> read_into(DataSetReader& reader, Intake& intake) {
  for (;;) {
    const auto data = reader.next();
    if (!data) return tl::unexpected<Ended>(data.error());
    if (!*data) return {};
    intake.append(**data);
    if (intake.wants_to_pass_on()) intake.pass_on(stream_of(reader));
  }
}

}  // namespace

struct Session::Storing {
  Storing(const Services& services, const config::Gateway& gateway, const Provenance& from,
          const std::string& transfer_syntax, net::Association& association,
          net::ReceivedCommand request)
      : provenance(from),
        intake(services, gateway, from, transfer_syntax),
        response(association, std::move(request)) {}

  const Provenance provenance;
  Intake intake;
  Response response;
};

Session::Session(std::shared_ptr<const Setup> setup, const config::Listener& listener,
                 Services services, net::Arrival arrival)
    : setup_(std::move(setup)),
      gateway_(setup_->config.gateway),
      listener_(listener),
      services_(std::move(services)),
      connection_(std::move(arrival.connection)),
      request_(std::move(arrival.request)),
      slot_(std::move(arrival.slot)),
      transfers_(services_.audit, {audit::Direction::received,
                                   request_.called_ae_title,
                                   {request_.calling_ae_title, audit::AccessPoint::ip_address,
                                    connection_->peer_address()}}) {}

void Session::run() noexcept {
  try {
    serve();
  } catch (const std::exception& exception) {
    // No memory, most likely. The association went with serve()'s frame.
    try {
      count("sluice_associations_ended_total", {{"reason", "exception"}});
      log::error("association ended",
                 {{"peer_address", connection_->peer_address()}, {"reason", exception.what()}});
    } catch (const std::exception&) {
      // Not even a line can be logged; the thread still ends in order.
    }
  }
  transfers_.tell();
  connection_->close(std::chrono::milliseconds(0));
  slot_.reset();
}

void Session::serve() {
  auto association = net::Association::accept(
      connection_, net::negotiate(request_.contexts, listener_.transfer_syntaxes),
      listener_.max_pdu);
  if (!association) {
    count("sluice_associations_total", {{"outcome", "failed"}, {"reason", "negotiation"}});
    log::warning("association failed", {{"peer_address", connection_->peer_address()},
                                        {"calling_ae_title", request_.calling_ae_title},
                                        {"reason", association.error().message}});
    return;
  }
  count("sluice_associations_total", {{"outcome", "accepted"}, {"reason", ""}});
  log::info("association accepted", {{"listener", listener_.name},
                                     {"peer_address", connection_->peer_address()},
                                     {"calling_ae_title", request_.calling_ae_title},
                                     {"called_ae_title", request_.called_ae_title},
                                     {"contexts", association->contexts().size()}});
  const Presence open("sluice_open_associations",
                      {{"direction", "received"}, {"name", listener_.name}});
  note_certificate();
  std::optional<Storing> storing;
  for (;;) {
    const Handled handled = converse(*association, storing);
    if (handled) continue;
    end(*association, handled.error());
    return;
  }
}

// One message, and what is left to be done for the one before.
Session::Handled Session::converse(net::Association& association, std::optional<Storing>& storing) {
  connection_->await_message();
  if (storing) {
    connection_->wait_for_message();
    Handled answered = storing->response.await();
    storing.reset();
    if (!answered) return answered;
    connection_->await_message();  // from the response on
  }
  auto received = association.next_command();
  if (!received) return tl::unexpected<Ended>(received.error());
  return handle(association, std::move(*received), storing);
}

// Who a client is was proved by a certificate: PS3.15 A.5.3.12.
void Session::note_certificate() const {
  if (services_.audit == nullptr || connection_->tls() == nullptr) return;
  const auto certificate = connection_->tls()->peer_certificate();
  if (!certificate) return;
  services_.audit->user_authenticated(
      certificate->subject,
      {request_.calling_ae_title, audit::AccessPoint::ip_address, connection_->peer_address()},
      audit::Outcome::success, connection_->tls()->version());
}

void Session::note_broken_rule(const std::string& rule) const {
  if (services_.audit == nullptr) return;
  services_.audit->node_refused(
      {request_.calling_ae_title, audit::AccessPoint::ip_address, connection_->peer_address()},
      audit::Outcome::minor_failure, "association aborted: " + rule);
}

void Session::end(net::Association& association, const Ended& ended) const {
  const char* reason = "";
  switch (ended.kind) {
    case Ended::Kind::release_requested:
      reason = "released";
      association.acknowledge_release();
      break;
    case Ended::Kind::aborted_by_peer:
      reason = "aborted by peer";
      break;
    case Ended::Kind::connection:
      reason = "connection";
      association.abort(net::kAbortByUser);
      break;
    case Ended::Kind::protocol:
      reason = "protocol";
      association.abort(net::kAbortInvalidParameter);
      note_broken_rule(ended.reason);
      break;
  }
  count("sluice_associations_ended_total", {{"reason", reason}});
  const auto line = ended.kind == Ended::Kind::release_requested ? log::info : log::warning;
  line("association ended", {{"listener", listener_.name},
                             {"peer_address", connection_->peer_address()},
                             {"calling_ae_title", request_.calling_ae_title},
                             {"reason", ended.reason},
                             {"bytes_received", connection_->bytes_received()},
                             {"bytes_sent", connection_->bytes_sent()}});
}

Session::Handled Session::handle(net::Association& association, net::ReceivedCommand received,
                                 std::optional<Storing>& storing) {
  const auto field = received.set.number(command::kCommandField);
  if (!field) return broken("a command set without a command field");
  if ((*field & command::kResponse) != 0) return broken("a response that nobody asked for");
  if (*field == command::kCancelRequest) return {};  // there is nothing to cancel
  if (!received.set.number(command::kMessageId)) return broken("a request without a message id");
  if (*field == command::kStoreRequest) return store(association, std::move(received), storing);
  if (received.set.has_data_set()) {
    auto skipped = skip_data_set(association, received.context_id);
    if (!skipped) return skipped;
  }
  if (*field == command::kEchoRequest) {
    count("sluice_echo_total");
    return respond(association, received, {});
  }
  log::warning("unknown command refused", {{"peer_address", connection_->peer_address()},
                                           {"calling_ae_title", request_.calling_ae_title},
                                           {"command_field", *field}});
  return respond(association, received,
                 {status::kUnrecognizedOperation, "only C-STORE and C-ECHO are served here"});
}

Session::Handled Session::skip_data_set(net::Association& association,
                                        std::uint8_t context_id) const {
  DataSetReader reader(association, context_id, gateway_.max_instance_size);
  for (;;) {
    const auto data = reader.next();
    if (!data) return tl::unexpected<Ended>(data.error());
    if (!*data) return {};
  }
}

Session::Handled Session::store(net::Association& association, net::ReceivedCommand received,
                                std::optional<Storing>& storing) {
  const net::AcceptedContext* context = association.find_context(received.context_id);
  Reply refusal;
  if (context == nullptr || context->abstract_syntax == net::kVerificationSopClassUid) {
    refusal = {status::kSopClassNotSupported, "no storage SOP class on this presentation context"};
  } else if (received.set.text(command::kAffectedSopInstanceUid).empty() ||
             received.set.text(command::kAffectedSopClassUid).empty()) {
    refusal = {status::kCannotUnderstand, "C-STORE-RQ without SOP class or instance UID"};
  } else if (!received.set.has_data_set()) {
    refusal = {status::kCannotUnderstand, "C-STORE-RQ without a data set"};
  }
  if (refusal.status != status::kSuccess) return refuse(association, std::move(received), refusal);
  const std::uint8_t context_id = received.context_id;
  storing.emplace(services_, gateway_, provenance(received), context->transfer_syntax, association,
                  std::move(received));
  DataSetReader reader(association, context_id, gateway_.max_instance_size);
  if (const auto read = read_into(reader, storing->intake); !read) {
    count("sluice_received_total", {{"outcome", "aborted"}});
    log::warning("not stored: the association ended inside the instance",
                 {{"id", storing->intake.id()},
                  {"calling_ae_title", request_.calling_ae_title},
                  {"sop_instance_uid", storing->provenance.sop_instance_uid},
                  {"reason", read.error().reason}});
    return tl::unexpected<Ended>(read.error());
  }
  storing->response.expect();
  storing->intake.finish(
      [this, &stored = *storing](Reply reply) { answer(stored, std::move(reply)); });
  if (storing->response.comes_by_itself()) return {};
  Handled answered = storing->response.await();
  storing.reset();
  return answered;
}

Session::Handled Session::refuse(net::Association& association, net::ReceivedCommand received,
                                 const Reply& refusal) const {
  if (received.set.has_data_set()) {
    auto skipped = skip_data_set(association, received.context_id);
    if (!skipped) return skipped;
  }
  count("sluice_received_total", {{"outcome", "refused"}});
  log::warning("C-STORE refused", {{"peer_address", connection_->peer_address()},
                                   {"calling_ae_title", request_.calling_ae_title},
                                   {"reason", refusal.comment}});
  Response response(association, std::move(received));
  response.give(refusal);
  return response.await();
}

// In whatever thread.
void Session::answer(Storing& storing, Reply reply) noexcept {
  try {
    note_transfer(storing, reply);
  } catch (const std::exception&) {
    // No memory for the audit trail: the answer matters more.
  }
  storing.response.give(std::move(reply));
}

// What cannot be read has no patient, and is told by log and counter only.
void Session::note_transfer(const Storing& storing, const Reply& reply) {
  const auto& subject = storing.intake.subject();
  if (!subject) return;
  const audit::Outcome outcome = reply.is_stored() ? audit::Outcome::success
                                 : reply.status == status::kOutOfResources
                                     ? audit::Outcome::minor_failure
                                     : audit::Outcome::serious_failure;
  const Provenance& from = storing.provenance;
  transfers_.begin(*subject, from.sop_class_uid, from.received_at);
  transfers_.add(*subject, from.sop_class_uid, outcome, reply.comment);
}

Provenance Session::provenance(const net::ReceivedCommand& received) const {
  Provenance provenance;
  provenance.calling_ae_title = request_.calling_ae_title;
  provenance.called_ae_title = request_.called_ae_title;
  provenance.peer_address = connection_->peer_address();
  provenance.listener = listener_.name;
  provenance.sop_class_uid = received.set.text(command::kAffectedSopClassUid);
  provenance.sop_instance_uid = received.set.text(command::kAffectedSopInstanceUid);
  if (listener_.user_identity == config::UserIdentity::pass && request_.user_identity) {
    provenance.user_name = request_.user_identity->user_name;
  }
  // The queue keeps microseconds; the time must be the same when it is read back.
  provenance.received_at =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  return provenance;
}

Session::Handled Session::respond(net::Association& association,
                                  const net::ReceivedCommand& received, const Reply& reply) {
  const auto written =
      association.write_command(received.context_id, response_to(received.set, reply));
  if (written) return {};
  return tl::unexpected<Ended>(Ended{Ended::Kind::connection, written.error().message});
}

}  // namespace sluice
