// A client that has connected and not yet sent its whole A-ASSOCIATE-RQ. Driven by
// callbacks in the acceptor's thread; lives as long as one is pending.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "gateway/net/pdu.h"

namespace sluice::net {

class HalfOpen : public std::enable_shared_from_this<HalfOpen> {
 public:
  enum class Outcome { request, closed, timed_out, not_a_request, too_long };
  // Called once, unless dropped before. With `request` the bytes are those of a whole PDU.
  using Done = std::function<void(const std::shared_ptr<HalfOpen>&, Outcome)>;

  HalfOpen(boost::asio::ip::tcp::socket socket, std::string address, std::size_t listener,
           Done done);

  void start(std::chrono::milliseconds timeout);

  // Sends these last bytes, waits a moment for the peer to close, and ends.
  void answer_and_close(std::span<const std::byte> pdu);

  // Ends at once, without a call of Done.
  void drop();

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] std::size_t listener() const { return listener_; }
  [[nodiscard]] std::vector<std::byte> take_bytes() { return std::move(bytes_); }
  // The socket, no longer watched; -1 when that failed.
  [[nodiscard]] int release_socket();

 private:
  void read_more();
  void received(std::size_t length);
  void drain();
  void finish(Outcome outcome);

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  std::string address_;
  std::size_t listener_;
  Done done_;
  std::vector<std::byte> bytes_;  // grows with what came, not with what was claimed
  std::size_t filled_ = 0;
  std::vector<std::byte> answer_;
};

}  // namespace sluice::net
