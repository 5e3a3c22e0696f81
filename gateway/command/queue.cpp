#include <unistd.h>

#include <cstdlib>
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/discard_audit.h"
#include "gateway/command/setup.h"
#include "gateway/command/time_text.h"

namespace sluice::command {
namespace {

using nlohmann::json;
using std::chrono::system_clock;

// The database beside a running gateway; says why there is none.
std::unique_ptr<Queue> open_queue(const std::string& config_file, int& exit_code) {
  const auto config = load_config_or_print(config_file);
  exit_code = kMistakes;
  if (!config) return nullptr;
  auto queue = Queue::open_beside(queue_file(*config));
  exit_code = kOk;
  if (queue) return std::move(*queue);
  exit_code = fail(queue.error().message);
  return nullptr;
}

// What a person does about a delivery in this state.
std::string_view advice(const DeliveryRow& row) {
  switch (row.state) {
    case DeliveryState::held:
      return "see the reason, mend its cause, then `sluice queue retry`, or `discard`";
    case DeliveryState::quarantined:
      return "see the reason, change routes or filters, then `sluice queue retry`, or `discard`";
    case DeliveryState::deferred:
      return "tried again by itself; `sluice queue retry` does it now";
    default:
      return "";
  }
}

json entry_json(const QueueEntry& entry) {
  const InstanceRow& instance = entry.instance;
  const DeliveryRow& delivery = entry.delivery;
  json made = {{"id", instance.id},
               {"state", to_string(delivery.state)},
               {"route", delivery.route},
               {"destination", delivery.destination},
               {"reason", log::escape(delivery.reason)},
               {"status", delivery.status},
               {"attempts", delivery.attempts},
               {"failures", delivery.failures},
               {"received_at", time_text(instance.received_at)},
               {"updated_at", time_text(delivery.updated_at)},
               {"advice", advice(delivery)},
               {"calling_ae_title", log::escape(instance.calling_ae_title)},
               {"called_ae_title", log::escape(instance.called_ae_title)},
               {"peer_address", instance.peer_address},
               {"listener", instance.listener},
               {"sop_class_uid", log::escape(instance.sop_class_uid)},
               {"sop_instance_uid", log::escape(instance.sop_instance_uid)},
               {"study_instance_uid", log::escape(instance.study_instance_uid)},
               {"series_instance_uid", log::escape(instance.series_instance_uid)},
               {"transfer_syntax_uid", log::escape(instance.transfer_syntax_uid)},
               {"bytes", instance.data_set_length},
               {"digest", instance.digest}};
  if (delivery.state == DeliveryState::deferred) {
    made["next_attempt"] = time_text(delivery.next_attempt);
  }
  return made;
}

void print_line(const QueueEntry& entry) {
  const DeliveryRow& delivery = entry.delivery;
  std::cout << entry.instance.id << "  " << std::left << std::setw(11) << to_string(delivery.state)
            << "  " << std::setw(12) << (delivery.destination.empty() ? "-" : delivery.destination)
            << "  " << std::setw(5) << age_text(system_clock::now() - entry.instance.received_at)
            << "  " << delivery.status << (delivery.status.empty() ? "" : " ")
            << log::escape(delivery.reason) << '\n';
}

bool has_filter(const QueueOptions& options) {
  const QueueFilter& filter = options.filter;
  return options.all || !filter.instance_id.empty() || !filter.destination.empty() ||
         !filter.sop_instance_uid.empty() || !filter.states.empty();
}

int print_changed(std::size_t count, const char* what, bool as_json) {
  if (as_json) {
    std::cout << json{{what, count}}.dump() << '\n';
  } else {
    std::cout << what << ": " << count << '\n';
  }
  return count == 0 ? kNotFound : kOk;
}

int refuse_everything() {
  std::cerr
      << "sluice: this would concern every delivery; name instances, --destination, --state or "
         "--sop-instance-uid, or say --all\n";
  return kUsage;
}

// Who discards, for the record: the login name, and the account it acts as.
audit::Person person() {
  std::string name;
  for (const char* variable : {"SUDO_USER", "LOGNAME", "USER"}) {
    const char* value = std::getenv(variable);
    if (name.empty() && value != nullptr) name = value;
  }
  const std::string account = std::to_string(::getuid());
  return {name.empty() ? account : name,
          name + (name.empty() ? "" : " ") + "(uid " + account + ")"};
}

}  // namespace

int queue_list(const std::string& config_file, const QueueOptions& options) {
  int exit_code = kOk;
  const auto queue = open_queue(config_file, exit_code);
  if (!queue) return exit_code;
  const auto entries = queue->list(options.filter);
  if (!entries) return fail(entries.error().message);
  const auto counts = queue->counts();
  if (!counts) return fail(counts.error().message);
  if (options.json) {
    json list = json::array();
    for (const QueueEntry& entry : *entries) list.push_back(entry_json(entry));
    json sums = json::array();
    for (const Queue::Count& each : *counts) {
      sums.push_back({{"destination", each.destination},
                      {"state", to_string(each.state)},
                      {"count", each.count}});
    }
    std::cout << json{{"deliveries", list}, {"counts", sums}}.dump(2) << '\n';
    return kOk;
  }
  for (const QueueEntry& entry : *entries) print_line(entry);
  if (entries->size() == options.filter.limit) {
    std::cout << "(the first " << options.filter.limit << "; --limit shows more)\n";
  }
  for (const Queue::Count& each : *counts) {
    std::cout << std::left << std::setw(16) << (each.destination.empty() ? "-" : each.destination)
              << std::setw(12) << to_string(each.state) << each.count << '\n';
  }
  return kOk;
}

int queue_show(const std::string& config_file, const QueueOptions& options) {
  int exit_code = kOk;
  const auto queue = open_queue(config_file, exit_code);
  if (!queue) return exit_code;
  const auto entries = queue->list(options.filter);
  if (!entries) return fail(entries.error().message);
  json list = json::array();
  for (const QueueEntry& entry : *entries) {
    list.push_back(entry_json(entry));
    if (options.json) continue;
    for (const auto& [key, value] : list.back().items()) {
      std::cout << std::left << std::setw(20) << key << ' '
                << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
    }
    std::cout << '\n';
  }
  if (options.json) std::cout << list.dump(2) << '\n';
  if (entries->empty()) std::cerr << "sluice: the queue has no such instance\n";
  return entries->empty() ? kNotFound : kOk;
}

int queue_retry(const std::string& config_file, const QueueOptions& options) {
  if (!has_filter(options)) return refuse_everything();
  int exit_code = kOk;
  const auto queue = open_queue(config_file, exit_code);
  if (!queue) return exit_code;
  const auto count = queue->retry(options.filter);
  if (!count) return fail(count.error().message);
  return print_changed(*count, "retried", options.json);
}

int queue_discard(const std::string& config_file, const QueueOptions& options) {
  if (!has_filter(options)) return refuse_everything();
  const auto config = load_config_or_print(config_file);
  if (!config) return kMistakes;
  const auto queue = Queue::open_beside(queue_file(*config));
  if (!queue) return fail(queue.error().message);
  auto record = DiscardAudit::begin(*config, **queue, options.filter);
  if (!record) return fail("nothing is discarded: " + record.error().message);
  const audit::Person who = person();
  const auto count = (*queue)->discard(options.filter, who.name, options.reason);
  if (!count) return fail(count.error().message);
  if (const auto told = record->end(**queue, who, options.reason); !told) {
    return fail("discarded, but the audit trail does not know it: " + told.error().message);
  }
  if (*count == 0) {
    std::cerr
        << "sluice: nothing that waits or rests matches; what is being sent is not discarded\n";
  }
  return print_changed(*count, "discarded", options.json);
}

}  // namespace sluice::command
