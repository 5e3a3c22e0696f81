// Networks of addresses, as an allow-list names them: "10.0.0.0/8", "fd00::/8".
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "gateway/base/error.h"

namespace sluice::config {

using Network = std::variant<boost::asio::ip::network_v4, boost::asio::ip::network_v6>;

// Address and prefix length, no bits set behind the prefix. Errors: configuration, with
// what is wrong and what to write.
[[nodiscard]] Result<Network> parse_network(std::string_view text);

// True if one of them has this address. An IPv4 address that an IPv6 socket shows as
// "::ffff:10.0.0.1" is an IPv4 address; the scope in "fe80::1%eth0" does not count.
[[nodiscard]] bool is_in_any(const std::vector<Network>& networks,
                             const boost::asio::ip::address& address);
// The same for its text; false when that is none.
[[nodiscard]] bool is_in_any(const std::vector<Network>& networks, std::string_view address);

// True if some address is in both.
[[nodiscard]] bool do_networks_overlap(const Network& left, const Network& right);

}  // namespace sluice::config
