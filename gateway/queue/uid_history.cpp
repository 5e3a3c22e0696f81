#include "gateway/queue/uid_history.h"

#include <thread>
#include <vector>

#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

// At once, lest others wait for the processor, or the write-ahead log cannot begin anew.
constexpr std::size_t kUidsAtOnce = 500;

}  // namespace

Result<void> UidHistory::read(const std::string& path, const std::atomic<bool>& stop) {
  const auto db = sqlite::Connection::open(path, rows::kFormat);
  if (!db) return tl::unexpected(db.error());
  std::string last;
  for (std::size_t got = kUidsAtOnce; got == kUidsAtOnce;) {
    if (stop) return {};
    const auto uids = rows::known_uids(**db, last, kUidsAtOnce);
    if (!uids) return tl::unexpected(uids.error());
    for (const std::string& uid : *uids) known_.add(uid);
    got = uids->size();
    if (got > 0) last = uids->back();
    std::this_thread::yield();
  }
  is_read_ = true;
  return {};
}

Result<bool> UidHistory::knows(std::string_view sop_instance_uid) {
  if (is_read_ && !known_.may_have(sop_instance_uid)) return false;
  const std::lock_guard lock(mutex_);
  return rows::is_known(*db_, sop_instance_uid);
}

}  // namespace sluice
