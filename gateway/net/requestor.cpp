#include "gateway/net/requestor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/net/association.h"
#include "gateway/net/connect.h"

namespace sluice::net {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// Everything is sent and answered by then: a silent peer is not worth a worker's time.
constexpr milliseconds kReleasePatience{5'000};

// Of the whole process: an answer that a confused peer gives on a later association than
// it was asked on must not fit a message there.
std::uint16_t take_message_id() {
  static std::atomic<std::uint16_t> last = 0;
  std::uint16_t id = 0;
  while (id == 0) id = ++last;
  return id;
}

// PS3.7 9.3.1.1
std::uint16_t number_of(config::Priority priority) {
  switch (priority) {
    case config::Priority::high:
      return command::kHighPriority;
    case config::Priority::low:
      return command::kLowPriority;
    case config::Priority::medium:
      break;
  }
  return command::kMediumPriority;
}

bool says_stored(std::uint16_t status) {
  return status == 0 || (status & 0xF000U) == 0xB000U;
}

}  // namespace

struct Requestor::State {
  State(Association opened, const RequestorOptions& options)
      : association(std::move(opened)),
        response_timeout(options.response_timeout),
        presence("sluice_open_associations", {{"direction", "sent"}, {"name", options.name}}) {}

  Association association;
  milliseconds response_timeout;
  Presence presence;
  Peer peer;
  bool open = true;
  // What answer() is to be to.
  struct Asked {
    std::uint8_t context_id = 0;
    CommandSet request;
    bool is_whole = false;  // no answer had come before all was sent
  };
  Asked asked;
  // Two PDVs: the last one is known only when there is no next.
  std::array<std::vector<std::byte>, 2> buffers;

  tl::unexpected<Error> fail(Error error) {
    if (std::exchange(open, false)) association.abort(kAbortByUser);
    return tl::unexpected<Error>(std::move(error));
  }
  tl::unexpected<Error> fail(const std::string& reason) {
    return fail(Error{ErrorCode::transient, reason});
  }

  static Result<std::size_t> fill(DataSource& data, std::vector<std::byte>& buffer);
  // False when the peer had answered before all was sent.
  Result<bool> send_data(std::uint8_t context_id, DataSource& data);
  Result<CommandSet> receive_response(std::uint8_t context_id, const CommandSet& request);
};

// Fills the buffer, so that no PDV but the last is short or of odd length.
Result<std::size_t> Requestor::State::fill(DataSource& data, std::vector<std::byte>& buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const auto length = data.read(std::span(buffer).subspan(filled));
    if (!length) return tl::unexpected<Error>(length.error());
    if (*length == 0) break;
    if (*length > buffer.size() - filled) {
      return failure(ErrorCode::permanent, "the data source gave more than was asked for");
    }
    filled += *length;
  }
  return filled;
}

Result<bool> Requestor::State::send_data(std::uint8_t context_id, DataSource& data) {
  for (auto& buffer : buffers) buffer.resize(association.max_pdv_data());
  std::size_t current = 0;
  auto length = fill(data, buffers[current]);
  for (;;) {
    if (!length) return fail(length.error());
    const std::size_t ready = *length;
    std::vector<std::byte>& buffer = buffers[current];
    bool last = ready < buffer.size();
    if (!last) {
      current = 1 - current;
      length = fill(data, buffers[current]);
      if (!length) return fail(length.error());
      last = *length == 0;
    }
    const bool unanswered = !last || association.connection().is_quiet();
    const auto sent = association.write_data(context_id, std::span(buffer).first(ready), last);
    if (!sent) return fail(sent.error());
    if (last) return unanswered;
  }
}

Result<CommandSet> Requestor::State::receive_response(std::uint8_t context_id,
                                                      const CommandSet& request) {
  association.connection().set_deadline(steady_clock::now() + response_timeout);
  auto response = association.next_command();
  if (!response) {
    if (response.error().kind == Ended::Kind::release_requested) {
      open = false;
      association.acknowledge_release();
    }
    return fail("no response: " + response.error().reason);
  }
  const CommandSet& set = response->set;
  const auto expected = request.number(command::kCommandField).value_or(0) | command::kResponse;
  const auto field = set.number(command::kCommandField);
  if (!field) return fail("a message without a command field");
  if (*field != expected) {
    return fail("the peer sent another message where the response was due (command field " +
                std::to_string(*field) + ")");
  }
  if (response->context_id != context_id) {
    return fail("the response came on another presentation context");
  }
  if (set.number(command::kMessageIdBeingRespondedTo) != request.number(command::kMessageId)) {
    return fail("the response is to another message id");
  }
  for (const auto element : {command::kAffectedSopClassUid, command::kAffectedSopInstanceUid}) {
    const std::string uid = set.text(element);
    if (!uid.empty() && uid != request.text(element)) {
      return fail("the response names another SOP class or instance: " + uid);
    }
  }
  if (set.has_data_set()) return fail("a response with a data set");
  if (!set.number(command::kStatus)) return fail("a response without a status");
  return std::move(response->set);
}

Requestor::Requestor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Requestor::Requestor(Requestor&&) noexcept = default;
Requestor& Requestor::operator=(Requestor&&) noexcept = default;
Requestor::~Requestor() = default;

namespace {

tl::unexpected<OpenError> failed_at(const RequestorOptions& options, OpenError error) {
  error.message = options.called_ae_title + " at " + options.host + " port " +
                  std::to_string(options.port) + ": " + error.message;
  return tl::unexpected<OpenError>(std::move(error));
}

tl::unexpected<OpenError> not_connected(const ConnectError& error) {
  using Kind = OpenError::Kind;
  const Kind kind = error.error_number == 0              ? Kind::unknown_host
                    : error.error_number == ECONNREFUSED ? Kind::refused
                                                         : Kind::unreachable;
  return tl::unexpected<OpenError>(OpenError{{error.code, error.message}, kind});
}

void raise_alert(const RequestorOptions& options, const Connection& connection) {
  const TlsFailure failure = connection.tls()->failure();
  raise({std::string(failure.reason), failure.detail, "destination", options.name,
         connection.peer_address(), connection.tls()->shown_subject(), options.calling_ae_title},
        options.security_alert);
}

// A destination without trust is away, not misconfigured: one expired certificate, or
// somebody in between with a certificate of his own, must not put a whole queue on hold
// for a person to release row by row. When the cause is mended all of it goes by itself.
Opened<std::shared_ptr<Connection>> connect(const RequestorOptions& options) {
  const SteadyTime deadline = steady_clock::now() + options.connect_timeout;
  auto connected = connect_to(options.host, options.port, deadline);
  if (!connected) return not_connected(connected.error());
  std::unique_ptr<TlsSession> tls;
  if (options.tls != nullptr) {
    auto session = options.tls->session(connected->socket.get());
    if (!session) return failed_at(options, {session.error(), OpenError::Kind::ours});
    tls = std::move(*session);
  }
  const Timeouts timeouts{options.response_timeout, options.response_timeout,
                          options.response_timeout};
  auto connection =
      std::make_shared<Connection>(std::move(connected->socket), connected->address, timeouts,
                                   std::vector<std::byte>(), nullptr, std::move(tls));
  connection->set_deadline(deadline);
  if (!connection->handshake()) {
    OpenError error{
        {ErrorCode::transient, "no TLS connection: " + connection->ending_text()},
        OpenError::Kind::tls,
        {},
        connection->tls()->has_failed() ? connection->tls()->failure().reason : "no answer"};
    if (connection->tls()->has_failed()) raise_alert(options, *connection);
    connection->close(milliseconds(0));
    return failed_at(options, std::move(error));
  }
  return connection;
}

}  // namespace

Opened<Requestor> Requestor::open(const RequestorOptions& options) {
  const auto begun = steady_clock::now();
  const auto connection = connect(options);
  if (!connection) return tl::unexpected<OpenError>(connection.error());
  const auto connected = steady_clock::now();
  (*connection)->set_deadline(connected + options.response_timeout);
  auto association = Association::request(*connection, options);
  if (!association) {
    // In TLS 1.3 a peer that does not take our certificate says so only now.
    const TlsSession* tls = (*connection)->tls();
    OpenError error = association.error();
    if (tls != nullptr && tls->was_refused()) {
      raise_alert(options, **connection);
      error.kind = OpenError::Kind::tls;
      error.tls_reason = tls->failure().reason;
    }
    return failed_at(options, std::move(error));
  }
  auto state = std::make_unique<State>(std::move(*association), options);
  state->peer = state->association.peer();
  state->peer.connected_in = connected - begun;
  if (const TlsSession* tls = (*connection)->tls(); tls != nullptr) {
    state->peer.tls = tls->version() + ", " + tls->cipher_suite();
  }
  return Requestor(std::move(state));
}

const Peer& Requestor::peer() const {
  return state_->peer;
}

const std::vector<AcceptedContext>& Requestor::contexts() const {
  return state_->association.contexts();
}

Result<StoreResponse> Requestor::store(std::uint8_t context_id, const std::string& sop_class_uid,
                                       const std::string& sop_instance_uid, DataSource& data) {
  const auto sent = send(context_id, sop_class_uid, sop_instance_uid, data, SteadyTime::max());
  if (!sent) return tl::unexpected<Error>(sent.error());
  return answer();
}

Result<void> Requestor::send(std::uint8_t context_id, const std::string& sop_class_uid,
                             const std::string& sop_instance_uid, DataSource& data,
                             SteadyTime until, config::Priority priority) {
  State& state = *state_;
  if (!state.open) return failure(ErrorCode::transient, "the association is closed");
  if (state.association.find_context(context_id) == nullptr) {
    return failure(ErrorCode::permanent,
                   "presentation context " + std::to_string(context_id) + " was not accepted");
  }
  CommandSet request;
  request.set_uid(command::kAffectedSopClassUid, sop_class_uid);
  request.set_number(command::kCommandField, command::kStoreRequest);
  request.set_number(command::kMessageId, take_message_id());
  request.set_number(command::kPriority, number_of(priority));
  request.set_number(command::kCommandDataSetType, command::kWithDataSet);
  request.set_uid(command::kAffectedSopInstanceUid, sop_instance_uid);
  // A large instance takes its time, and needs no deadline in all: a stall has one.
  Connection& connection = state.association.connection();
  connection.set_deadline(until);
  connection.hold_next();
  if (auto sent = state.association.write_command(context_id, request); !sent) {
    return state.fail(sent.error());
  }
  const auto sent = state.send_data(context_id, data);
  if (!sent) return tl::unexpected<Error>(sent.error());
  state.asked = {context_id, std::move(request), *sent};
  connection.set_deadline(SteadyTime::max());
  return {};
}

bool Requestor::has_answer(SteadyTime until) {
  Connection& connection = state_->association.connection();
  const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
  return connection.wait_readable(std::max(left, milliseconds(0))) ||
         connection.ending() != Connection::Ending::none;
}

Result<StoreResponse> Requestor::answer() {
  State& state = *state_;
  const State::Asked asked = std::exchange(state.asked, {});
  if (!state.open) return failure(ErrorCode::transient, "the association is closed");
  auto response = state.receive_response(asked.context_id, asked.request);
  if (!response) return tl::unexpected<Error>(response.error());
  const std::uint16_t status = response->number(command::kStatus).value_or(0);
  // A refusal may come early. What it had not read yet, it cannot have stored.
  if (!asked.is_whole && says_stored(status)) {
    return state.fail("the response came before the whole data set was sent");
  }
  return StoreResponse{status, response->text(command::kErrorComment)};
}

Result<std::uint16_t> Requestor::echo(std::uint8_t context_id) {
  State& state = *state_;
  if (!state.open) return failure(ErrorCode::transient, "the association is closed");
  if (state.association.find_context(context_id) == nullptr) {
    return failure(ErrorCode::permanent,
                   "presentation context " + std::to_string(context_id) + " was not accepted");
  }
  CommandSet request;
  request.set_uid(command::kAffectedSopClassUid, kVerificationSopClassUid);
  request.set_number(command::kCommandField, command::kEchoRequest);
  request.set_number(command::kMessageId, take_message_id());
  request.set_number(command::kCommandDataSetType, command::kNoDataSet);
  state.association.connection().set_deadline(steady_clock::now() + state.response_timeout);
  if (auto sent = state.association.write_command(context_id, request); !sent) {
    return state.fail(sent.error());
  }
  auto response = state.receive_response(context_id, request);
  if (!response) return tl::unexpected<Error>(response.error());
  return response->number(command::kStatus).value_or(0);
}

void Requestor::release() {
  if (!std::exchange(state_->open, false)) return;
  const milliseconds patience = std::min(state_->response_timeout, kReleasePatience);
  static_cast<void>(state_->association.release(steady_clock::now() + patience));
}

void Requestor::interrupt() noexcept {
  state_->association.connection().shut_down();
}

bool Requestor::is_open() const {
  return state_->open && state_->association.connection().is_quiet();
}

std::uint64_t Requestor::bytes_sent() const {
  return state_->association.connection().bytes_sent();
}

}  // namespace sluice::net
