// `sluice queue list` and `show`: they change nothing.
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>

#include "gateway/command/command.h"
#include "gateway/command/queue_text.h"
#include "gateway/command/setup.h"

namespace sluice::command {
namespace {

using nlohmann::json;
using std::chrono::system_clock;

struct Listed {
  std::vector<QueueEntry> entries;
  std::vector<Rejection> rejections;
};

Result<Listed> read(Queue& queue, const QueueOptions& options) {
  Listed listed;
  if (options.deliveries) {
    auto entries = queue.list(options.filter);
    if (!entries) return tl::unexpected(entries.error());
    listed.entries = std::move(*entries);
  }
  // What was refused had no destination yet.
  if (options.rejections && options.filter.destination.empty()) {
    auto rejections = queue.rejections(options.filter);
    if (!rejections) return tl::unexpected(rejections.error());
    listed.rejections = std::move(*rejections);
  }
  return listed;
}

json counts_json(const std::vector<Queue::Count>& counts) {
  json sums = json::array();
  for (const Queue::Count& each : counts) {
    sums.push_back({{"destination", each.destination},
                    {"state", to_string(each.state)},
                    {"count", each.count}});
  }
  return sums;
}

void print(const Listed& listed, const std::vector<Queue::Count>& counts,
           const config::Config& config, std::size_t limit) {
  const Time now = system_clock::now();
  for (const QueueEntry& entry : listed.entries) {
    std::cout << to_line(entry, config, now) << '\n';
  }
  for (const Rejection& rejection : listed.rejections) std::cout << to_line(rejection, now) << '\n';
  if (listed.entries.size() == limit || listed.rejections.size() == limit) {
    std::cout << "(the first " << limit << "; --limit shows more)\n";
  }
  for (const Queue::Count& each : counts) {
    std::cout << std::left << std::setw(16) << (each.destination.empty() ? "-" : each.destination)
              << std::setw(12) << to_string(each.state) << each.count << '\n';
  }
}

void print_whole(const json& one) {
  for (const auto& [key, value] : one.items()) {
    std::cout << std::left << std::setw(20) << key << ' '
              << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
  }
  std::cout << '\n';
}

}  // namespace

int queue_list(const std::string& config_file, const QueueOptions& options) {
  const OpenQueue open = open_queue(config_file);
  if (!open.queue) return open.exit_code;
  const auto listed = read(*open.queue, options);
  if (!listed) return fail(listed.error().message);
  const auto counts = open.queue->counts();
  if (!counts) return fail(counts.error().message);
  if (listed->entries.empty()) explain_none_for(open.config, options.filter.destination);
  if (!options.json) {
    print(*listed, *counts, open.config, options.filter.limit);
    return kOk;
  }
  const Time now = system_clock::now();
  json deliveries = json::array();
  for (const QueueEntry& entry : listed->entries) {
    deliveries.push_back(to_json(entry, open.config, now));
  }
  json rejections = json::array();
  for (const Rejection& rejection : listed->rejections) {
    rejections.push_back(to_json(rejection, now));
  }
  std::cout << json{{"deliveries", deliveries},
                    {"rejections", rejections},
                    {"counts", counts_json(*counts)}}
                   .dump(2)
            << '\n';
  return kOk;
}

int queue_show(const std::string& config_file, const QueueOptions& options) {
  const OpenQueue open = open_queue(config_file);
  if (!open.queue) return open.exit_code;
  const auto listed = read(*open.queue, options);
  if (!listed) return fail(listed.error().message);
  const Time now = system_clock::now();
  json list = json::array();
  for (const QueueEntry& entry : listed->entries) {
    list.push_back(to_json(entry, open.config, now));
  }
  for (const Rejection& rejection : listed->rejections) list.push_back(to_json(rejection, now));
  if (options.json) {
    std::cout << list.dump(2) << '\n';
  } else {
    for (const json& one : list) print_whole(one);
  }
  if (list.empty()) std::cerr << "sluice: the queue has no such instance\n";
  return list.empty() ? kNotFound : kOk;
}

}  // namespace sluice::command
