// Spool, queue, ledger and pipeline as the gateway has them, in a temporary folder, and
// instances that were received into them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "filters/filters.h"
#include "gateway/config/config.h"
#include "gateway/deliver/payload.h"
#include "gateway/dicom/header.h"
#include "gateway/ledger/ledger.h"
#include "gateway/pipeline/setup.h"
#include "gateway/queue/queue.h"
#include "gateway/spool/spool.h"
#include "tests/support/process.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {

inline constexpr const char* kListener = R"(
[[listener]]
port = 104
)";

inline std::string dicom_destination(const std::string& name, std::uint16_t port,
                                     const std::string& more = "") {
  return "\n[[destination]]\nname = \"" + name +
         "\"\naddress = \"dicom://PACS@127.0.0.1:" + std::to_string(port) +
         "\"\nretry_min = \"20ms\"\nretry_max = \"100ms\"\n" + more;
}

inline std::string folder_destination(const std::string& name, const std::string& folder) {
  return "\n[[destination]]\nname = \"" + name + "\"\naddress = \"file://" + folder +
         "\"\nretry_min = \"20ms\"\nretry_max = \"100ms\"\n";
}

inline std::string route(const std::string& destinations, const std::string& filters = "") {
  return "\n[[route]]\nname = \"all\"\ndestinations = [" + destinations + "]\nfilters = [" +
         filters + "]\n";
}

struct ReceivedData {
  std::string sop_class_uid = kCtStorage;
  std::string sop_instance_uid = "1.2.3.4.5";
  std::string transfer_syntax_uid = kImplicit;
  std::string data_set = {};
  std::string user_name = {};
};

inline ReceivedData small_instance(const std::string& sop_instance_uid,
                                   const std::string& sop_class_uid = kCtStorage) {
  return {sop_class_uid, sop_instance_uid, kImplicit,
          small_data_set(sop_class_uid, sop_instance_uid)};
}

class GatewayParts {
 public:
  explicit GatewayParts(const std::string& destinations_and_routes) {
    current_.set(make_setup(destinations_and_routes));
    open();
  }

  // Another configuration; its mistakes, which it must not have, end with it.
  [[nodiscard]] std::shared_ptr<const Setup> make_setup(
      const std::string& destinations_and_routes) const {
    auto setup = std::make_shared<Setup>();
    setup->mistakes = std::make_shared<config::Mistakes>("test");
    setup->config = config::parse(kListener + destinations_and_routes, *setup->mistakes);
    setup->pipeline = Pipeline::build(setup->config, filter_types(), "site key", *setup->mistakes);
    if (!setup->mistakes->empty()) throw std::runtime_error(setup->mistakes->text());
    setup->config.gateway.data_dir = folder_.path();
    return setup;
  }

  // As after a restart.
  void reopen() {
    queue_.reset();
    ledger_.reset();
    spool_.reset();
    open();
  }

  // Spooled and queued for these destinations; returns its id.
  std::string receive(const ReceivedData& data, const std::vector<std::string>& destinations,
                      const std::string& route_name = "all",
                      config::Priority priority = config::Priority::medium,
                      DeliveryState state = DeliveryState::ready) {
    auto incoming = taken(spool_->create(
        {data.sop_class_uid, data.sop_instance_uid, data.transfer_syntax_uid, "MODALITY"}));
    must(incoming.append(std::as_bytes(std::span(data.data_set))));
    const StoredFile stored = taken(incoming.close());
    must(spool_->sync_directory());
    InstanceRow row;
    row.id = stored.id;
    row.received_at = std::chrono::system_clock::now();
    row.calling_ae_title = "MODALITY";
    row.called_ae_title = "SLUICE";
    row.peer_address = "127.0.0.1";
    row.listener = "listener-104";
    row.sop_class_uid = data.sop_class_uid;
    row.sop_instance_uid = data.sop_instance_uid;
    row.transfer_syntax_uid = data.transfer_syntax_uid;
    row.data_set_offset = stored.data_set_offset;
    row.data_set_length = stored.data_set_length;
    row.digest = stored.digest;
    row.user_name = data.user_name;
    std::vector<DeliveryRow> deliveries;
    for (const std::string& destination : destinations) {
      DeliveryRow delivery;
      delivery.instance_id = stored.id;
      delivery.route = route_name;
      delivery.destination = destination;
      delivery.priority = priority;
      delivery.state = state;
      deliveries.push_back(delivery);
    }
    must(queue_->add(row, deliveries));
    rows_[stored.id] = row;
    return stored.id;
  }

  // Small ones, 1.2.3.0 and so on.
  std::vector<std::string> receive_many(int number, const std::vector<std::string>& destinations) {
    std::vector<std::string> ids(static_cast<std::size_t>(number));
    int count = 0;
    for (std::string& id : ids) {
      id = receive(small_instance("1.2.3." + std::to_string(count++)), destinations);
    }
    return ids;
  }

  [[nodiscard]] QueueEntry entry(const std::string& id, std::string_view route_name = "all") {
    DeliveryRow delivery;
    delivery.instance_id = id;
    delivery.route = route_name;
    return {rows_.at(id), std::move(delivery)};
  }
  [[nodiscard]] Result<Payload> payload(const std::string& id,
                                        std::string_view route_name = "all") {
    return Payload::open(entry(id, route_name), {*spool_, pipeline(), *ledger_, folder_.path()});
  }

  // The row of this instance and destination, with what is not committed yet.
  [[nodiscard]] DeliveryRow delivery(const std::string& id, const std::string& destination) {
    must(queue_->flush());
    QueueFilter filter;
    filter.instance_id = id;
    filter.destination = destination;
    const auto entries = taken(queue_->list(filter));
    return entries.empty() ? DeliveryRow{} : entries.front().delivery;
  }

  [[nodiscard]] bool wait_for(const std::string& id, const std::string& destination,
                              DeliveryState state) {
    return wait_until([&] { return delivery(id, destination).state == state; });
  }

  [[nodiscard]] std::uint64_t count_of(const std::string& destination, DeliveryState state) {
    must(queue_->flush());
    for (const Queue::Count& count : taken(queue_->counts())) {
      if (count.destination == destination && count.state == state) return count.count;
    }
    return 0;
  }

  // Names in data_dir that are neither the stores nor part of them.
  [[nodiscard]] std::vector<std::string> left_over() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename();
      if (!name.starts_with("spool") && !name.starts_with("queue.db") &&
          !name.starts_with("ledger.db")) {
        names.push_back(name);
      }
    }
    return names;
  }

  [[nodiscard]] const InstanceRow& row(const std::string& id) const { return rows_.at(id); }
  [[nodiscard]] std::string spool_path(const std::string& id) const { return spool_->path(id); }
  [[nodiscard]] CurrentSetup& current() { return current_; }
  [[nodiscard]] const config::Destination& destination(std::size_t index = 0) const {
    return current_.get()->config.destinations.at(index);
  }
  [[nodiscard]] Spool& spool() { return *spool_; }
  [[nodiscard]] Queue& queue() { return *queue_; }
  [[nodiscard]] Ledger& ledger() { return *ledger_; }
  [[nodiscard]] const Pipeline& pipeline() const { return *current_.get()->pipeline; }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path(name); }

 private:
  template <typename T>
  static T taken(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
  }
  static void must(const Result<void>& result) {
    if (!result) throw std::runtime_error(result.error().message);
  }

  void open() {
    spool_ = taken(Spool::open(folder_.path("spool")));
    Queue::Hooks hooks;
    hooks.before_commit = [this] { return spool_->sync_directory(); };
    hooks.file_done = [this](const std::string& id) { return spool_->remove(id); };
    queue_ = taken(Queue::open(folder_.path("queue.db"), hooks));
    ledger_ = taken(open_ledger(folder_.path("ledger.db")));
  }

  TemporaryFolder folder_;
  CurrentSetup current_{nullptr};
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Ledger> ledger_;
  std::map<std::string, InstanceRow> rows_;
};

// All that a payload gives, read in pieces of this size.
inline std::string bytes_of(Payload& payload, std::size_t piece = 1000) {
  std::string bytes;
  std::vector<std::byte> buffer(piece);
  payload.rewind();
  for (;;) {
    const auto got = payload.read(buffer);
    if (!got) throw std::runtime_error(got.error().message);
    if (*got == 0) return bytes;
    for (const std::byte byte : std::span(buffer).first(*got)) bytes += static_cast<char>(byte);
  }
}

// Changes one byte of a file from its end.
inline void flip_byte(const std::string& path, std::streamoff from_end = 1) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-from_end, std::ios::end);
  const auto byte = static_cast<char>(file.get() ^ 1);
  file.seekp(-from_end, std::ios::end);
  file.put(byte);
  if (!file.flush()) throw std::runtime_error("cannot change " + path);
}

}  // namespace sluice::test
