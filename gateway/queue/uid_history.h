// Whether the history has an instance with a SOP Instance UID. Each new instance asks, and hardly
// any is known: so most are answered from memory, once the UIDs that were there at the start are
// read. Until then the database is asked.
//
// Safe from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/base/sqlite.h"
#include "gateway/queue/known_uids.h"

namespace sluice {

class UidHistory {
 public:
  explicit UidHistory(std::unique_ptr<sqlite::Connection> db) : db_(std::move(db)) {}

  // Of the database at `path`, to which rows may be added meanwhile. Ends early, without an error,
  // once `stop` is set. Errors: as of the database.
  [[nodiscard]] Result<void> read(const std::string& path, const std::atomic<bool>& stop);
  // Before a row with it can be seen.
  void add(std::string_view sop_instance_uid) { known_.add(sop_instance_uid); }
  // Errors: transient.
  [[nodiscard]] Result<bool> knows(std::string_view sop_instance_uid);

 private:
  KnownUids known_;
  std::atomic<bool> is_read_ = false;
  std::mutex mutex_;  // guards db_
  std::unique_ptr<sqlite::Connection> db_;
};

}  // namespace sluice
