// The keys of a [[listener]] that say who may connect.
#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/config/address.h"
#include "gateway/config/network.h"
#include "gateway/config/tables.h"

namespace sluice::config {
namespace {

bool is_v4(const Network& network) {
  return std::holds_alternative<boost::asio::ip::network_v4>(network);
}

// Why no client of a listener on this address can ever be in the network; "" if one can.
std::string why_unreachable(const std::string& listener_address, const Network& network) {
  const bool listens_on_v4 = listener_address.find(':') == std::string::npos;
  if (listens_on_v4 && !is_v4(network)) return "the listener takes IPv4 only";
  const bool listens_on_both = listener_address == "::";
  if (!listens_on_v4 && !listens_on_both && is_v4(network)) return "the listener takes IPv6 only";
  return {};
}

// nullopt when it is none.
std::optional<Network> read_network(Table& table, const std::string& key, const std::string& text,
                                    const std::string& listener_address,
                                    const std::vector<Network>& earlier) {
  const auto network = parse_network(text);
  if (!network) {
    table.mistake(key, key + ": " + network.error().message);
    return std::nullopt;
  }
  const std::string unreachable = why_unreachable(listener_address, *network);
  if (!unreachable.empty()) {
    table.mistake(key, key + ": no client is ever in '" + text + "': " + unreachable);
  }
  if (std::find(earlier.begin(), earlier.end(), *network) != earlier.end()) {
    table.mistake(key, key + ": '" + text + "' is named twice");
  }
  return *network;
}

std::vector<Network> read_networks(Table& table, const std::string& key,
                                   const std::string& listener_address) {
  std::vector<Network> networks;
  for (const std::string& text : table.strings(key, {})) {
    const auto network = read_network(table, key, text, listener_address, networks);
    if (network) networks.push_back(*network);
  }
  return networks;
}

std::string outside_text(const Network& network) {
  const std::string text = std::visit([](const auto& each) { return each.to_string(); }, network);
  return "allow: '" + text +
         "' lies outside of the listener's own allow, which refuses it; add it there, or leave it "
         "out here";
}

Peer read_peer(Table& table, const Listener& listener, const Mistakes& mistakes) {
  Peer peer;
  peer.calling_ae_title = table.required_string("calling_ae_title");
  if (!peer.calling_ae_title.empty()) {
    if (const auto defect = find_ae_title_glob_defect(peer.calling_ae_title)) {
      table.mistake("calling_ae_title",
                    "AE title '" + log::escape(peer.calling_ae_title) + "' " + *defect);
    }
  }
  const std::size_t before = mistakes.list().size();
  peer.allow = read_networks(table, "allow", listener.address);
  if (peer.allow.empty() && mistakes.list().size() == before) {
    table.mistake("allow",
                  "allow names no network, so this AE title could never connect; write its "
                  "addresses, such as allow = [\"10.1.2.3/32\"]");
  }
  for (const Network& network : peer.allow) {
    const bool reachable =
        listener.allow.empty() || std::ranges::any_of(listener.allow, [&](const Network& wide) {
          return do_networks_overlap(wide, network);
        });
    if (!reachable) table.mistake("allow", outside_text(network));
  }
  table.finish();
  return peer;
}

}  // namespace

void read_access(Table& table, Listener& listener, const Mistakes& mistakes) {
  listener.allow = read_networks(table, "allow", listener.address);
  for (Table& peer : table.tables("peer")) {
    listener.peers.push_back(read_peer(peer, listener, mistakes));
  }
  const std::string identity =
      table.choice("user_identity", "ignore", {"ignore", "refuse", "pass"});
  listener.user_identity = identity == "refuse" ? UserIdentity::refuse
                           : identity == "pass" ? UserIdentity::pass
                                                : UserIdentity::ignore;
}

}  // namespace sluice::config
