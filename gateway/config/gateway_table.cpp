#include "gateway/config/tables.h"

#include <map>

#include "gateway/base/log.h"

namespace sluice::config {
namespace {

constexpr int kMostAssociations = 10'000;  // a thread each
constexpr int kLeastNesting = 8;           // what reports and plans of the standard need

}  // namespace

Gateway read_gateway(Table& table) {
  Gateway gateway;
  gateway.data_dir = table.string("data_dir", gateway.data_dir);
  if (gateway.data_dir.empty() || gateway.data_dir.find('\0') != std::string::npos) {
    table.mistake("data_dir", "data_dir must be a path");
  }
  const std::map<std::string, log::Level> levels{{"debug", log::Level::debug},
                                                 {"info", log::Level::info},
                                                 {"warning", log::Level::warning},
                                                 {"error", log::Level::error}};
  gateway.log_level =
      levels.at(table.choice("log_level", "info", {"debug", "info", "warning", "error"}));
  const std::string format = table.choice("log_format", "human", {"human", "json"});
  gateway.log_format = format == "json" ? log::Format::json : log::Format::human;
  gateway.max_associations =
      read_int(table, "max_associations", gateway.max_associations, 1, kMostAssociations);
  gateway.max_associations_per_address =
      read_int(table, "max_associations_per_address", gateway.max_associations_per_address, 1,
               kMostAssociations);
  gateway.max_instance_size = table.size("max_instance_size", gateway.max_instance_size);
  if (gateway.max_instance_size == 0) {
    table.mistake("max_instance_size", "max_instance_size must be more than 0");
  }
  gateway.max_nesting =
      read_int(table, "max_nesting", gateway.max_nesting, kLeastNesting, kMostNesting);
  gateway.min_free_space = table.size("min_free_space", gateway.min_free_space);
  gateway.delivery_patience = table.duration("delivery_patience", gateway.delivery_patience);
  gateway.drain_timeout = table.duration("drain_timeout", gateway.drain_timeout);
  gateway.history = table.duration("history", gateway.history);
  gateway.unrouted = table.choice("unrouted", gateway.unrouted, {"quarantine", "reject", "drop"});
  gateway.duplicate_window = table.duration("duplicate_window", gateway.duplicate_window);
  gateway.other_bytes =
      table.choice("other_bytes", gateway.other_bytes, {"quarantine", "deliver", "new_uid"});
  gateway.irregular_tags =
      table.choice("irregular_tags", gateway.irregular_tags, {"deliver", "quarantine", "reject"});
  gateway.alarm_waiting = table.duration("alarm_waiting", gateway.alarm_waiting);
  gateway.alarm_held = table.duration("alarm_held", gateway.alarm_held);
  gateway.alarm_quarantined = table.duration("alarm_quarantined", gateway.alarm_quarantined);
  gateway.discard_quarantined_after =
      table.duration("discard_quarantined_after", gateway.discard_quarantined_after);
  table.finish();
  return gateway;
}

}  // namespace sluice::config
