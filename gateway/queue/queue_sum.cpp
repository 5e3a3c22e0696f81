// The totals: sum.h as statements.
#include "gateway/queue/sum.h"

#include <algorithm>
#include <map>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/queue/queue.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

void report_sum(const std::string& of, std::uint64_t accepted, std::uint64_t found) {
  count("sluice_queue_errors_total", {{"reason", "sum"}});
  log::error(
      "the queue's sum does not add up: what was accepted is not all there; keep a copy of "
      "data_dir and see `sluice queue sum`",
      {{"of", of}, {"accepted", accepted}, {"found", found}});
}

}  // namespace

bool Sums::add_up() const {
  return instances.adds_up() && std::ranges::all_of(deliveries, &DeliverySum::adds_up);
}

bool check_sums(Queue& queue) {
  const auto sums = queue.sums();
  if (!sums) {
    log::error("the queue's sums cannot be read", {{"reason", sums.error().message}});
    return false;
  }
  const InstanceSum& instances = sums->instances;
  if (!instances.adds_up()) {
    report_sum("instances", instances.accepted, instances.finished + instances.unfinished);
  }
  for (const DeliverySum& sum : sums->deliveries) {
    if (sum.adds_up()) continue;
    report_sum(sum.destination.empty() ? "deliveries without a destination"
                                       : "deliveries to " + sum.destination,
               sum.accepted,
               sum.delivered + sum.dropped + sum.discarded + sum.replaced + sum.rerouted +
                   sum.waiting() + sum.held + sum.quarantined);
  }
  return sums->add_up();
}

namespace rows {
namespace {

// Names of totals and of states, which are those of the fields.
std::uint64_t* field_of(Sums& sums, DeliverySum& sum, std::string_view name) {
  const std::pair<std::string_view, std::uint64_t*> fields[] = {
      {total::kInstances, &sums.instances.accepted},
      {total::kFinished, &sums.instances.finished},
      {"unfinished", &sums.instances.unfinished},
      {total::kAccepted, &sum.accepted},
      {"delivered", &sum.delivered},
      {"dropped", &sum.dropped},
      {"discarded", &sum.discarded},
      {total::kReplaced, &sum.replaced},
      {total::kRerouted, &sum.rerouted},
      {"ready", &sum.ready},
      {"sending", &sum.sending},
      {"deferred", &sum.deferred},
      {"held", &sum.held},
      {"quarantined", &sum.quarantined}};
  const auto* found =
      std::ranges::find(fields, name, &std::pair<std::string_view, std::uint64_t*>::first);
  return found == std::end(fields) ? nullptr : found->second;
}

}  // namespace

void Totals::add(std::string_view what, std::string_view destination, std::size_t by) {
  if (by > 0) totals_[{std::string(what), std::string(destination)}] += by;
}

void Totals::add(const Totals& more) {
  for (const auto& [key, by] : more.totals_) totals_[key] += by;
}

Result<void> Totals::write(Connection& db) const {
  for (const auto& [key, by] : totals_) {
    auto added = db.run(
        "INSERT INTO totals(what, destination, count) VALUES (?,?,?) "
        "ON CONFLICT (what, destination) DO UPDATE SET count = count + excluded.count",
        {key.first, key.second, static_cast<std::int64_t>(by)});
    if (!added) return added;
  }
  return {};
}

// One statement, and so one state of the file.
Result<Sums> sums(Connection& db) {
  auto row = db.prepare(
      "SELECT what, destination, count FROM totals "
      "UNION ALL SELECT state, destination, count(*) FROM deliveries "
      "WHERE state IN ('ready', 'sending', 'deferred', 'held', 'quarantined') "
      "GROUP BY state, destination "
      "UNION ALL SELECT 'unfinished', '', count(DISTINCT instance) FROM deliveries "
      "WHERE state IN ('ready', 'sending', 'deferred', 'held', 'quarantined')");
  if (!row) return tl::unexpected(row.error());
  Sums made;
  std::map<std::string, DeliverySum> by_destination;
  DeliverySum none;
  for (;;) {
    const auto more = row->step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    const std::string what = row->text(0);
    const bool of_instances =
        what == total::kInstances || what == total::kFinished || what == "unfinished";
    DeliverySum& sum = of_instances ? none : by_destination[row->text(1)];
    if (std::uint64_t* field = field_of(made, sum, what)) {
      *field += static_cast<std::uint64_t>(row->integer(2));
    }
  }
  for (auto& [destination, sum] : by_destination) {
    sum.destination = destination;
    made.deliveries.push_back(std::move(sum));
  }
  return made;
}

}  // namespace rows
}  // namespace sluice
