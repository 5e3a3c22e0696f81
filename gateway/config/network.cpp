#include "gateway/config/network.h"

#include <algorithm>
#include <string>

#include "gateway/base/log.h"

namespace sluice::config {
namespace {

namespace ip = boost::asio::ip;

constexpr std::string_view kForm = R"(write a network such as "10.0.0.0/8" or "fd00::/8")";
constexpr std::size_t kLongestNetwork = 64;  // characters; an IPv6 address and a prefix are 49
constexpr std::size_t kLongestPrefix = 3;
constexpr unsigned short kMappedPrefix = 96;  // of ::ffff:0:0/96 (RFC 4291 2.5.5.2)

tl::unexpected<Error> not_a_network(std::string_view text, std::string_view what,
                                    std::string_view advice = kForm) {
  return failure(ErrorCode::configuration,
                 "'" + log::escape(text) + "' " + std::string(what) + "; " + std::string(advice));
}

std::string write(const std::string& network) {
  return "write \"" + network + "\"";
}

// An IPv4 client of an IPv6 listener has an address of its own, not a mapped one.
ip::address without_mapping(const ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

bool has(const ip::network_v4& network, const ip::address& address) {
  return address.is_v4() &&
         ip::network_v4(address.to_v4(), network.prefix_length()).canonical() == network;
}

bool has(const ip::network_v6& network, const ip::address& address) {
  if (!address.is_v6()) return false;
  const ip::address_v6 without_scope(address.to_v6().to_bytes());
  return ip::network_v6(without_scope, network.prefix_length()).canonical() == network;
}

Result<Network> check_v4(std::string_view text, const ip::network_v4& network) {
  if (network.canonical() == network) return network;
  return not_a_network(text, "has bits set behind its prefix",
                       write(network.canonical().to_string()));
}

Result<Network> check_v6(std::string_view text, const ip::network_v6& network) {
  if (network.address().is_v4_mapped() && network.prefix_length() >= kMappedPrefix) {
    const ip::network_v4 plain(ip::make_address_v4(ip::v4_mapped, network.address()),
                               network.prefix_length() - kMappedPrefix);
    return not_a_network(text, "is IPv4 in the form of IPv6", write(plain.canonical().to_string()));
  }
  if (network.canonical() == network) return network;
  return not_a_network(text, "has bits set behind its prefix",
                       write(network.canonical().to_string()));
}

}  // namespace

Result<Network> parse_network(std::string_view text) {
  if (text.find('\0') != std::string_view::npos || text.size() > kLongestNetwork) {
    return not_a_network(text, "is no network");
  }
  if (text.find('%') != std::string_view::npos) {
    return not_a_network(text, "names an interface, which a network does not have");
  }
  const std::string copy(text);
  boost::system::error_code error;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    const ip::address single = ip::make_address(copy, error);
    if (error) return not_a_network(text, "is no network");
    return not_a_network(
        text, "has no prefix length",
        write(copy + (single.is_v4() ? "/32" : "/128")) + " for this address alone");
  }
  if (text.size() - slash - 1 > kLongestPrefix)
    return not_a_network(text, "has no such prefix length");
  const ip::network_v4 v4 = ip::make_network_v4(copy, error);
  if (!error) return check_v4(text, v4);
  const ip::network_v6 v6 = ip::make_network_v6(copy, error);
  if (!error) return check_v6(text, v6);
  static_cast<void>(ip::make_address(copy.substr(0, slash), error));
  return not_a_network(text, error ? "is no network" : "has no such prefix length");
}

bool is_in_any(const std::vector<Network>& networks, const ip::address& address) {
  const ip::address plain = without_mapping(address);
  return std::any_of(networks.begin(), networks.end(), [&](const Network& network) {
    return std::visit([&](const auto& each) { return has(each, plain); }, network);
  });
}

bool is_in_any(const std::vector<Network>& networks, std::string_view address) {
  boost::system::error_code error;
  const ip::address parsed = ip::make_address(std::string(address), error);
  return !error && is_in_any(networks, parsed);
}

// Of two that overlap, one holds the other's first address.
bool do_networks_overlap(const Network& left, const Network& right) {
  const auto first = [](const Network& network) {
    return std::visit([](const auto& each) { return ip::address(each.address()); }, network);
  };
  const auto holds = [](const Network& network, const ip::address& address) {
    return std::visit([&](const auto& each) { return has(each, address); }, network);
  };
  return holds(left, first(right)) || holds(right, first(left));
}

}  // namespace sluice::config
