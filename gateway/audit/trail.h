// Keeps audit messages until their collectors have them.
//
//   auto trail = Trail::open(data_dir + "/audit.db", config.audit, lost_message);
//   trail->add(message);                       any thread, never waits
//   const bool ended = trail->stop(deadline);
//
// add() puts a message into a bounded list in memory; one thread commits the list, some
// twenty times a second at most, and a courier per destination brings what is committed.
// So a message is safe from kill -9 a moment after add(), and an instance never waits for
// its audit message.
//
// What cannot be kept is counted, and a message and the log say how many were lost: when
// the list in memory is full (the disk is slow or full), when the file has reached
// max_size (the oldest go), and when the file failed. After a failed write the file is not
// trusted again until the gateway is started anew.
//
// Safe from any thread. Stop before it ends.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "gateway/audit/courier.h"
#include "gateway/audit/sink.h"
#include "gateway/audit/store.h"
#include "gateway/base/error.h"
#include "gateway/base/sqlite.h"
#include "gateway/config/config.h"

namespace sluice::audit {

class Trail final : public Sink {
 public:
  // Makes the message that tells of a loss.
  using LostMessage = std::function<Message(std::uint64_t count, const std::string& reason)>;

  // Errors: as sqlite::Connection::open().
  [[nodiscard]] static Result<std::unique_ptr<Trail>> open(const std::string& path,
                                                           const config::Audit& audit,
                                                           LostMessage lost_message);

  // For another process beside the gateway, or without one: durable on return.
  [[nodiscard]] static Result<void> add_beside(const std::string& path,
                                               const std::vector<Message>& messages);

  ~Trail() override;
  Trail(const Trail&) = delete;
  Trail& operator=(const Trail&) = delete;

  void add(Message message) noexcept override;

  // Commits what there is, and brings it to the collectors until the deadline. False when
  // a courier still hung then: the process should end without destroying this. What was
  // not taken waits for the next start.
  [[nodiscard]] bool stop(SteadyTime deadline);

 private:
  enum class Loss : std::size_t { list_full, size_limit, store_failed };
  static constexpr std::array<const char*, 3> kLosses = {"list full", "size limit", "store failed"};
  using Losses = std::array<std::uint64_t, kLosses.size()>;

  Trail(std::unique_ptr<sqlite::Connection> db, std::uint64_t max_size, LostMessage lost_message);
  [[nodiscard]] Result<void> add_couriers(const std::string& path, const config::Audit& audit);
  void run();
  bool write();
  [[nodiscard]] Result<void> commit(std::span<const Message> messages, Losses& lost);
  [[nodiscard]] Result<void> note_taken();
  [[nodiscard]] Result<void> keep_size(Losses& lost);
  void judge_failure(const Error& error);
  void lose(Loss why, std::uint64_t count) noexcept;
  void report_losses();
  void note_progress();
  [[nodiscard]] std::int64_t last_sequence();

  const std::unique_ptr<sqlite::Connection> db_;  // of the writing thread
  const std::uint64_t max_size_;
  const LostMessage lost_message_;
  std::vector<std::unique_ptr<Courier>> couriers_;

  // Of the writing thread.
  std::vector<Message> batch_;
  std::vector<std::int64_t> written_taken_;  // of each courier
  bool faulted_ = false;
  bool failing_ = false;  // disk full or locked: said in the log already
  SteadyTime last_report_;
  Losses reported_{};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Message> list_;
  std::size_t count_ = 0;  // of list_ and batch_
  std::size_t bytes_ = 0;
  Losses lost_{};  // since the last message about it
  Losses lost_in_all_{};
  bool progress_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace sluice::audit
