// A queue.db of a gateway that has worked for a month: rows of instances that were delivered.
//
//   bench_history --queue data/queue.db --rows 1000000 --destination sink
//
// Through the queue itself, so that the rows are what the program writes; many threads, because
// it commits for all that wait. Call it before the gateway's first start with this data_dir.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "gateway/queue/queue.h"

namespace sluice::bench {
namespace {

constexpr int kThreads = 64;
constexpr std::chrono::hours kAge{24 * 25};  // the oldest; `history` is 30 days

InstanceRow instance(std::uint64_t number, std::uint64_t all) {
  const std::string digits = std::to_string(100'000'000'000'000 + number);
  const auto age = std::chrono::seconds(kAge) * static_cast<std::int64_t>(all - number) /
                   static_cast<std::int64_t>(all);
  InstanceRow row;
  row.id = "20200101T000000.000000-" + digits;
  row.received_at = std::chrono::system_clock::now() - age;
  row.calling_ae_title = "BENCH";
  row.called_ae_title = "SLUICE";
  row.peer_address = "127.0.0.1";
  row.listener = "listener-11112";
  row.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
  row.sop_instance_uid = "1.2.826.0.1.3680043.10.543.9." + digits;
  row.study_instance_uid = "1.2.826.0.1.3680043.10.543.10." + std::to_string(number / 500);
  row.series_instance_uid = row.study_instance_uid + "." + std::to_string(number / 100);
  row.transfer_syntax_uid = "1.2.840.10008.1.2.1";
  row.data_set_offset = 320;
  row.data_set_length = 14000;
  row.digest = "00000000000000000" + digits;
  return row;
}

int fill(const std::string& path, std::uint64_t rows, const std::string& destination) {
  Queue::Hooks hooks;
  hooks.before_commit = []() -> Result<void> { return {}; };
  hooks.file_done = [](const std::string&) -> Result<void> { return {}; };
  const auto queue = Queue::open(path, std::move(hooks));
  if (!queue) throw std::runtime_error(queue.error().message);
  std::atomic<std::uint64_t> next = 0;
  std::atomic<bool> failed = false;
  const auto add = [&] {
    for (std::uint64_t number = next++; number < rows && !failed; number = next++) {
      DeliveryRow delivery;
      delivery.route = "route-1";
      delivery.destination = destination;
      delivery.state = DeliveryState::delivered;
      delivery.status = "0000";
      delivery.attempts = 1;
      const auto added = (*queue)->add(instance(number, rows), {delivery});
      if (!added && !failed.exchange(true)) std::cerr << added.error().message << '\n';
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int n = 0; n < kThreads; ++n) threads.emplace_back(add);
  for (std::thread& thread : threads) thread.join();
  if (const auto flushed = (*queue)->flush(); !flushed) {
    throw std::runtime_error(flushed.error().message);
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  try {
    std::string path;
    std::string destination = "sink";
    std::uint64_t rows = 1'000'000;
    CLI::App app("Rows of instances that were delivered long ago");
    app.add_option("--queue", path)->required();
    app.add_option("--rows", rows);
    app.add_option("--destination", destination);
    CLI11_PARSE(app, argc, argv);
    return sluice::bench::fill(path, rows, destination);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
