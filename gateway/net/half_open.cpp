#include "gateway/net/half_open.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "gateway/net/associate_request.h"

namespace sluice::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kFirstRead = 4096;
constexpr int kRecordsAtOnce = 64;        // then others have their turn
constexpr std::byte kTlsHandshake{0x16};  // RFC 8446 5.1
constexpr std::chrono::milliseconds kLinger{1'000};

}  // namespace

HalfOpen::HalfOpen(asio::ip::tcp::socket socket, std::string address, ListenerRules listener,
                   Done done)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      address_(std::move(address)),
      listener_(std::move(listener)),
      done_(std::move(done)) {}

void HalfOpen::start(std::chrono::milliseconds timeout) {
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error) self->finish(Outcome::timed_out);
  });
  bytes_.resize(kPduHeaderLength);
  read_more();
}

void HalfOpen::start(std::chrono::milliseconds timeout, std::shared_ptr<TlsContext> context,
                     asio::thread_pool& workers) {
  context_ = std::move(context);
  workers_ = &workers;
  error_code error;
  socket_.native_non_blocking(true, error);
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this()](const error_code& cancelled) {
    if (!cancelled) self->finish(Outcome::timed_out);
  });
  // A client that says nothing costs no worker.
  wait_for(POLLIN, &HalfOpen::shake_hands);
}

void HalfOpen::wait_for(short events, void (HalfOpen::*then)()) {
  const auto wait =
      events == POLLOUT ? asio::ip::tcp::socket::wait_write : asio::ip::tcp::socket::wait_read;
  socket_.async_wait(wait, [self = shared_from_this(), then](const error_code& error) {
    if (error == asio::error::operation_aborted) return;
    if (error) {
      self->finish(Outcome::closed);
    } else {
      (self.get()->*then)();
    }
  });
}

void HalfOpen::shake_hands() {
  if (done_ == nullptr) return;
  is_shaking_ = true;
  asio::post(*workers_, [self = shared_from_this(), socket = socket_.native_handle()]() mutable {
    auto step = TlsSession::Step::failed;
    try {
      if (!self->dropped_ && self->tls_ == nullptr) {
        auto session = self->context_->session(socket);
        if (session) self->tls_ = std::move(*session);
      }
      if (!self->dropped_ && self->tls_ != nullptr) step = self->tls_->handshake();
    } catch (const std::exception&) {
      step = TlsSession::Step::failed;  // no memory
    }
    const auto executor = self->socket_.get_executor();
    asio::post(executor, [client = std::move(self), step] { client->shaken(step); });
  });
}

void HalfOpen::shaken(TlsSession::Step step) {
  is_shaking_ = false;
  if (dropped_) {
    error_code ignored;
    socket_.close(ignored);
    return;
  }
  if (done_ == nullptr) return;
  switch (step) {
    case TlsSession::Step::failed:
      // Who goes away before it said anything wrong is no danger: a port scan, a monitor.
      finish(tls_ != nullptr && tls_->was_cut_off() ? Outcome::closed : Outcome::no_tls);
      break;
    case TlsSession::Step::again:
      wait_for(tls_->wants(), &HalfOpen::shake_hands);
      break;
    case TlsSession::Step::done:
      is_secure_ = true;
      bytes_.resize(kPduHeaderLength);
      read_records();
      break;
  }
}

// The handshake's last reading may have brought records along: the socket need not
// become readable again.
void HalfOpen::read_records() {
  for (int i = 0; i < kRecordsAtOnce; ++i) {
    if (done_ == nullptr) return;
    const std::ptrdiff_t length = tls_->receive(std::span(bytes_).subspan(filled_));
    if (length < 0 && errno == EAGAIN) {
      wait_for(tls_->wants(), &HalfOpen::read_records);
      return;
    }
    if (length <= 0) {
      finish(tls_->was_refused() ? Outcome::no_tls : Outcome::closed);
      return;
    }
    if (!needs_more(static_cast<std::size_t>(length))) return;
  }
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read_records(); });
}

void HalfOpen::read_more() {
  socket_.async_read_some(asio::buffer(bytes_.data() + filled_, bytes_.size() - filled_),
                          [self = shared_from_this()](const error_code& error, std::size_t length) {
                            if (error) {
                              if (error != asio::error::operation_aborted)
                                self->finish(Outcome::closed);
                              return;
                            }
                            if (self->needs_more(length)) self->read_more();
                          });
}

bool HalfOpen::needs_more(std::size_t length) {
  if (done_ == nullptr) return false;  // the deadline was first
  filled_ += length;
  if (bytes_[0] != std::byte{static_cast<std::uint8_t>(PduType::associate_request)}) {
    has_sent_tls_ = context_ == nullptr && bytes_[0] == kTlsHandshake;
    finish(Outcome::not_a_request);
    return false;
  }
  if (filled_ < kPduHeaderLength) return true;
  const std::uint64_t whole = pdu_length(bytes_);
  if (whole > kMaxAssociatePdu) {
    finish(Outcome::too_long);
    return false;
  }
  if (filled_ == whole) {
    finish(Outcome::request);
    return false;
  }
  // Never beyond the PDU: what follows belongs to the association.
  if (filled_ == bytes_.size()) {
    bytes_.resize(std::min<std::size_t>(whole, std::max(kFirstRead, 2 * filled_)));
  }
  return true;
}

void HalfOpen::finish(Outcome outcome) {
  deadline_.cancel();
  if (const Done done = std::exchange(done_, nullptr)) done(shared_from_this(), outcome);
}

void HalfOpen::drop() {
  done_ = nullptr;
  dropped_ = true;
  error_code ignored;
  deadline_.cancel();
  if (is_shaking_) {
    // Closed under a worker's hands, its number might be another client's by then.
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  } else {
    socket_.close(ignored);
  }
}

int HalfOpen::release_socket() {
  error_code error;
  const int descriptor = socket_.release(error);
  return error ? -1 : descriptor;
}

void HalfOpen::answer_and_close(std::span<const std::byte> pdu) {
  if (is_shaking_) {
    drop();
    return;
  }
  if (context_ == nullptr || is_secure_) answer_.assign(pdu.begin(), pdu.end());
  // The reading that may still be pending is of the request.
  error_code ignored;
  socket_.cancel(ignored);
  deadline_.expires_after(kLinger);
  deadline_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error) self->drop();
  });
  if (context_ != nullptr) {
    send_answer();
    return;
  }
  asio::async_write(socket_, asio::buffer(answer_),
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      if (error) {
                        self->drop();
                      } else {
                        self->shut_down_and_drain();
                      }
                    });
}

// Over TLS. Ten bytes are one record: they are sent whole or not at all.
void HalfOpen::send_answer() {
  if (dropped_) return;
  if (!answer_.empty() && tls_->send(answer_, false) < 0) {
    if (errno == EAGAIN) {
      wait_for(tls_->wants(), &HalfOpen::send_answer);
    } else {
      drop();
    }
    return;
  }
  if (is_secure_) tls_->close_notify();
  shut_down_and_drain();
}

void HalfOpen::shut_down_and_drain() {
  error_code failed;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, failed);
  if (failed) {
    drop();
    return;
  }
  bytes_.resize(kFirstRead);
  drain();
}

// Closing with unread bytes would reset the connection, and the peer might never see
// the answer.
void HalfOpen::drain() {
  socket_.async_read_some(asio::buffer(bytes_),
                          [self = shared_from_this()](const error_code& error, std::size_t) {
                            if (error) {
                              self->drop();
                            } else {
                              self->drain();
                            }
                          });
}

}  // namespace sluice::net
