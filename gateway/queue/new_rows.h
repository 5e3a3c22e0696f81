// Rows of instances whose SOP Instance UID is new: durable by the journal at once, in the
// database with the next large commit. What the journal has and the database has not goes there
// at the start. A log of the database is lost from its end only: whatever became of a row later
// is lost with it, and it begins anew.
//
// Safe from any thread. The writer outlives its use; writes that it was given refer to this,
// which must be there when it ends.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/queue/journal.h"
#include "gateway/queue/queue.h"
#include "gateway/queue/queue_writer.h"

namespace sluice {

class NewRows {
 public:
  // nullptr on a disk without room for a journal: then everything goes the long way. Errors:
  // of the database; corrupt, for a record that nobody can read.
  [[nodiscard]] static Result<std::unique_ptr<NewRows>> open(const std::string& database,
                                                             QueueWriter& writer,
                                                             const Queue::Hooks& hooks);

  // As Queue::add_new().
  void add(std::shared_ptr<const QueueRecord> rows, UidClaims::Claim claim, Queue::Done done);

  // All of it is durable in the database, and nothing in the journal.
  [[nodiscard]] Result<void> settle();

 private:
  explicit NewRows(QueueWriter& writer) : writer_(writer) {}
  [[nodiscard]] Result<void> replay();
  struct Claimed {
    std::shared_ptr<const QueueRecord> rows;
    UidClaims::Claim claim;
  };
  [[nodiscard]] Result<void> hand_on(const Result<std::size_t>& part,
                                     const std::shared_ptr<Claimed>& added);
  void give_over(std::size_t part);

  QueueWriter& writer_;
  std::unique_ptr<Journal> journal_;
  std::atomic<int> waiting_ = 0;  // in the journal, and not in the database
};

}  // namespace sluice
