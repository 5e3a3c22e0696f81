#include "gateway/net/association.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dul.h>
#include <dcmtk/ofstd/ofstd.h>

#include "gateway/dicom/implementation.h"
#include "gateway/net/transport.h"

namespace sluice::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAbortLinger{500};
constexpr milliseconds kReleaseLinger{1'000};
constexpr std::size_t kPdvOverhead = 12;          // PDU and PDV heads, as dcmnet counts them
constexpr std::size_t kMaxTransferSyntaxes = 50;  // dcmnet's DICOM_MAXTRANSFERSYNTAXES
constexpr std::size_t kMaxUidLength = 64;
constexpr std::size_t kMaxAeTitleLength = 16;
constexpr std::size_t kMaxUserName = 1024;  // dcmnet has room for 65,535
constexpr long kLeastMaxPdu = 14;           // one byte in each PDV

std::uint32_t usable_max_pdu(std::uint32_t max_pdu) {
  const std::uint32_t even = max_pdu & ~std::uint32_t{1};
  return std::clamp<std::uint32_t>(even, ASC_MINIMUMPDUSIZE, ASC_MAXIMUMPDUSIZE);
}

template <std::size_t N>
void copy_text(char (&target)[N], const char* text) {
  OFStandard::strlcpy(target, text, N);
}

void set_implementation(T_ASC_Parameters& parameters) {
  copy_text(parameters.ourImplementationClassUID, dicom::kImplementationClassUid.data());
  copy_text(parameters.ourImplementationVersionName, dicom::kImplementationVersionName.data());
}

// Frees parameters until an association has taken them over.
struct ParametersDeleter {
  void operator()(T_ASC_Parameters* parameters) const {
    static_cast<void>(ASC_destroyAssociationParameters(&parameters));
  }
};
using Parameters = std::unique_ptr<T_ASC_Parameters, ParametersDeleter>;

}  // namespace

struct Association::State {
  std::shared_ptr<Connection> connection;
  T_ASC_Association* association = nullptr;
  std::vector<AcceptedContext> contexts;
  std::uint32_t max_send = ASC_MAXIMUMPDUSIZE;  // bytes of a PDU towards the peer
  bool open = false;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (open) connection->abort(kAbortByUser, kAbortLinger);
    connection->close(milliseconds(0));
    static_cast<void>(ASC_destroyAssociation(&association));
  }
};

Association::Association(std::unique_ptr<State> state) : state_(std::move(state)) {}
Association::~Association() = default;
Association::Association(Association&&) noexcept = default;
Association& Association::operator=(Association&&) noexcept = default;

Connection& Association::connection() const {
  return *state_->connection;
}

const std::vector<AcceptedContext>& Association::contexts() const {
  return state_->contexts;
}

Peer Association::peer() const {
  const T_ASC_Parameters& parameters = *state_->association->params;
  Peer peer;
  peer.implementation_class_uid = parameters.theirImplementationClassUID;
  peer.implementation_version_name = parameters.theirImplementationVersionName;
  peer.max_pdu = state_->max_send;
  return peer;
}

const AcceptedContext* Association::find_context(std::uint8_t id) const {
  const auto found =
      std::find_if(state_->contexts.begin(), state_->contexts.end(),
                   [id](const AcceptedContext& context) { return context.id == id; });
  return found == state_->contexts.end() ? nullptr : &*found;
}

Result<Association> Association::accept(std::shared_ptr<Connection> connection,
                                        const std::vector<NegotiatedContext>& contexts,
                                        std::uint32_t max_pdu) {
  const auto network = dcmnet_network();
  if (!network) return tl::unexpected<Error>(network.error());
  auto state = std::make_unique<State>();
  state->connection = std::move(connection);
  const auto failed = [&](const char* what, const OFCondition& condition) {
    std::string reason = state->connection->ending() == Connection::Ending::none
                             ? condition.text()
                             : state->connection->ending_text();
    return failure(ErrorCode::transient, std::string(what) + ": " + reason);
  };
  state->open = true;
  OFCondition condition;
  {
    const HandOver hand_over(state->connection, usable_max_pdu(max_pdu));
    condition = ASC_receiveAssociation(*network, &state->association, usable_max_pdu(max_pdu),
                                       nullptr, nullptr, OFFalse, DUL_BLOCK);
  }
  if (condition == EC_MemoryExhausted) state->association = nullptr;  // half made: not to be freed
  if (condition.bad()) return failed("the association request was not taken", condition);

  T_ASC_Parameters& parameters = *state->association->params;
  set_implementation(parameters);
  for (const NegotiatedContext& context : contexts) {
    if (context.result == ContextResult::accepted) {
      condition =
          ASC_acceptPresentationContext(&parameters, context.id, context.transfer_syntax.c_str());
      state->contexts.push_back({context.id, context.abstract_syntax, context.transfer_syntax});
    } else {
      condition = ASC_refusePresentationContext(&parameters, context.id,
                                                static_cast<T_ASC_P_ResultReason>(context.result));
    }
    if (condition.bad()) return failed("a presentation context was not answered", condition);
  }
  condition = ASC_acknowledgeAssociation(state->association);
  if (condition.bad()) return failed("the association was not acknowledged", condition);
  const long peer_max = parameters.theirMaxPDUReceiveSize;
  if (peer_max > 0 && peer_max < ASC_MAXIMUMPDUSIZE) {
    state->max_send = static_cast<std::uint32_t>(peer_max);
  }
  return Association(std::move(state));
}

namespace {

Result<void> check_options(const RequestorOptions& options) {
  const auto bad = [](const std::string& what) { return failure(ErrorCode::configuration, what); };
  for (const std::string& title : {options.calling_ae_title, options.called_ae_title}) {
    if (title.empty() || title.size() > kMaxAeTitleLength) {
      return bad("the AE title '" + title + "' is not 1 to 16 characters long");
    }
  }
  if (options.user_name.size() > kMaxUserName ||
      options.user_name.find('\0') != std::string::npos) {
    return bad("a user name that is too long, or no text");  // itself not for a log
  }
  if (options.contexts.empty() || options.contexts.size() > kMaxContexts) {
    return bad(std::to_string(options.contexts.size()) +
               " presentation contexts to propose; 1 to 128 are possible");
  }
  for (const ProposedContext& context : options.contexts) {
    if (context.transfer_syntaxes.empty() ||
        context.transfer_syntaxes.size() > kMaxTransferSyntaxes) {
      return bad("no, or more than 50, transfer syntaxes to propose for " +
                 context.abstract_syntax);
    }
    for (const std::string& uid : context.transfer_syntaxes) {
      if (uid.empty() || uid.size() > kMaxUidLength) return bad("'" + uid + "' is no UID");
    }
    if (context.abstract_syntax.empty() || context.abstract_syntax.size() > kMaxUidLength) {
      return bad("'" + context.abstract_syntax + "' is no UID of a SOP class");
    }
  }
  return {};
}

std::uint8_t context_id(std::size_t index) {
  return static_cast<std::uint8_t>(2 * index + 1);
}

Result<Parameters> make_parameters(const RequestorOptions& options) {
  T_ASC_Parameters* made = nullptr;
  OFCondition condition = ASC_createAssociationParameters(&made, usable_max_pdu(options.max_pdu));
  Parameters parameters(made);
  if (condition.good()) {
    set_implementation(*made);
    condition = ASC_setAPTitles(made, options.calling_ae_title.c_str(),
                                options.called_ae_title.c_str(), nullptr);
  }
  if (condition.good()) {
    condition = ASC_setPresentationAddresses(made, "127.0.0.1", hand_over_address());
  }
  if (condition.good() && !options.user_name.empty()) {
    // Without a positive response: what the peer thinks of the user shows in its answers.
    condition = ASC_setIdentRQUserOnly(made, options.user_name, OFFalse);
  }
  for (std::size_t i = 0; condition.good() && i < options.contexts.size(); ++i) {
    const ProposedContext& context = options.contexts[i];
    std::vector<const char*> syntaxes;
    for (const std::string& uid : context.transfer_syntaxes) syntaxes.push_back(uid.c_str());
    condition = ASC_addPresentationContext(made, context_id(i), context.abstract_syntax.c_str(),
                                           syntaxes.data(), static_cast<int>(syntaxes.size()));
  }
  if (condition.bad()) return failure(ErrorCode::transient, condition.text());
  return parameters;
}

OpenError rejection_error(T_ASC_Parameters& parameters) {
  T_ASC_RejectParameters rejected{};
  static_cast<void>(ASC_getRejectParameters(&parameters, &rejected));
  const Rejection rejection{static_cast<std::uint8_t>(rejected.result),
                            static_cast<std::uint8_t>(rejected.source),
                            static_cast<std::uint8_t>(rejected.reason & 0xFF)};
  const bool permanent = rejection.result == Rejection::permanent;
  return {{permanent ? ErrorCode::configuration : ErrorCode::transient,
           "association rejected (" + std::string(permanent ? "permanent" : "transient") +
               "): " + std::string(reason_text(rejection))},
          OpenError::Kind::rejected,
          rejection};
}

// What became of a request that was neither accepted nor rejected.
OpenError unanswered_error(const Connection& connection, const OFCondition& condition) {
  using Kind = OpenError::Kind;
  const auto error = [](Kind kind, const std::string& reason) {
    return OpenError{{ErrorCode::transient, "no association: " + reason}, kind};
  };
  switch (connection.ending()) {
    case Connection::Ending::none:
      break;
    case Connection::Ending::closed_by_peer:
    case Connection::Ending::broken:
      return error(Kind::ended, connection.ending_text());
    case Connection::Ending::idle:
    case Connection::Ending::stalled:
    case Connection::Ending::overdue:
      return error(Kind::silent, connection.ending_text());
    case Connection::Ending::stopped:
    case Connection::Ending::closed:
      return error(Kind::ours, connection.ending_text());
  }
  if (condition == DUL_PEERABORTEDASSOCIATION) {
    return error(Kind::ended, "the peer aborted the association");
  }
  return error(condition == EC_MemoryExhausted ? Kind::ours : Kind::unusable, condition.text());
}

tl::unexpected<OpenError> unusable(const std::string& answer) {
  return tl::unexpected(
      OpenError{{ErrorCode::transient, "no association: " + answer}, OpenError::Kind::unusable});
}

// What the peer accepted of what was proposed. A context it made up, or a transfer
// syntax that was not proposed, is not accepted.
std::vector<AcceptedContext> accepted_contexts(T_ASC_Parameters& parameters,
                                               const RequestorOptions& options) {
  std::vector<AcceptedContext> accepted;
  for (std::size_t i = 0; i < options.contexts.size(); ++i) {
    T_ASC_PresentationContext context{};
    const ProposedContext& proposed = options.contexts[i];
    if (ASC_findAcceptedPresentationContext(&parameters, context_id(i), &context).bad()) continue;
    const std::string syntax = context.acceptedTransferSyntax;
    const auto& syntaxes = proposed.transfer_syntaxes;
    if (std::find(syntaxes.begin(), syntaxes.end(), syntax) == syntaxes.end()) continue;
    accepted.push_back({context_id(i), proposed.abstract_syntax, syntax});
  }
  return accepted;
}

}  // namespace

Opened<Association> Association::request(std::shared_ptr<Connection> connection,
                                         const RequestorOptions& options) {
  if (auto checked = check_options(options); !checked) {
    return tl::unexpected(OpenError{checked.error()});
  }
  const auto network = dcmnet_network();
  if (!network) return tl::unexpected(OpenError{network.error()});
  auto parameters = make_parameters(options);
  if (!parameters) return tl::unexpected(OpenError{parameters.error()});

  auto state = std::make_unique<State>();
  state->connection = std::move(connection);
  state->open = true;
  T_ASC_Parameters& made = **parameters;
  OFCondition condition;
  {
    const HandOver hand_over(state->connection, usable_max_pdu(options.max_pdu));
    condition = ASC_requestAssociation(*network, &made, &state->association, nullptr, nullptr,
                                       DUL_BLOCK, 0);
  }
  // The parameters belong to the association as soon as there is one.
  if (state->association != nullptr) static_cast<void>(parameters->release());
  if (condition == DUL_ASSOCIATIONREJECTED) {
    state->open = false;
    return tl::unexpected(rejection_error(made));
  }
  if (condition.bad()) return tl::unexpected(unanswered_error(*state->connection, condition));
  // dcmnet takes an A-RELEASE-RQ for an acceptance of nothing. Whoever accepts has an
  // answer for every context (PS3.8 9.3.3.2).
  LST_HEAD* results = made.DULparams.acceptedPresentationContext;
  if (results == nullptr || LST_Count(&results) == 0) {
    return unusable("the peer answered without a word on presentation contexts");
  }
  state->contexts = accepted_contexts(made, options);
  state->max_send = usable_max_pdu(options.max_pdu);
  const long peer_max = made.theirMaxPDUReceiveSize;
  if (peer_max > 0 && peer_max < kLeastMaxPdu) {
    return unusable("the peer's maximum PDU of " + std::to_string(peer_max) +
                    " bytes holds no message");
  }
  if (peer_max > 0 && peer_max < static_cast<long>(state->max_send)) {
    state->max_send = static_cast<std::uint32_t>(peer_max);
  }
  return Association(std::move(state));
}

Ended Association::ended(bool peer_aborted, const char* text) const {
  const Connection& connection = *state_->connection;
  if (connection.ending() != Connection::Ending::none) {
    return {Ended::Kind::connection, connection.ending_text()};
  }
  if (peer_aborted) return {Ended::Kind::aborted_by_peer, "the peer aborted the association"};
  return {Ended::Kind::protocol, text};
}

Received<Pdv> Association::next_pdv() {
  DUL_ASSOCIATIONKEY** key = &state_->association->DULassociation;
  DUL_PDV pdv{};
  OFCondition condition = DUL_NextPDV(key, &pdv);
  if (condition == DUL_NOPDVS) {
    condition = DUL_ReadPDVs(key, nullptr, DUL_BLOCK, 0);
    if (condition == DUL_PEERREQUESTEDRELEASE) {
      return tl::unexpected<Ended>(
          Ended{Ended::Kind::release_requested, "the peer released the association"});
    }
    if (condition != DUL_PDATAPDUARRIVED) {
      // A good condition: dcmnet has answered something else by an A-ABORT of its own.
      return tl::unexpected<Ended>(
          ended(condition == DUL_PEERABORTEDASSOCIATION,
                condition.good() ? "an unexpected PDU" : condition.text()));
    }
    condition = DUL_NextPDV(key, &pdv);
  }
  if (condition.bad()) return tl::unexpected<Ended>(ended(false, condition.text()));
  if (find_context(pdv.presentationContextID) == nullptr) {
    return tl::unexpected<Ended>(Ended{
        Ended::Kind::protocol,
        "presentation context " + std::to_string(pdv.presentationContextID) + " was not accepted"});
  }
  return Pdv{pdv.presentationContextID, pdv.pdvType == DUL_COMMANDPDV, pdv.lastPDV != OFFalse,
             std::span(static_cast<const std::byte*>(pdv.data), pdv.fragmentLength)};
}

Received<ReceivedCommand> Association::next_command() {
  const auto broken = [](std::string what) {
    return tl::unexpected<Ended>(Ended{Ended::Kind::protocol, std::move(what)});
  };
  std::vector<std::byte> bytes;
  std::optional<std::uint8_t> context_id;
  int empty = 0;
  for (;;) {
    const auto pdv = next_pdv();
    if (!pdv) return tl::unexpected<Ended>(pdv.error());
    if (!pdv->is_command) return broken("a data PDV where a command was due");
    if (context_id.value_or(pdv->context_id) != pdv->context_id) {
      return broken("a command on two presentation contexts");
    }
    context_id = pdv->context_id;
    if (pdv->data.empty() && ++empty > kMaxEmptyPdvs) return broken("too many empty PDVs");
    if (bytes.size() + pdv->data.size() > kMaxCommandSet) {
      return broken("a command set of more than 16 KiB");
    }
    bytes.insert(bytes.end(), pdv->data.begin(), pdv->data.end());
    if (pdv->is_last) break;
  }
  auto set = CommandSet::parse(bytes);
  if (!set) return broken(set.error().message);
  return ReceivedCommand{*context_id, std::move(*set)};
}

std::size_t Association::max_pdv_data() const {
  return (state_->max_send - kPdvOverhead) & ~std::size_t{1};
}

Result<void> Association::write(std::uint8_t context_id, bool is_command,
                                std::span<const std::byte> data, bool is_last) {
  // dcmnet takes a pointer to non-const data, and reads only.
  DUL_PDV pdv{data.size(), context_id, is_command ? DUL_COMMANDPDV : DUL_DATASETPDV,
              // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
              is_last ? OFTrue : OFFalse, const_cast<std::byte*>(data.data())};
  DUL_PDVLIST list{};
  list.count = 1;
  list.pdv = &pdv;
  const OFCondition condition = DUL_WritePDVs(&state_->association->DULassociation, &list);
  if (condition.good()) return {};
  return failure(ErrorCode::transient, "sending failed: " + ended(false, condition.text()).reason);
}

Result<void> Association::write_command(std::uint8_t context_id, const CommandSet& set) {
  return write(context_id, true, set.encode(), true);
}

Result<void> Association::write_command_now(std::uint8_t context_id, const CommandSet& set) {
  const std::vector<std::byte> pdu = encode_command(context_id, set.encode());
  if (state_->connection->write_now(pdu)) return {};
  const bool is_full = errno == EAGAIN || errno == EWOULDBLOCK;
  return failure(ErrorCode::transient,
                 std::string("sending failed: the peer ") +
                     (is_full ? "does not read its answers" : "closed the connection"));
}

Result<void> Association::write_data(std::uint8_t context_id, std::span<const std::byte> data,
                                     bool is_last) {
  return write(context_id, false, data, is_last);
}

void Association::acknowledge_release() {
  state_->connection->set_deadline(std::chrono::steady_clock::now() + kReleaseLinger);
  static_cast<void>(ASC_acknowledgeRelease(state_->association));
  state_->connection->close(kReleaseLinger);
  state_->open = false;
}

bool Association::release(SteadyTime deadline) {
  state_->connection->set_deadline(deadline);
  const OFCondition condition = ASC_releaseAssociation(state_->association);
  if (condition.bad()) {
    abort(kAbortByUser);
    return false;
  }
  state_->connection->close(milliseconds(0));
  state_->open = false;
  return true;
}

void Association::abort(Abort reason) {
  state_->connection->abort(reason, kAbortLinger);
  state_->open = false;
}

}  // namespace sluice::net
