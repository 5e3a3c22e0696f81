#include "gateway/config/tables.h"

#include <algorithm>
#include <limits>

#include "gateway/base/log.h"
#include "gateway/config/address.h"

namespace sluice::config {
namespace {

// Whether this is a UID in form (PS3.5 9.1). What it stands for is not known here.
bool is_uid(std::string_view text) {
  constexpr std::size_t kLongestUid = 64;
  if (text.empty() || text.size() > kLongestUid) return false;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = std::min(text.find('.', start), text.size());
    const std::string_view component = text.substr(start, end - start);
    if (component.empty() || (component.size() > 1 && component.front() == '0')) return false;
    if (component.find_first_not_of("0123456789") != std::string_view::npos) return false;
    if (end == text.size()) return true;
    start = end + 1;
  }
}

void check_listener_lists(Table& table, const Listener& listener) {
  for (const std::string& ae_title : listener.ae_titles) {
    if (const auto defect = find_ae_title_defect(ae_title)) {
      table.mistake("ae_titles", "AE title '" + log::escape(ae_title) + "' " + *defect);
    }
  }
  for (const std::string& glob : listener.calling_ae_titles) {
    if (const auto defect = find_ae_title_glob_defect(glob)) {
      table.mistake("calling_ae_titles", "AE title '" + log::escape(glob) + "' " + *defect);
    }
  }
  for (const std::string& uid : listener.transfer_syntaxes) {
    if (is_uid(uid)) continue;
    table.mistake("transfer_syntaxes",
                  "transfer_syntaxes must hold UIDs such as "
                  "\"1.2.840.10008.1.2.1\", not '" +
                      log::escape(uid) + "'");
  }
}

Listener read_listener(Table& table, Names& names, const Mistakes& mistakes) {
  Listener listener;
  const std::string name = table.string("name", "");
  listener.address = table.string("address", listener.address);
  if (!is_ip_address(listener.address)) {
    table.mistake("address",
                  "address must be an IP address of this machine, \"0.0.0.0\" or \"::\""
                  ", not '" +
                      log::escape(listener.address) + "'");
  }
  if (!table.has("port")) table.mistake("port is missing");
  listener.port = static_cast<std::uint16_t>(
      table.integer("port", 0, 0, std::numeric_limits<std::uint16_t>::max()));
  listener.ae_titles = table.strings("ae_titles", {});
  listener.calling_ae_titles = table.strings("calling_ae_titles", {});
  listener.transfer_syntaxes = table.strings("transfer_syntaxes", {});
  listener.transfer_syntaxes_line = table.line_of("transfer_syntaxes");
  check_listener_lists(table, listener);
  read_access(table, listener, mistakes);
  listener.max_pdu = read_max_pdu(table, listener.max_pdu);
  listener.request_timeout = read_timeout(table, "request_timeout", listener.request_timeout);
  listener.idle_timeout = read_timeout(table, "idle_timeout", listener.idle_timeout);
  listener.stall_timeout = read_timeout(table, "stall_timeout", listener.stall_timeout);
  listener.message_timeout = read_timeout(table, "message_timeout", listener.message_timeout);
  listener.tls = read_listener_tls(table);
  listener.name =
      table.has("name") ? name : names.free_name("listener-" + std::to_string(listener.port));
  names.take(table, listener.name);
  table.finish();
  return listener;
}

}  // namespace

std::vector<Listener> read_listeners(std::vector<Table> tables, const Mistakes& mistakes) {
  std::vector<Listener> listeners;
  std::vector<int> lines;
  Names names;
  for (Table& table : tables) {
    Listener listener = read_listener(table, names, mistakes);
    for (std::size_t index = 0; index < listeners.size(); ++index) {
      const Listener& earlier = listeners[index];
      if (listener.port == 0 || listener.port != earlier.port) continue;
      if (!do_addresses_overlap(listener.address, earlier.address)) continue;
      table.mistake("port", "port " + std::to_string(listener.port) + " of " + listener.address +
                                " is taken by the listener at line " +
                                std::to_string(lines[index]) + " (" + earlier.address + ")");
      break;
    }
    listeners.push_back(std::move(listener));
    lines.push_back(table.line());
  }
  return listeners;
}

}  // namespace sluice::config
