// The requesting side of an association: what a destination is sent through.
//
//   auto association = Requestor::open(options);
//   auto response = association->store(context_id, sop_class_uid, sop_instance_uid, data);
//   association->release();
//
// dcmnet runs over a connection of ours: TCP_NODELAY, one write per PDU,
// TCP_QUICKACK while waiting, deadlines on the monotonic clock. One thread per
// association; ASC_initializeNetwork happens once, before the first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/config/priority.h"
#include "gateway/net/pdu.h"
#include "gateway/net/security_alert.h"
#include "gateway/net/tls.h"

namespace sluice::net {

struct ProposedContext {
  std::string abstract_syntax;
  std::vector<std::string> transfer_syntaxes;
};

struct AcceptedContext {
  std::uint8_t id = 0;  // odd
  std::string abstract_syntax;
  std::string transfer_syntax;
};

struct RequestorOptions {
  std::string host;
  std::uint16_t port = 0;
  std::string calling_ae_title;
  std::string called_ae_title;
  std::uint32_t max_pdu = 131072;
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds response_timeout{60'000};
  std::string user_name;  // sent as user identity of type 1 (PS3.7 D.3.3.7); "": none is sent
  std::vector<ProposedContext> contexts;  // at most 128; ids are given in order
  std::string name;                       // of the destination, for alerts and counters
  std::shared_ptr<TlsContext> tls;        // nullptr: plain TCP
  SecurityAlertHook security_alert;
};

// Why there is no association.
struct OpenError : Error {
  enum class Kind {
    ours,          // options, files or memory of our own
    unknown_host,  // by that name
    refused,       // nobody listens at the port
    unreachable,   // no way there, or nobody takes the connection
    tls,
    rejected,  // by an A-ASSOCIATE-RJ
    ended,     // the peer aborted, or closed the connection
    silent,    // no answer to the A-ASSOCIATE-RQ in time
    unusable,  // an answer against the standard
  };
  Kind kind = Kind::ours;
  std::optional<Rejection> rejection = {};
  std::string_view tls_reason = {};  // as TlsFailure::reason
};
template <typename T>
using Opened = tl::expected<T, OpenError>;

// Who has accepted the association. Texts are the peer's own, to be escaped by whoever
// shows them.
struct Peer {
  std::string implementation_class_uid;
  std::string implementation_version_name;  // "" when it did not say
  std::uint32_t max_pdu = 0;                // negotiated: bytes of a PDU towards it
  std::string tls;                          // "TLSv1.3, TLS_AES_256_GCM_SHA384"; "" for plain TCP
  std::chrono::nanoseconds connected_in{};  // TCP and TLS
};

// The bytes of a data set, in order.
class DataSource {
 public:
  virtual ~DataSource() = default;
  // Fills the buffer; 0 at the end. Errors abort the association.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<std::byte> buffer) = 0;
};

struct StoreResponse {
  std::uint16_t status = 0;
  std::string error_comment;  // (0000,0902), escaped by whoever shows it
};

class Requestor {
 public:
  // Errors: transient for connection, TLS, time-out and transient rejection;
  // configuration for a permanent rejection, with the standard's reason (PS3.8 9.3.4).
  // TLS and connection have `connect_timeout` together.
  [[nodiscard]] static Opened<Requestor> open(const RequestorOptions& options);
  ~Requestor();  // aborts when not released
  Requestor(Requestor&&) noexcept;
  Requestor& operator=(Requestor&&) noexcept;
  Requestor(const Requestor&) = delete;
  Requestor& operator=(const Requestor&) = delete;

  [[nodiscard]] const std::vector<AcceptedContext>& contexts() const;
  [[nodiscard]] const Peer& peer() const;

  // C-STORE (PS3.7 9.1.1). The response counts only with the right message id,
  // context, command field and UIDs, and a success only behind the whole data set.
  // Errors: transient; the association is then closed, and after the last data PDV the
  // peer may have kept the instance.
  [[nodiscard]] Result<StoreResponse> store(std::uint8_t context_id,
                                            const std::string& sop_class_uid,
                                            const std::string& sop_instance_uid, DataSource& data);
  // The two halves of store(). What cannot be sent by `until` is an error. answer() must follow;
  // has_answer() waits until it will not, or `until`.
  [[nodiscard]] Result<void> send(std::uint8_t context_id, const std::string& sop_class_uid,
                                  const std::string& sop_instance_uid, DataSource& data,
                                  std::chrono::steady_clock::time_point until,
                                  config::Priority priority = config::Priority::medium);
  [[nodiscard]] bool has_answer(std::chrono::steady_clock::time_point until);
  [[nodiscard]] Result<StoreResponse> answer();

  // C-ECHO on a context of the Verification SOP class. Errors: transient.
  [[nodiscard]] Result<std::uint16_t> echo(std::uint8_t context_id);

  // A-RELEASE; aborts when the peer does not answer within the response deadline, or 5 s.
  void release();

  // False after an error, an abort or release by the peer, also between messages.
  [[nodiscard]] bool is_open() const;

  // Ends what is under way with an error. From any thread, while the object lives.
  void interrupt() noexcept;

  [[nodiscard]] std::uint64_t bytes_sent() const;

 private:
  struct State;
  explicit Requestor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::net
