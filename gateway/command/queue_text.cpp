#include "gateway/command/queue_text.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/fault.h"
#include "gateway/command/setup.h"
#include "gateway/command/time_text.h"
#include "gateway/queue/age_watch.h"

namespace sluice::command {
namespace {

using nlohmann::json;

constexpr const char* kRejectedAdvice =
    "nothing of it was kept: mend its cause at the modality, and send it again there";

std::int64_t age_seconds(Time now, Time then) {
  return std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
}

std::string line(const std::string& id, std::string_view state, const std::string& destination,
                 const std::string& age, const std::string& reason) {
  std::ostringstream text;
  text << id << "  " << std::left << std::setw(11) << state << "  " << std::setw(12)
       << (destination.empty() ? "-" : destination) << "  " << std::setw(5) << age << "  "
       << log::escape(reason);
  return text.str();
}

// "night: 22:00 to 06:00 Europe/Berlin"; "" when it may be sent to now.
std::string closed_schedule(const std::string& name, const config::Config& config, Time now) {
  const auto found = std::ranges::find(config.destinations, name, &config::Destination::name);
  if (found == config.destinations.end()) return "";
  std::string windows;
  for (const config::TimeWindow& window : found->schedule) {
    if (window.contains(now)) return "";
    windows += (windows.empty() ? "" : ", ") + window.text();
  }
  return windows.empty() ? "" : name + ": " + windows;
}

std::string with_status(const std::string& status, const std::string& reason) {
  return status.empty() ? reason : status + " " + reason;
}

// Told where it is not as usual: "(high priority) A700 out of resources".
std::string with_priority(config::Priority priority, const std::string& text) {
  if (priority == config::Priority::medium) return text;
  std::string told = "(";
  told.append(config::to_string(priority)).append(" priority)");
  if (!text.empty()) told.append(" ").append(text);
  return told;
}

}  // namespace

OpenQueue open_queue(const std::string& config_file) {
  OpenQueue opened;
  auto config = load_places_or_print(config_file);
  opened.exit_code = kMistakes;
  if (!config) return opened;
  opened.config = std::move(*config);
  if (const auto fault = read_fault(opened.config.gateway.data_dir)) {
    std::cerr << "sluice: STORAGE FAULTED " << *fault
              << "\nsluice: nothing is accepted. Check disk and file system, then `sluice fault "
                 "clear --reason \"...\"`, then restart the gateway\n";
  }
  auto queue = Queue::open_beside(queue_file(opened.config));
  opened.exit_code = queue ? kOk : fail(queue.error().message);
  if (queue) opened.queue = std::move(*queue);
  return opened;
}

std::string wait_for_schedule(const QueueEntry& entry, const config::Config& config, Time now) {
  const DeliveryState state = entry.delivery.state;
  if (state != DeliveryState::ready && state != DeliveryState::deferred) return "";
  std::vector<std::string> names = {entry.delivery.destination};
  const auto group = std::ranges::find(config.groups, names.front(), &config::Group::name);
  if (group != config.groups.end()) names = group->destinations;
  std::string closed;
  for (const std::string& name : names) {
    const std::string one = closed_schedule(name, config, now);
    if (one.empty()) return "";
    closed += (closed.empty() ? "" : "; ") + one;
  }
  return "waits for the schedule of " + closed;
}

std::string advice(const QueueEntry& entry, const config::Config& config, Time now) {
  if (std::string wait = wait_for_schedule(entry, config, now); !wait.empty()) return wait;
  const std::string& first = entry.instance.other_bytes_of;
  switch (entry.delivery.state) {
    case DeliveryState::held:
      if (entry.instance.is_damaged) {
        return "its file is damaged: send it again from the modality, which is then delivered, "
               "and `sluice queue discard` this one";
      }
      return "see the reason, mend its cause, then `sluice queue retry`, or `discard`; the same "
             "image sent again by the modality takes its place";
    case DeliveryState::quarantined:
      if (!first.empty()) {
        return "compare with " + first +
               " (`sluice queue show`): `sluice queue release` delivers this one too, under the "
               "same UID; `discard` ends it; other_bytes = \"new_uid\" and `retry` give it a UID "
               "of its own";
      }
      return "see the reason, change routes or filters, then `sluice queue retry`; or `release` "
             "it as it is, or `discard`";
    case DeliveryState::deferred:
      return "tried again by itself; `sluice queue retry` does it now";
    default:
      return "";
  }
}

json to_json(const QueueEntry& entry, const config::Config& config, Time now) {
  const InstanceRow& instance = entry.instance;
  const DeliveryRow& delivery = entry.delivery;
  json made = {{"id", instance.id},
               {"state", to_string(delivery.state)},
               {"route", delivery.route},
               {"destination", delivery.destination},
               {"priority", config::to_string(delivery.priority)},
               {"reason", log::escape(delivery.reason)},
               {"status", delivery.status},
               {"attempts", delivery.attempts},
               {"failures", delivery.failures},
               {"received_at", time_text(instance.received_at)},
               {"updated_at", time_text(delivery.updated_at)},
               {"age_seconds", age_seconds(now, instance.received_at)},
               {"overdue", is_overdue(entry, config.gateway, now)},
               {"advice", advice(entry, config, now)},
               {"calling_ae_title", log::escape(instance.calling_ae_title)},
               {"called_ae_title", log::escape(instance.called_ae_title)},
               {"peer_address", instance.peer_address},
               {"user_name", log::escape(instance.user_name)},
               {"listener", instance.listener},
               {"sop_class_uid", log::escape(instance.sop_class_uid)},
               {"sop_instance_uid", log::escape(instance.sop_instance_uid)},
               {"study_instance_uid", log::escape(instance.study_instance_uid)},
               {"series_instance_uid", log::escape(instance.series_instance_uid)},
               {"transfer_syntax_uid", log::escape(instance.transfer_syntax_uid)},
               {"bytes", instance.data_set_length},
               {"digest", instance.digest},
               {"irregular_tags", instance.irregular_tags},
               {"sent_again", instance.sent_again},
               {"other_bytes_of", instance.other_bytes_of},
               {"new_sop_instance_uid", instance.new_sop_instance_uid},
               {"damaged", instance.is_damaged},
               {"released", log::escape(delivery.released)}};
  if (instance.sent_again > 0) made["sent_again_at"] = time_text(instance.sent_again_at);
  if (delivery.state == DeliveryState::deferred) {
    made["next_attempt"] = time_text(delivery.next_attempt);
  }
  return made;
}

json to_json(const Rejection& rejection, Time now) {
  return {{"id", rejection.id},
          {"state", "rejected"},
          {"reason", log::escape(rejection.reason)},
          {"status", rejection.status},
          {"times", rejection.times},
          {"received_at", time_text(rejection.received_at)},
          {"updated_at", time_text(rejection.updated_at)},
          {"age_seconds", age_seconds(now, rejection.received_at)},
          {"advice", kRejectedAdvice},
          {"calling_ae_title", log::escape(rejection.calling_ae_title)},
          {"called_ae_title", log::escape(rejection.called_ae_title)},
          {"peer_address", rejection.peer_address},
          {"listener", rejection.listener},
          {"sop_class_uid", log::escape(rejection.sop_class_uid)},
          {"sop_instance_uid", log::escape(rejection.sop_instance_uid)},
          {"transfer_syntax_uid", log::escape(rejection.transfer_syntax_uid)},
          {"bytes", rejection.data_set_length}};
}

std::string to_line(const QueueEntry& entry, const config::Config& config, Time now) {
  const DeliveryRow& delivery = entry.delivery;
  const std::string reason = with_status(delivery.status, delivery.reason);
  return line(entry.instance.id, to_string(delivery.state), delivery.destination,
              age_text(now - entry.instance.received_at) +
                  (is_overdue(entry, config.gateway, now) ? "!" : ""),
              with_priority(delivery.priority,
                            reason.empty() ? wait_for_schedule(entry, config, now) : reason));
}

std::string to_line(const Rejection& rejection, Time now) {
  const std::string times =
      rejection.times == 1 ? "" : " (" + std::to_string(rejection.times) + " times)";
  return line(rejection.id, "rejected", "", age_text(now - rejection.received_at),
              with_status(rejection.status, rejection.reason) + " from " +
                  rejection.calling_ae_title + times);
}

}  // namespace sluice::command
