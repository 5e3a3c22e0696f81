// The one class that owns a socket, on the receiving and on the sending side.
//
// It gives what dcmnet's own connection does not: each PDU leaves in one write,
// although dcmnet hands over head and data apart; TCP_NODELAY; what came and was not
// answered is acknowledged before a wait (TCP_QUICKACK), so that a peer with Nagle's
// algorithm on does not wait 40 ms for it; deadlines on the monotonic clock; counters;
// bytes read ahead, so that a PDU costs one system call and not two.
//
// Deadlines. await_message() begins the time between messages: the first byte must
// come within `idle`, and the whole message within `message` after it. set_deadline()
// bounds what follows otherwise. Inside either, `stall` bounds the time without a byte.
//
// Over TLS all of this holds, too: what counts and waits are the bytes inside. A record
// of TLS (up to 16 KiB) gives none before it is whole, so `stall` bounds it as one byte.
//
// One thread uses a connection; shut_down() may be called from any, and write_now() while that
// one is in wait_for_message().
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/file_descriptor.h"
#include "gateway/net/pdu.h"
#include "gateway/net/stop_signal.h"
#include "gateway/net/tls_session.h"

struct iovec;

namespace sluice::net {

using SteadyTime = std::chrono::steady_clock::time_point;

struct Timeouts {
  std::chrono::milliseconds idle{60'000};
  std::chrono::milliseconds stall{30'000};
  std::chrono::milliseconds message{600'000};
};

class Connection {
 public:
  // Why nothing more can be read or written.
  enum class Ending {
    none,            // still usable
    closed_by_peer,  // in order: by FIN, over TLS by a close_notify
    broken,          // an error of the socket, or of TLS; over TLS a FIN alone, too
    idle,            // no message came
    stalled,         // no byte came, or could be sent, inside a message
    overdue,         // the message or answer took too long
    stopped,         // by StopSignal or shut_down()
    closed,          // by close()
  };

  // `received`: what was read already; read() gives it first. `stop` may be nullptr.
  // `tls`: over this socket; nullptr for plain TCP.
  Connection(FileDescriptor socket, std::string peer_address, Timeouts timeouts,
             std::vector<std::byte> received = {}, const StopSignal* stop = nullptr,
             std::unique_ptr<TlsSession> tls = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void await_message();
  void set_deadline(SteadyTime deadline);

  // The TLS handshake, until the deadline; first, unless it is done already. False when
  // it failed, and then tls()->failure() or ending() says why.
  [[nodiscard]] bool handshake() noexcept;

  // At least one byte, 0 when the peer closed, -1 on an error or a passed deadline.
  [[nodiscard]] std::ptrdiff_t read(std::span<std::byte> buffer) noexcept;

  // Behind await_message(): until read() would not wait for a first byte. Plain TCP only.
  void wait_for_message() noexcept;
  // The whole PDU in one write that does not wait; false when it was not taken, or not all of it
  // (errno EAGAIN). Nothing may be gathered. Plain TCP only.
  [[nodiscard]] bool write_now(std::span<const std::byte> pdu) noexcept;

  // True when read() would not wait. Waits at most `timeout`, and the deadlines.
  [[nodiscard]] bool wait_readable(std::chrono::milliseconds timeout) noexcept;

  // Takes all of it, or -1. Pieces are gathered until a PDU is whole; the last piece
  // is sent from where it stands.
  [[nodiscard]] std::ptrdiff_t write(std::span<const std::byte> bytes) noexcept;
  // The next PDU leaves with the one behind it, in one write.
  void hold_next() noexcept { holding_ = true; }

  // True while the peer has sent nothing unasked and has not closed. Between messages.
  [[nodiscard]] bool is_quiet() noexcept;

  // A-ABORT, unless a PDU is half written or was not taken, or an abort was sent; then
  // close(linger).
  void abort(Abort reason, std::chrono::milliseconds linger) noexcept;

  // Ends our side and reads until the peer ends its own, at most `linger`: closing at
  // once with unread bytes would reset the connection and lose what was sent last.
  void close(std::chrono::milliseconds linger) noexcept;

  // Ends reads and writes that wait, in whatever thread. Does not close.
  void shut_down() noexcept;

  [[nodiscard]] Ending ending() const { return ending_; }
  // "no byte for 30 s"; for logs and errors.
  [[nodiscard]] std::string ending_text() const;

  [[nodiscard]] const std::string& peer_address() const { return peer_address_; }
  [[nodiscard]] const TlsSession* tls() const { return tls_.get(); }  // nullptr: plain TCP
  [[nodiscard]] const Timeouts& timeouts() const { return timeouts_; }
  [[nodiscard]] std::uint64_t bytes_received() const { return bytes_received_; }
  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }
  // Calls of sendmsg() that took bytes; equal to the PDUs sent while the socket has room.
  // Over TLS: records.
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

 private:
  [[nodiscard]] std::size_t take_buffered(std::span<std::byte> buffer) noexcept;
  [[nodiscard]] std::ptrdiff_t receive(std::span<std::byte> buffer) noexcept;
  [[nodiscard]] std::ptrdiff_t receive_some(std::span<std::byte> buffer) noexcept;
  [[nodiscard]] std::ptrdiff_t receive_record(std::span<std::byte> buffer) noexcept;
  [[nodiscard]] bool read_ahead() noexcept;
  [[nodiscard]] bool send_all(std::span<iovec> parts) noexcept;
  [[nodiscard]] std::ptrdiff_t send_some(std::span<iovec> parts) noexcept;
  [[nodiscard]] std::ptrdiff_t send_record(std::span<const iovec> parts) noexcept;
  [[nodiscard]] short events(short plain) const { return tls_ ? tls_->wants() : plain; }
  [[nodiscard]] bool wait_for(short events, SteadyTime stall_limit) noexcept;
  void acknowledge() noexcept;
  void begin_message() noexcept;
  void end(Ending ending, int error_number = 0) noexcept;

  FileDescriptor socket_;
  std::unique_ptr<TlsSession> tls_;
  std::mutex socket_mutex_;  // close() against shut_down()
  std::string peer_address_;
  Timeouts timeouts_;
  const StopSignal* stop_;

  std::vector<std::byte> received_;  // handed over at construction
  std::size_t received_begin_ = 0;
  std::array<std::byte, std::size_t{16} * 1024> ahead_{};
  std::size_t ahead_begin_ = 0;
  std::size_t ahead_end_ = 0;

  std::vector<std::byte> gathered_;  // PDUs that are held, then the beginning of one
  std::size_t held_ = 0;             // bytes of the former
  bool holding_ = false;
  bool torn_ = false;  // a PDU left half, or not taken
  bool abort_sent_ = false;

  bool awaiting_ = false;  // between messages
  bool has_come_ = false;  // the next one's first byte
  SteadyTime deadline_ = SteadyTime::max();
  Ending ending_ = Ending::none;
  int error_number_ = 0;
  std::atomic<bool> shut_down_ = false;

  std::uint64_t bytes_received_ = 0;
  std::uint64_t acknowledged_ = 0;  // of those
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace sluice::net
