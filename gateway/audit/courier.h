// Brings the messages of audit.db to one collector, in their order, and tells how far it
// has come. On a break all that was not taken is sent again, so a collector may get a
// message twice; it never gets a later one before an earlier one.
//
//   Courier courier(database, destination, wake_up);
//   courier.start();
//   ... courier.look();              whenever messages were committed
//   courier.stop(deadline);
//
// A thread of its own, with a connection of its own to the database, which it only reads.
// Safe from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "gateway/audit/store.h"
#include "gateway/audit/transport.h"
#include "gateway/base/sqlite.h"
#include "gateway/config/config.h"

namespace sluice::audit {

class Courier {
 public:
  // `taken`: where it begins. `progressed` is called in its thread, and must not block.
  Courier(config::AuditDestination destination, std::unique_ptr<sqlite::Connection> reading,
          std::int64_t taken, std::function<void()> progressed);
  // After stop() was true.
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  void start();
  void look();

  // The messages up to this one are taken.
  [[nodiscard]] std::int64_t taken() const { return taken_; }
  [[nodiscard]] const std::string& address() const { return destination_.address; }

  // Brings all messages up to `last` if it can by then, and ends the connection in order.
  void ask_to_stop(std::int64_t last, SteadyTime deadline);
  // False when it still hangs at this time, in a name look-up perhaps.
  [[nodiscard]] bool wait_ended(SteadyTime until);

 private:
  // What was sent up to there was acknowledged at this time for the first time.
  struct OnTrial {
    std::int64_t sequence = 0;
    SteadyTime since;
  };

  void run() noexcept;
  void run_once();
  [[nodiscard]] bool send_some();
  void look_what_is_taken();
  void end_in_order();
  void note_taken(std::int64_t sequence);
  void fell(const Error& error);
  void rest(std::chrono::milliseconds longest);
  [[nodiscard]] bool is_done();

  const config::AuditDestination destination_;
  const std::unique_ptr<sqlite::Connection> reading_;
  const std::unique_ptr<Transport> transport_;
  const std::function<void()> progressed_;

  std::atomic<std::int64_t> taken_;
  // Of its thread.
  std::int64_t sent_;
  std::deque<OnTrial> on_trial_;
  int failures_ = 0;  // in a row

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool news_ = false;
  bool stopping_ = false;
  bool ended_ = true;
  std::int64_t last_ = 0;
  SteadyTime deadline_;
  std::thread thread_;
};

}  // namespace sluice::audit
