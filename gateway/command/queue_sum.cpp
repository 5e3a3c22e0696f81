// `sluice queue sum`: what became of all that was ever accepted. It changes nothing.
#include <cstdint>
#include <initializer_list>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "gateway/command/command.h"
#include "gateway/command/queue_text.h"
#include "gateway/command/setup.h"

namespace sluice::command {
namespace {

using nlohmann::json;

json to_json(const DeliverySum& sum) {
  return {{"destination", sum.destination},
          {"accepted", sum.accepted},
          {"delivered", sum.delivered},
          {"dropped", sum.dropped},
          {"discarded", sum.discarded},
          {"replaced", sum.replaced},
          {"rerouted", sum.rerouted},
          {"ready", sum.ready},
          {"sending", sum.sending},
          {"deferred", sum.deferred},
          {"held", sum.held},
          {"quarantined", sum.quarantined},
          {"adds_up", sum.adds_up()}};
}

json to_json(const Sums& sums) {
  json deliveries = json::array();
  for (const DeliverySum& sum : sums.deliveries) deliveries.push_back(to_json(sum));
  const InstanceSum& instances = sums.instances;
  return {{"instances",
           {{"accepted", instances.accepted},
            {"finished", instances.finished},
            {"unfinished", instances.unfinished},
            {"adds_up", instances.adds_up()}}},
          {"deliveries", deliveries},
          {"adds_up", sums.add_up()}};
}

void print(const std::string& name, bool adds_up,
           std::initializer_list<std::pair<std::string_view, std::uint64_t>> parts) {
  std::cout << std::left << std::setw(16) << name;
  const char* before = " ";
  for (const auto& [part, count] : parts) {
    std::cout << before << part << ' ' << count;
    before = before == std::string_view(" ") ? " = " : " + ";
  }
  std::cout << (adds_up ? "" : "  DOES NOT ADD UP") << '\n';
}

void print(const Sums& sums) {
  const InstanceSum& instances = sums.instances;
  print("instances", instances.adds_up(),
        {{"accepted", instances.accepted},
         {"finished", instances.finished},
         {"unfinished", instances.unfinished}});
  for (const DeliverySum& sum : sums.deliveries) {
    print(sum.destination.empty() ? "-" : sum.destination, sum.adds_up(),
          {{"accepted", sum.accepted},
           {"delivered", sum.delivered},
           {"dropped", sum.dropped},
           {"discarded", sum.discarded},
           {"replaced", sum.replaced},
           {"rerouted", sum.rerouted},
           {"waiting", sum.waiting()},
           {"held", sum.held},
           {"quarantined", sum.quarantined}});
  }
}

}  // namespace

int queue_sum(const std::string& config_file, bool as_json) {
  const OpenQueue open = open_queue(config_file);
  if (!open.queue) return open.exit_code;
  const auto sums = open.queue->sums();
  if (!sums) return fail(sums.error().message);
  if (as_json) {
    std::cout << to_json(*sums).dump(2) << '\n';
  } else {
    print(*sums);
  }
  if (sums->add_up()) return kOk;
  return fail("what was accepted is not all there; keep a copy of data_dir");
}

}  // namespace sluice::command
