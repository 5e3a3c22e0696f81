#include "gateway/net/half_open.h"

#include <algorithm>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

#include "gateway/net/associate_request.h"

namespace sluice::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kFirstRead = 4096;
constexpr std::chrono::milliseconds kLinger{1'000};

}  // namespace

HalfOpen::HalfOpen(asio::ip::tcp::socket socket, std::string address, std::size_t listener,
                   Done done)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      address_(std::move(address)),
      listener_(listener),
      done_(std::move(done)) {}

void HalfOpen::start(std::chrono::milliseconds timeout) {
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error) self->finish(Outcome::timed_out);
  });
  bytes_.resize(kPduHeaderLength);
  read_more();
}

void HalfOpen::read_more() {
  socket_.async_read_some(asio::buffer(bytes_.data() + filled_, bytes_.size() - filled_),
                          [self = shared_from_this()](const error_code& error, std::size_t length) {
                            if (error) {
                              if (error != asio::error::operation_aborted)
                                self->finish(Outcome::closed);
                              return;
                            }
                            self->received(length);
                          });
}

void HalfOpen::received(std::size_t length) {
  if (done_ == nullptr) return;  // the deadline was first
  filled_ += length;
  if (bytes_[0] != std::byte{static_cast<std::uint8_t>(PduType::associate_request)}) {
    finish(Outcome::not_a_request);
    return;
  }
  if (filled_ < kPduHeaderLength) {
    read_more();
    return;
  }
  const std::uint64_t whole = pdu_length(bytes_);
  if (whole > kMaxAssociatePdu) {
    finish(Outcome::too_long);
    return;
  }
  if (filled_ == whole) {
    finish(Outcome::request);
    return;
  }
  // Never beyond the PDU: what follows belongs to the association.
  if (filled_ == bytes_.size()) {
    bytes_.resize(std::min<std::size_t>(whole, std::max(kFirstRead, 2 * filled_)));
  }
  read_more();
}

void HalfOpen::finish(Outcome outcome) {
  deadline_.cancel();
  if (const Done done = std::exchange(done_, nullptr)) done(shared_from_this(), outcome);
}

void HalfOpen::drop() {
  done_ = nullptr;
  error_code ignored;
  deadline_.cancel();
  socket_.close(ignored);
}

int HalfOpen::release_socket() {
  error_code error;
  const int descriptor = socket_.release(error);
  return error ? -1 : descriptor;
}

void HalfOpen::answer_and_close(std::span<const std::byte> pdu) {
  answer_.assign(pdu.begin(), pdu.end());
  // The reading that may still be pending is of the request.
  error_code ignored;
  socket_.cancel(ignored);
  deadline_.expires_after(kLinger);
  deadline_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error) self->drop();
  });
  asio::async_write(socket_, asio::buffer(answer_),
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      error_code failed = error;
                      if (!failed) {
                        self->socket_.shutdown(asio::ip::tcp::socket::shutdown_send, failed);
                      }
                      if (failed) {
                        self->drop();
                      } else {
                        self->bytes_.resize(kFirstRead);
                        self->drain();
                      }
                    });
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
