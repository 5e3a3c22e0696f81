// Whether the history has an instance with a SOP Instance UID. Each new instance asks, and hardly
// any is known: so most are answered from memory, once a thread has read the UIDs that were there
// at the start. Until then the database is asked, at which rows may arrive meanwhile.
//
// Safe from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "gateway/base/sqlite.h"
#include "gateway/queue/known_uids.h"

namespace sluice {

class UidHistory {
 public:
  explicit UidHistory(std::unique_ptr<sqlite::Connection> db) : db_(std::move(db)) {}
  ~UidHistory();
  UidHistory(const UidHistory&) = delete;
  UidHistory& operator=(const UidHistory&) = delete;

  // Of the database at `path`, in a thread. Once; whoever adds rows tells add() from before then.
  void begin_reading(const std::string& path);
  // Before a row with it can be seen.
  void add(std::string_view sop_instance_uid) { known_.add(sop_instance_uid); }
  // Errors: transient.
  [[nodiscard]] Result<bool> knows(std::string_view sop_instance_uid);

 private:
  void read(const std::string& path);

  KnownUids known_;
  std::atomic<bool> is_read_ = false;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;  // guards db_
  std::unique_ptr<sqlite::Connection> db_;
  std::thread reading_;
};

}  // namespace sluice
