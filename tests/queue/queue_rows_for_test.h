// Rows and small steps that the queue's tests share.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/queue/queue_record.h"

namespace sluice::test {

inline InstanceRow instance(const std::string& id) {
  InstanceRow row;
  row.id = id;
  row.received_at = Time(std::chrono::microseconds(1'700'000'000'123'456));
  row.calling_ae_title = "CT1";
  row.called_ae_title = "SLUICE";
  row.peer_address = "192.0.2.1";
  row.listener = "main";
  row.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2";
  row.sop_instance_uid = "1.2.3." + id;
  row.study_instance_uid = "1.2.3";
  row.series_instance_uid = "1.2.3.4";
  row.transfer_syntax_uid = "1.2.840.10008.1.2.1";
  row.data_set_offset = 300;
  row.data_set_length = 5'000'000'000;
  row.digest = "99aa06d3014798d86001c324468d497f";
  return row;
}

inline DeliveryRow delivery(const std::string& destination,
                            DeliveryState state = DeliveryState::ready,
                            const std::string& route = "all") {
  DeliveryRow row;
  row.route = route;
  row.destination = destination;
  row.state = state;
  return row;
}

inline Outcome outcome(const std::string& id, const std::string& destination,
                       DeliveryState state = DeliveryState::delivered) {
  Outcome one;
  one.instance_id = id;
  one.destination = destination;
  one.state = state;
  return one;
}

inline std::unique_ptr<Queue> open_queue(const std::string& path, Queue::Hooks hooks = {}) {
  auto queue = Queue::open(path, std::move(hooks));
  if (!queue) throw std::runtime_error(queue.error().message);
  return std::move(*queue);
}

// Waits until they are durable.
inline Result<void> add_new(Queue& queue, const InstanceRow& instance,
                            const std::vector<DeliveryRow>& deliveries, UidClaims::Claim claim) {
  const auto added = std::make_shared<std::promise<Result<void>>>();
  queue.add_new(std::make_shared<const QueueRecord>(QueueRecord{instance, deliveries}),
                std::move(claim),
                [added](Result<void> done) { added->set_value(std::move(done)); });
  return added->get_future().get();
}

inline std::vector<std::string> ids_of(const std::vector<QueueEntry>& entries) {
  std::vector<std::string> ids;
  ids.reserve(entries.size());
  for (const QueueEntry& entry : entries) ids.push_back(entry.instance.id);
  return ids;
}

inline std::vector<std::string> claimed_ids(Queue& queue, const std::string& destination,
                                            std::size_t limit = 100) {
  auto claimed = queue.claim(destination, limit);
  if (!claimed) throw std::runtime_error(claimed.error().message);
  return ids_of(*claimed);
}

inline DeliveryRow only_delivery(Queue& queue, const std::string& id) {
  QueueFilter filter;
  filter.instance_id = id;
  const auto entries = queue.list(filter);
  if (!entries || entries->size() != 1) throw std::runtime_error("not one delivery of " + id);
  return entries->front().delivery;
}

// True as soon as the condition holds; false when it does not for 20 s.
template <typename Condition>
bool comes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

inline std::chrono::steady_clock::time_point in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// The files that a queue said were done.
class DoneFiles {
 public:
  Result<void> add(const std::string& id) {
    const std::lock_guard lock(mutex_);
    ids_.push_back(id);
    if (fails_) return failure(ErrorCode::transient, "not removed");
    return {};
  }
  void fail(bool fails) {
    const std::lock_guard lock(mutex_);
    fails_ = fails;
  }
  [[nodiscard]] std::vector<std::string> ids() const {
    const std::lock_guard lock(mutex_);
    return ids_;
  }
  [[nodiscard]] Queue::Hooks hooks() {
    return {.before_commit = {}, .file_done = [this](const std::string& id) { return add(id); }};
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> ids_;
  bool fails_ = false;
};

}  // namespace sluice::test
