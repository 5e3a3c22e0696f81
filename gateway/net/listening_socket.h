// A port on which a listener waits for clients; in a thread of the acceptor's.
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "gateway/base/error.h"
#include "gateway/net/inherited_sockets.h"
#include "gateway/net/listener_rules.h"

namespace sluice::net {

struct ListeningSocket {
  explicit ListeningSocket(boost::asio::io_context& io) : acceptor(io), pause(io) {}

  // Listens where these options say. Errors: configuration, with address and port.
  [[nodiscard]] Result<void> open(const ListenerOptions& options);
  [[nodiscard]] Result<void> adopt(const ListenerOptions& options, InheritedSocket inherited);

  // Whether a listener with these options has it already. Port 0 is the port of a name; where
  // an inherited socket listens is not for `address` to say.
  [[nodiscard]] bool is_of(const ListenerOptions& options) const;

  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::steady_timer pause;  // of accepting
  bool paused = false;
  std::uint16_t port = 0;  // the real one

 private:
  [[nodiscard]] boost::system::error_code try_open(const boost::asio::ip::address& address);

  std::string name_;  // these three: as configured
  std::string address_;
  std::uint16_t wanted_port_ = 0;
  bool is_inherited_ = false;
};

}  // namespace sluice::net
