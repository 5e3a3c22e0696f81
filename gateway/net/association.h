// An association as RAII, for both sides: dcmnet's state machine over a connection of
// ours, with PDVs raw in both directions and command sets by our own code.
//
// Destroyed, it is aborted unless it was released or has ended. One thread; only the
// connection's shut_down() may come from another.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/net/associate_request.h"
#include "gateway/net/command_set.h"
#include "gateway/net/connection.h"
#include "gateway/net/negotiation.h"
#include "gateway/net/requestor.h"

namespace sluice::net {

inline constexpr std::size_t kMaxCommandSet = std::size_t{16} * 1024;  // bytes; dcmnet has no limit
inline constexpr int kMaxEmptyPdvs = 64;                               // of one message

// A presentation data value (PS3.8 9.3.5.1). The data stay valid until the next read.
struct Pdv {
  std::uint8_t context_id = 0;
  bool is_command = false;
  bool is_last = false;
  std::span<const std::byte> data;
};

struct ReceivedCommand {
  std::uint8_t context_id = 0;
  CommandSet set;
};

// Why no PDV came.
struct Ended {
  enum class Kind {
    release_requested,  // answer by acknowledge_release()
    aborted_by_peer,
    connection,  // closed, broken or a deadline: Connection::ending()
    protocol,    // the peer broke the rules
  };
  Kind kind = Kind::protocol;
  std::string reason;
};

template <typename T>
using Received = tl::expected<T, Ended>;

class Association {
 public:
  // Acceptor: answers the request whose bytes the connection was given. Errors: transient.
  [[nodiscard]] static Result<Association> accept(std::shared_ptr<Connection> connection,
                                                  const std::vector<NegotiatedContext>& contexts,
                                                  std::uint32_t max_pdu);

  // Requestor: over a connection that is open. Errors: as Requestor::open().
  [[nodiscard]] static Opened<Association> request(std::shared_ptr<Connection> connection,
                                                   const RequestorOptions& options);

  ~Association();
  Association(Association&&) noexcept;
  Association& operator=(Association&&) noexcept;
  Association(const Association&) = delete;
  Association& operator=(const Association&) = delete;

  [[nodiscard]] Connection& connection() const;

  // The accepted ones.
  [[nodiscard]] const std::vector<AcceptedContext>& contexts() const;
  [[nodiscard]] const AcceptedContext* find_context(std::uint8_t id) const;

  // Requestor: what the peer said of itself; nothing of the connection.
  [[nodiscard]] Peer peer() const;

  // A PDV on a presentation context that was not accepted breaks the rules.
  [[nodiscard]] Received<Pdv> next_pdv();

  // Reads a whole command set. A data PDV, PDVs of two contexts, more than
  // kMaxCommandSet bytes or kMaxEmptyPdvs empty ones break the rules.
  [[nodiscard]] Received<ReceivedCommand> next_command();

  // Bytes that one data PDV may hold towards this peer; even.
  [[nodiscard]] std::size_t max_pdv_data() const;

  // Errors: transient.
  [[nodiscard]] Result<void> write_command(std::uint8_t context_id, const CommandSet& set);
  // The same as one PDU of no more than max_pdv_data(), in one write that does not wait. From
  // any thread, while the association's own is in Connection::wait_for_message(). Plain TCP only.
  // Errors: transient; then it was not taken, or in part.
  [[nodiscard]] Result<void> write_command_now(std::uint8_t context_id, const CommandSet& set);
  [[nodiscard]] Result<void> write_data(std::uint8_t context_id, std::span<const std::byte> data,
                                        bool is_last);

  // A-RELEASE-RP, then closes.
  void acknowledge_release();

  // A-RELEASE-RQ, waits for the answer until the deadline, then closes. False, and
  // aborted, when none came.
  bool release(SteadyTime deadline);

  // A-ABORT, then closes. No more than a second, whatever the peer does.
  void abort(Abort reason);

 private:
  struct State;
  explicit Association(std::unique_ptr<State> state);
  [[nodiscard]] Ended ended(bool peer_aborted, const char* text) const;
  [[nodiscard]] Result<void> write(std::uint8_t context_id, bool is_command,
                                   std::span<const std::byte> data, bool is_last);
  std::unique_ptr<State> state_;
};

}  // namespace sluice::net
