#include "gateway/net/listening_socket.h"

#include <cerrno>

#include <fcntl.h>
#include <boost/asio/ip/v6_only.hpp>

#include "gateway/base/log.h"

namespace sluice::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

error_code ListeningSocket::try_open(const asio::ip::address& address) {
  error_code error;
  error_code ignored;
  const tcp::endpoint endpoint(address, wanted_port_);
  acceptor.close(ignored);
  acceptor.open(endpoint.protocol(), error);
  if (error) return error;
  if (::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC) != 0) {
    return {errno, boost::system::system_category()};
  }
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (error) return error;
  if (address.is_v6()) {
    // "::" takes both families; any other IPv6 address is IPv6 anyway.
    acceptor.set_option(asio::ip::v6_only(!address.is_unspecified()), error);
    if (error) return error;
  }
  acceptor.bind(endpoint, error);
  if (error) return error;
  acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return error;
  port = acceptor.local_endpoint(error).port();
  return error;
}

Result<void> ListeningSocket::open(const ListenerOptions& options) {
  name_ = options.name;
  address_ = options.address;
  wanted_port_ = options.port;
  error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) {
    return failure(ErrorCode::configuration,
                   "listener '" + options.name + "': '" + options.address + "' is no IP address");
  }
  error = try_open(address);
  if (error && address.is_v6() && address.is_unspecified() &&
      (error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL)) {
    log::info("no IPv6 on this machine: listening on IPv4", {{"listener", options.name}});
    error = try_open(asio::ip::address_v4::any());
  }
  if (error) {
    return failure(ErrorCode::configuration,
                   "listener '" + options.name + "': cannot listen on " + options.address +
                       " port " + std::to_string(options.port) + ": " + error.message() +
                       "; is another program, or another gateway, on this port?");
  }
  log::info("listening",
            {{"listener", options.name}, {"address", options.address}, {"port", port}});
  return {};
}

Result<void> ListeningSocket::adopt(const ListenerOptions& options, InheritedSocket inherited) {
  name_ = options.name;
  address_ = options.address;
  wanted_port_ = options.port;
  is_inherited_ = true;
  error_code error;
  acceptor.assign(inherited.is_v6 ? tcp::v6() : tcp::v4(), inherited.socket.get(), error);
  if (error) {
    return failure(
        ErrorCode::configuration,
        "listener '" + options.name + "': cannot use its inherited socket: " + error.message());
  }
  static_cast<void>(inherited.socket.release());
  port = inherited.port;
  log::info("listening",
            {{"listener", options.name}, {"inherited", inherited.name}, {"port", port}});
  return {};
}

bool ListeningSocket::is_of(const ListenerOptions& options) const {
  if (is_inherited_) {
    return options.name == name_ || (options.port != 0 && options.port == port);
  }
  return options.port == wanted_port_ && options.address == address_ &&
         (wanted_port_ != 0 || options.name == name_);
}

}  // namespace sluice::net
