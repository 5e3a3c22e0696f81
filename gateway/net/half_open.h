// A client that has connected and not yet sent its whole A-ASSOCIATE-RQ, nor perhaps
// ended its TLS handshake. Driven by callbacks in the acceptor's thread; lives as long as
// one is pending.
//
// The steps of a handshake, which cost milliseconds of signing and verifying, run in
// `workers`; meanwhile the acceptor's thread leaves socket and session alone. What comes
// after is cheap, and is read in the acceptor's thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "gateway/net/listener_rules.h"
#include "gateway/net/pdu.h"
#include "gateway/net/tls.h"

namespace sluice::net {

class HalfOpen : public std::enable_shared_from_this<HalfOpen> {
 public:
  enum class Outcome { request, closed, timed_out, not_a_request, too_long, no_tls };
  // Called once, unless dropped before. With `request` the bytes are those of a whole PDU.
  using Done = std::function<void(const std::shared_ptr<HalfOpen>&, Outcome)>;

  HalfOpen(boost::asio::ip::tcp::socket socket, std::string address, ListenerRules listener,
           Done done);

  void start(std::chrono::milliseconds timeout);

  // The same with a TLS handshake first, in the same time. `workers` must be joined
  // before the executor of the socket ends.
  void start(std::chrono::milliseconds timeout, std::shared_ptr<TlsContext> context,
             boost::asio::thread_pool& workers);

  // Sends these last bytes, waits a moment for the peer to close, and ends. Where TLS did
  // not come about, without the bytes.
  void answer_and_close(std::span<const std::byte> pdu);

  // Ends at once, without a call of Done.
  void drop();

  [[nodiscard]] const std::string& address() const { return address_; }
  // As it was when the client came.
  [[nodiscard]] const ListenerRules& listener() const { return listener_; }
  [[nodiscard]] std::vector<std::byte> take_bytes() { return std::move(bytes_); }
  // The socket, no longer watched; -1 when that failed.
  [[nodiscard]] int release_socket();
  // With Outcome::request, where there is TLS.
  [[nodiscard]] std::unique_ptr<TlsSession> take_tls() { return std::move(tls_); }
  // With Outcome::request and no_tls; nullptr where there is none.
  [[nodiscard]] const TlsSession* tls() const { return tls_.get(); }
  [[nodiscard]] bool is_shaking_hands() const { return context_ != nullptr && !is_secure_; }
  [[nodiscard]] bool has_sent_tls() const { return has_sent_tls_; }  // where none is spoken

 private:
  void read_more();
  void read_records();
  [[nodiscard]] bool needs_more(std::size_t length);
  void wait_for(short events, void (HalfOpen::*then)());
  void shake_hands();
  void shaken(TlsSession::Step step);
  void send_answer();
  void shut_down_and_drain();
  void drain();
  void finish(Outcome outcome);

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  std::string address_;
  const ListenerRules listener_;
  Done done_;
  std::vector<std::byte> bytes_;  // grows with what came, not with what was claimed
  std::size_t filled_ = 0;
  std::vector<std::byte> answer_;

  std::shared_ptr<TlsContext> context_;  // nullptr: plain TCP
  boost::asio::thread_pool* workers_ = nullptr;
  std::unique_ptr<TlsSession> tls_;
  bool is_shaking_ = false;  // a worker has socket and session
  bool is_secure_ = false;   // the handshake is done
  bool has_sent_tls_ = false;
  std::atomic<bool> dropped_ = false;
};

}  // namespace sluice::net
