// `sluice queue retry`, `release` and `discard`: what a person decides.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>

#include "gateway/base/log.h"
#include "gateway/command/command.h"
#include "gateway/command/discard_audit.h"
#include "gateway/command/person.h"
#include "gateway/command/queue_text.h"
#include "gateway/command/setup.h"

namespace sluice::command {
namespace {

using nlohmann::json;

bool has_filter(const QueueOptions& options) {
  const QueueFilter& filter = options.filter;
  return options.all || !filter.instance_id.empty() || !filter.destination.empty() ||
         !filter.sop_instance_uid.empty() || !filter.states.empty();
}

int refuse_everything() {
  std::cerr
      << "sluice: this would concern every delivery; name instances, --destination, --state or "
         "--sop-instance-uid, or say --all\n";
  return kUsage;
}

// There is nothing to be done about what was refused to its sender, and the person who
// asks for it should hear why. nullopt: it is none of that.
std::optional<int> refuse_rejected(Queue& queue, const QueueOptions& options) {
  if (!options.deliveries) {
    std::cerr << "sluice: of what was rejected nothing was kept; mend it at the modality and send "
                 "it again there\n";
    return kNotFound;
  }
  if (options.filter.instance_id.empty()) return std::nullopt;
  QueueFilter by_id;
  by_id.instance_id = options.filter.instance_id;
  const auto found = queue.rejections(by_id);
  if (!found) return fail(found.error().message);
  if (found->empty()) return std::nullopt;
  const Rejection& one = found->front();
  std::cerr << "sluice: " << one.id << " was rejected (" << one.status << " "
            << log::escape(one.reason)
            << "): nothing of it was kept; mend it at the modality and send it again there\n";
  return kNotFound;
}

int print_changed(std::size_t count, const char* what, bool as_json) {
  if (as_json) {
    std::cout << json{{what, count}}.dump() << '\n';
  } else {
    std::cout << what << ": " << count << '\n';
  }
  return count == 0 ? kNotFound : kOk;
}

// A route that is gone had a chain that is gone: what it would have repaired must not go
// out as it came, wherever to.
std::vector<std::string> destinations_of(const config::Config& config, const std::string& route,
                                         const std::vector<std::string>& wanted) {
  if (route.empty()) return wanted;
  const auto found = std::ranges::find(config.routes, route, &config::Route::name);
  if (found == config.routes.end()) return {};
  return wanted.empty() ? found->destinations : wanted;
}

}  // namespace

int queue_retry(const std::string& config_file, const QueueOptions& options) {
  if (!has_filter(options) && options.deliveries) return refuse_everything();
  const OpenQueue open = open_queue(config_file);
  if (!open.queue) return open.exit_code;
  if (const auto refused = refuse_rejected(*open.queue, options)) return *refused;
  const auto count = open.queue->retry(options.filter);
  if (!count) return fail(count.error().message);
  if (*count == 0) explain_none_for(open.config, options.filter.destination);
  return print_changed(*count, "retried", options.json);
}

int queue_release(const std::string& config_file, const QueueOptions& options) {
  const OpenQueue open = open_queue(config_file);
  if (!open.queue) return open.exit_code;
  if (!are_destinations(open.config, options.destinations)) return kUsage;
  if (const auto refused = refuse_rejected(*open.queue, options)) return *refused;
  Queue::Release release;
  release.destinations = [&](const std::string& route) {
    return destinations_of(open.config, route, options.destinations);
  };
  release.who = person().name;
  release.why = options.reason;
  const auto count = open.queue->release_quarantined(options.filter, release);
  if (!count) return fail(count.error().message);
  if (*count == 0) {
    std::cerr << "sluice: nothing quarantined matches that could be released; what no route took "
                 "needs --destination, and a route that the configuration does not have any more "
                 "needs `sluice queue retry`\n";
  }
  return print_changed(*count, "released", options.json);
}

int queue_discard(const std::string& config_file, const QueueOptions& options) {
  if (!has_filter(options) && options.deliveries) return refuse_everything();
  const OpenQueue open = open_queue(config_file);
  if (!open.queue) return open.exit_code;
  if (const auto refused = refuse_rejected(*open.queue, options)) return *refused;
  auto record = DiscardAudit::begin(open.config, *open.queue, options.filter);
  if (!record) return fail("nothing is discarded: " + record.error().message);
  const audit::Person who = person();
  const auto count = open.queue->discard(options.filter, who.name, options.reason);
  if (!count) return fail(count.error().message);
  if (const auto told = record->end(*open.queue, who, options.reason); !told) {
    return fail("discarded, but the audit trail does not know it: " + told.error().message);
  }
  if (*count == 0) {
    std::cerr
        << "sluice: nothing that waits or rests matches; what is being sent is not discarded\n";
    explain_none_for(open.config, options.filter.destination);
  }
  return print_changed(*count, "discarded", options.json);
}

}  // namespace sluice::command
