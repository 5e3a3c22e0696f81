#include "gateway/net/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace sluice::net {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Socket options are for speed only; a socket that refuses one (a test's socket
// pair) still works.
void set_option(int socket, int option) {
  const int on = 1;
  static_cast<void>(::setsockopt(socket, IPPROTO_TCP, option, &on, sizeof(on)));
}

// Rounded up, so that a poll never returns just before its deadline.
int poll_timeout(SteadyTime until) {
  if (until == SteadyTime::max()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 24LL * 3600 * 1000));
}

std::string seconds_text(milliseconds duration) {
  if (duration.count() % 1000 == 0) return std::to_string(duration.count() / 1000) + " s";
  return std::to_string(duration.count()) + " ms";
}

// A deadline that lies beyond the clock's range is none.
SteadyTime after(milliseconds duration) {
  const SteadyTime now = steady_clock::now();
  return duration > duration_cast<milliseconds>(SteadyTime::max() - now) ? SteadyTime::max()
                                                                         : now + duration;
}

}  // namespace

Connection::Connection(FileDescriptor socket, std::string peer_address, Timeouts timeouts,
                       std::vector<std::byte> received, const StopSignal* stop,
                       std::unique_ptr<TlsSession> tls)
    : socket_(std::move(socket)),
      tls_(std::move(tls)),
      peer_address_(std::move(peer_address)),
      timeouts_(timeouts),
      stop_(stop),
      received_(std::move(received)),
      bytes_received_(received_.size()) {
  gathered_.reserve(64);  // dcmnet's 12 bytes of head
  const int flags = ::fcntl(socket_.get(), F_GETFL, 0);
  if (flags < 0 || ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    end(Ending::broken, errno);
    return;
  }
  set_option(socket_.get(), TCP_NODELAY);
  set_option(socket_.get(), TCP_QUICKACK);
}

Connection::~Connection() = default;

void Connection::await_message() {
  if (ending_ != Ending::none) return;
  if (stop_ != nullptr && stop_->is_raised()) {
    end(Ending::stopped);
    return;
  }
  awaiting_ = true;
  deadline_ = after(timeouts_.idle);
  if (ahead_begin_ < ahead_end_ || received_begin_ < received_.size()) begin_message();
}

void Connection::set_deadline(SteadyTime deadline) {
  awaiting_ = false;
  deadline_ = deadline;
}

void Connection::begin_message() noexcept {
  awaiting_ = false;
  deadline_ = after(timeouts_.message);
}

void Connection::end(Ending ending, int error_number) noexcept {
  if (ending_ != Ending::none) return;
  ending_ = shut_down_.load() && ending != Ending::closed ? Ending::stopped : ending;
  error_number_ = error_number;
}

bool Connection::handshake() noexcept {
  while (tls_ != nullptr && ending_ == Ending::none) {
    // A peer that always has a byte more must meet its deadline, too.
    if (steady_clock::now() >= deadline_) {
      end(Ending::overdue);
      break;
    }
    switch (tls_->handshake()) {
      case TlsSession::Step::done:
        return true;
      case TlsSession::Step::failed:
        end(Ending::broken, EPROTO);
        break;
      case TlsSession::Step::again:
        static_cast<void>(wait_for(tls_->wants(), SteadyTime::max()));
        break;
    }
  }
  return ending_ == Ending::none;
}

std::size_t Connection::take_buffered(std::span<std::byte> buffer) noexcept {
  if (received_begin_ < received_.size()) {
    const std::size_t length = std::min(buffer.size(), received_.size() - received_begin_);
    std::memcpy(buffer.data(), received_.data() + received_begin_, length);
    received_begin_ += length;
    if (received_begin_ == received_.size()) std::vector<std::byte>().swap(received_);
    if (received_.empty()) received_begin_ = 0;
    return length;
  }
  const std::size_t length = std::min(buffer.size(), ahead_end_ - ahead_begin_);
  if (length != 0) std::memcpy(buffer.data(), ahead_.data() + ahead_begin_, length);
  ahead_begin_ += length;
  return length;
}

std::ptrdiff_t Connection::read(std::span<std::byte> buffer) noexcept {
  if (buffer.empty()) return 0;
  const std::size_t buffered = take_buffered(buffer);
  if (buffered > 0) return static_cast<std::ptrdiff_t>(buffered);
  return receive(buffer);
}

std::ptrdiff_t Connection::receive(std::span<std::byte> buffer) noexcept {
  SteadyTime stall_limit = SteadyTime::max();
  for (;;) {
    if (ending_ != Ending::none) break;
    // A sender that always has a byte more must meet its deadline, too.
    if (!awaiting_ && steady_clock::now() >= deadline_) {
      end(Ending::overdue);
      break;
    }
    // Between messages there is hardly ever something yet.
    const bool may_wait = awaiting_ && tls_ == nullptr && !std::exchange(has_come_, false);
    if (may_wait && !wait_for(POLLIN, stall_limit)) break;
    const std::ptrdiff_t length = receive_some(buffer);
    if (length > 0) return length;
    if (length == 0) {
      end(Ending::closed_by_peer);
      break;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      end(Ending::broken, errno);
      break;
    }
    if (stall_limit == SteadyTime::max() && !awaiting_) stall_limit = after(timeouts_.stall);
    if (!wait_for(events(POLLIN), stall_limit)) break;
  }
  errno = ending_ == Ending::broken ? error_number_ : ETIMEDOUT;
  return ending_ == Ending::closed_by_peer ? 0 : -1;
}

// Of what write_now() changes it uses nothing, and what came is acknowledged by that.
void Connection::wait_for_message() noexcept {
  if (!awaiting_ || ending_ != Ending::none) return;
  std::array<pollfd, 2> polled{
      {{socket_.get(), POLLIN, 0}, {stop_ == nullptr ? -1 : stop_->descriptor(), POLLIN, 0}}};
  has_come_ = ::poll(polled.data(), polled.size(), poll_timeout(deadline_)) > 0 &&
              polled[0].revents != 0 && polled[1].revents == 0;
}

bool Connection::write_now(std::span<const std::byte> pdu) noexcept {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): sendmsg() reads only
  iovec part{const_cast<std::byte*>(pdu.data()), pdu.size()};
  const std::ptrdiff_t length = send_some(std::span(&part, 1));
  if (length == static_cast<std::ptrdiff_t>(pdu.size())) return true;
  torn_ = torn_ || length > 0;
  if (length > 0) errno = EAGAIN;
  return false;
}

std::ptrdiff_t Connection::receive_some(std::span<std::byte> buffer) noexcept {
  if (tls_ != nullptr) return receive_record(buffer);
  // What is asked for goes where it is wanted; what came behind it is kept.
  std::array<iovec, 2> parts{{{buffer.data(), buffer.size()}, {ahead_.data(), ahead_.size()}}};
  const ssize_t length = ::readv(socket_.get(), parts.data(), static_cast<int>(parts.size()));
  if (length <= 0) return length;
  const auto received = static_cast<std::size_t>(length);
  bytes_received_ += received;
  if (awaiting_) begin_message();
  ahead_begin_ = 0;
  ahead_end_ = received > buffer.size() ? received - buffer.size() : 0;
  return static_cast<std::ptrdiff_t>(std::min(received, buffer.size()));
}

std::ptrdiff_t Connection::receive_record(std::span<std::byte> buffer) noexcept {
  if (buffer.size() < ahead_.size()) {
    // A header of some bytes: the record that it stands in is taken whole.
    const std::ptrdiff_t length = tls_->receive(ahead_);
    if (length <= 0) return length;
    ahead_begin_ = 0;
    ahead_end_ = static_cast<std::size_t>(length);
    bytes_received_ += ahead_end_;
    if (awaiting_) begin_message();
    return static_cast<std::ptrdiff_t>(take_buffered(buffer));
  }
  const std::ptrdiff_t length = tls_->receive(buffer);
  if (length <= 0) return length;
  bytes_received_ += static_cast<std::uint64_t>(length);
  if (awaiting_) begin_message();
  return length;
}

// True when read() would not wait: for bytes, which are then in ahead_, or for the end.
// A readable socket does not tell: what it has may be half a record, or none of data.
bool Connection::read_ahead() noexcept {
  const std::ptrdiff_t length = receive_record({});
  return length >= 0 || (errno != EAGAIN && errno != EINTR);
}

// What came is acknowledged now: its sender may wait for that with the rest (Nagle). What was
// sent meanwhile has acknowledged it already, and a packet of its own would be wasted.
void Connection::acknowledge() noexcept {
  if (std::exchange(acknowledged_, bytes_received_) != bytes_received_) {
    set_option(socket_.get(), TCP_QUICKACK);
  }
}

bool Connection::wait_for(short events, SteadyTime stall_limit) noexcept {
  acknowledge();
  std::array<pollfd, 2> polled{{{socket_.get(), events, 0}, {-1, POLLIN, 0}}};
  if (awaiting_ && stop_ != nullptr) polled[1].fd = stop_->descriptor();
  const SteadyTime limit = std::min(deadline_, stall_limit);
  for (;;) {
    const int ready = ::poll(polled.data(), polled.size(), poll_timeout(limit));
    if (ready < 0 && errno != EINTR) {
      end(Ending::broken, errno);
      return false;
    }
    if (awaiting_ && stop_ != nullptr && stop_->is_raised()) {
      end(Ending::stopped);
      return false;
    }
    if (ready > 0) return true;
    if (steady_clock::now() >= limit) {
      end(awaiting_ ? Ending::idle : stall_limit <= deadline_ ? Ending::stalled : Ending::overdue);
      return false;
    }
  }
}

bool Connection::wait_readable(milliseconds timeout) noexcept {
  if (received_begin_ < received_.size() || ahead_begin_ < ahead_end_) return true;
  if (ending_ != Ending::none) return false;
  const SteadyTime limit = std::min(deadline_, after(std::max(timeout, milliseconds(0))));
  for (;;) {
    if (tls_ != nullptr && read_ahead()) return true;
    acknowledge();
    pollfd polled{socket_.get(), events(POLLIN), 0};
    const int ready = ::poll(&polled, 1, poll_timeout(limit));
    if (ready > 0 && tls_ == nullptr) return true;
    if (ready < 0 && errno != EINTR) return false;
    const SteadyTime now = steady_clock::now();
    if (now >= deadline_) end(awaiting_ ? Ending::idle : Ending::overdue);
    if (now >= limit) return false;
  }
}

std::ptrdiff_t Connection::write(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return 0;
  const std::size_t length = gathered_.size() - held_ + bytes.size();
  bool whole = false;
  if (length >= kPduHeaderLength) {
    std::array<std::byte, kPduHeaderLength> header{};
    const std::size_t before = std::min(gathered_.size() - held_, kPduHeaderLength);
    std::copy_n(gathered_.begin() + static_cast<std::ptrdiff_t>(held_), before, header.begin());
    std::copy_n(bytes.begin(), kPduHeaderLength - before,
                header.begin() + static_cast<std::ptrdiff_t>(before));
    whole = length >= pdu_length(header);
    if (header[0] == std::byte{static_cast<std::uint8_t>(PduType::abort)}) abort_sent_ = true;
  }
  if (!whole || holding_) {
    try {
      gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
      if (whole) held_ = gathered_.size();
      holding_ = holding_ && !whole;
    } catch (const std::bad_alloc&) {
      end(Ending::broken, ENOMEM);
      errno = ENOMEM;
      return -1;
    }
    return static_cast<std::ptrdiff_t>(bytes.size());
  }
  // sendmsg() reads only; iovec has no const.
  std::array<iovec, 2> parts{
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
      {{gathered_.data(), gathered_.size()}, {const_cast<std::byte*>(bytes.data()), bytes.size()}}};
  const bool sent = send_all(parts);
  gathered_.clear();
  held_ = 0;
  return sent ? static_cast<std::ptrdiff_t>(bytes.size()) : -1;
}

bool Connection::send_all(std::span<iovec> parts) noexcept {
  bool begun = false;
  SteadyTime stall_limit = SteadyTime::max();
  while (!parts.empty()) {
    if (parts.front().iov_len == 0) {
      parts = parts.subspan(1);
      continue;
    }
    if (ending_ != Ending::none) break;
    const std::ptrdiff_t length = send_some(parts);
    if (length > 0) {
      begun = true;
      stall_limit = SteadyTime::max();
      auto left = static_cast<std::size_t>(length);
      for (iovec& part : parts) {
        const std::size_t taken = std::min(left, part.iov_len);
        part.iov_base = static_cast<std::byte*>(part.iov_base) + taken;
        part.iov_len -= taken;
        left -= taken;
      }
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      end(errno == EPIPE || errno == ECONNRESET ? Ending::closed_by_peer : Ending::broken, errno);
      break;
    }
    if (stall_limit == SteadyTime::max()) stall_limit = after(timeouts_.stall);
    if (!wait_for(events(POLLOUT), stall_limit)) {
      // A peer that does not read. Over TLS half a record may be on its way, too.
      torn_ = torn_ || ending_ == Ending::stalled || ending_ == Ending::overdue;
      break;
    }
  }
  if (parts.empty()) return true;
  torn_ = torn_ || begun;
  errno = ETIMEDOUT;
  return false;
}

std::ptrdiff_t Connection::send_some(std::span<iovec> parts) noexcept {
  if (tls_ != nullptr) return send_record(parts);
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t length = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  if (length > 0) {
    bytes_sent_ += static_cast<std::uint64_t>(length);
    acknowledged_ = bytes_received_;
    ++writes_;
  }
  return length;
}

// dcmnet's head of 12 bytes shares a record with what it heads.
std::ptrdiff_t Connection::send_record(std::span<const iovec> parts) noexcept {
  std::array<std::byte, SSL3_RT_MAX_PLAIN_LENGTH> record;  // NOLINT(*-member-init): 16 KiB
  std::span<const std::byte> bytes(static_cast<const std::byte*>(parts.front().iov_base),
                                   parts.front().iov_len);
  bool more = false;
  if (parts.size() > 1 && bytes.size() < record.size()) {
    const iovec& second = parts[1];
    const std::size_t room = std::min(record.size() - bytes.size(), second.iov_len);
    std::memcpy(record.data(), bytes.data(), bytes.size());
    if (room > 0) std::memcpy(record.data() + bytes.size(), second.iov_base, room);
    bytes = std::span(record).first(bytes.size() + room);
    more = room < second.iov_len;
  }
  const std::ptrdiff_t length = tls_->send(bytes, more);
  if (length > 0) {
    bytes_sent_ += static_cast<std::uint64_t>(length);
    ++writes_;
  }
  return length;
}

bool Connection::is_quiet() noexcept {
  if (ending_ != Ending::none) return false;
  if (received_begin_ < received_.size() || ahead_begin_ < ahead_end_) return false;
  if (tls_ != nullptr) return !read_ahead();
  std::byte next{};
  return ::recv(socket_.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

void Connection::abort(Abort reason, milliseconds linger) noexcept {
  if (!socket_.is_valid()) return;
  if (!torn_ && !abort_sent_) {
    auto bytes = encode(reason);
    iovec part{bytes.data(), bytes.size()};
    // A passed deadline ended reading; the abort gets a time of its own.
    const Ending before = ending_;
    ending_ = Ending::none;
    gathered_.clear();
    held_ = 0;
    set_deadline(after(linger));
    abort_sent_ = send_all(std::span(&part, 1));
    ending_ = before;
  }
  close(linger);
}

void Connection::close(milliseconds linger) noexcept {
  if (!socket_.is_valid()) return;
  const SteadyTime limit = after(linger);
  // After half a PDU the peer is to see that it was cut off.
  if (tls_ != nullptr && !torn_ && !shut_down_.load()) tls_->close_notify();
  if (!torn_ && ::shutdown(socket_.get(), SHUT_WR) == 0 && linger.count() > 0 &&
      !shut_down_.load()) {
    while (steady_clock::now() < limit) {
      const ssize_t length = ::recv(socket_.get(), ahead_.data(), ahead_.size(), MSG_DONTWAIT);
      if (length == 0 ||
          (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        break;
      }
      if (length > 0) continue;
      pollfd polled{socket_.get(), POLLIN, 0};
      if (::poll(&polled, 1, poll_timeout(limit)) < 0 && errno != EINTR) break;
    }
  }
  ahead_begin_ = ahead_end_ = 0;
  end(Ending::closed);
  if (torn_) {
    // By a reset: what a peer that does not read was sent would stay in the kernel, and
    // the end of the connection behind it, for minutes. Half a PDU is of no use to it.
    const ::linger at_once{1, 0};
    static_cast<void>(
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
  }
  const std::lock_guard lock(socket_mutex_);
  socket_.reset();
}

void Connection::shut_down() noexcept {
  const std::lock_guard lock(socket_mutex_);
  shut_down_.store(true);
  if (socket_.is_valid()) static_cast<void>(::shutdown(socket_.get(), SHUT_RDWR));
}

std::string Connection::ending_text() const {
  switch (ending_) {
    case Ending::none:
      return "open";
    case Ending::closed_by_peer:
      return "the peer closed the connection";
    case Ending::broken:
      if (tls_ != nullptr && error_number_ == EPROTO) return tls_->failure().detail;
      return "the connection broke: " + std::generic_category().message(error_number_);
    case Ending::idle:
      return "no message for " + seconds_text(timeouts_.idle);
    case Ending::stalled:
      return "no byte for " + seconds_text(timeouts_.stall);
    case Ending::overdue:
      return "the deadline passed";
    case Ending::stopped:
      return "stopped";
    case Ending::closed:
      return "closed";
  }
  return "unknown";
}

}  // namespace sluice::net
