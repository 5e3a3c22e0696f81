#include "gateway/queue/age_watch.h"

#include <algorithm>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestInterval{60'000};
constexpr milliseconds kShortestInterval{500};
constexpr std::chrono::hours kTellAgain{24};

std::string kind_of(DeliveryState state) {
  if (state == DeliveryState::held) return "held";
  if (state == DeliveryState::quarantined) return "quarantined";
  return "waiting";
}

milliseconds limit_of_kind(const config::Gateway& gateway, const std::string& kind) {
  if (kind == "held") return gateway.alarm_held;
  if (kind == "quarantined") return gateway.alarm_quarantined;
  return gateway.alarm_waiting;
}

// A tenth of the shortest limit is soon enough.
milliseconds interval_for(const config::Gateway& gateway) {
  milliseconds interval = kLongestInterval;
  for (const milliseconds limit : {gateway.alarm_waiting, gateway.alarm_held,
                                   gateway.alarm_quarantined, gateway.discard_quarantined_after}) {
    if (limit > milliseconds(0)) interval = std::min(interval, limit / 10);
  }
  return std::max(interval, kShortestInterval);
}

}  // namespace

milliseconds age_limit(const config::Gateway& gateway, DeliveryState state) {
  switch (state) {
    case DeliveryState::ready:
    case DeliveryState::sending:
    case DeliveryState::deferred:
    case DeliveryState::held:
    case DeliveryState::quarantined:
      return limit_of_kind(gateway, kind_of(state));
    default:
      return milliseconds(0);
  }
}

bool is_overdue(const QueueEntry& entry, const config::Gateway& gateway, Time now) {
  const milliseconds limit = age_limit(gateway, entry.delivery.state);
  return limit > milliseconds(0) && now - entry.instance.received_at >= limit;
}

AgeWatch::AgeWatch(const config::Gateway& gateway)
    : gateway_(gateway), interval_(interval_for(gateway)) {}

void AgeWatch::use(const config::Gateway& gateway) {
  gateway_ = gateway;
  interval_ = interval_for(gateway);
  last_look_ = {};
}

void AgeWatch::look(Queue& queue) {
  const Clock::time_point monotonic = Clock::now();
  if (last_look_ != Clock::time_point{} && monotonic - last_look_ < interval_) return;
  last_look_ = monotonic;
  const Time now = std::chrono::system_clock::now();
  const auto oldest = queue.oldest();
  if (!oldest) {
    log::error("ages cannot be watched", {{"reason", oldest.error().message}});
    return;
  }
  judge(*oldest, now, monotonic);
  const auto discarded = discard_old(queue, now);
  if (!discarded) {
    log::error("old quarantined deliveries stay", {{"reason", discarded.error().message}});
  } else if (*discarded > 0) {
    count("sluice_discarded_by_age_total", {}, *discarded);
    log::warning("old quarantined deliveries discarded", {{"deliveries", *discarded}});
  }
}

void AgeWatch::judge(const std::vector<Queue::Oldest>& oldest, Time now,
                     Clock::time_point monotonic) {
  std::map<Place, Found> too_old;
  for (const Queue::Oldest& one : oldest) {
    Found& found = too_old[{one.destination, kind_of(one.state)}];
    if (found.deliveries == 0 || one.received_at < found.received_at) {
      found.instance_id = one.instance_id;
      found.received_at = one.received_at;
    }
    found.deliveries += one.count;
  }
  std::erase_if(too_old, [&](const auto& each) {
    const milliseconds limit = limit_of_kind(gateway_, each.first.second);
    return limit == milliseconds(0) || now - each.second.received_at < limit;
  });
  for (const auto& [place, found] : too_old) {
    const auto told = raised_.find(place);
    if (told != raised_.end() && monotonic - told->second < kTellAgain) continue;
    raise(place, found, now);
    raised_[place] = monotonic;
  }
  std::erase_if(raised_, [&](const auto& each) {
    if (too_old.contains(each.first)) return false;
    log::info("no longer too old",
              {{"destination", each.first.first}, {"state", each.first.second}});
    return true;
  });
}

void AgeWatch::raise(const Place& place, const Found& found, Time now) const {
  const auto& [destination, kind] = place;
  count("sluice_age_alarms_total", {{"destination", destination}, {"state", kind}});
  const auto line = kind == "waiting" ? log::warning : log::error;
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - found.received_at);
  const auto limit =
      std::chrono::duration_cast<std::chrono::seconds>(limit_of_kind(gateway_, kind));
  line("too old", {{"destination", destination},
                   {"state", kind},
                   {"deliveries", found.deliveries},
                   {"oldest", found.instance_id},
                   {"age_seconds", age.count()},
                   {"limit_seconds", limit.count()},
                   {"advice", "sluice queue list"}});
}

Result<std::size_t> AgeWatch::discard_old(Queue& queue, Time now) const {
  if (gateway_.discard_quarantined_after == milliseconds(0)) return std::size_t{0};
  QueueFilter filter;
  filter.states = {DeliveryState::quarantined};
  filter.updated_before = now - gateway_.discard_quarantined_after;
  filter.limit = 1;
  // There is hardly ever one: a look costs no transaction.
  const auto any = queue.list(filter);
  if (!any) return tl::unexpected(any.error());
  if (any->empty()) return std::size_t{0};
  return queue.discard(filter, "the gateway",
                       "in quarantine for longer than discard_quarantined_after");
}

}  // namespace sluice
