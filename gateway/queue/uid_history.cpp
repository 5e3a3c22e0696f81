#include "gateway/queue/uid_history.h"

#include <exception>
#include <system_error>
#include <utility>

#include <sys/resource.h>

#include "gateway/base/log.h"
#include "gateway/queue/queue_rows.h"

namespace sluice {
namespace {

// At once, lest the write-ahead log cannot begin anew while years are read.
constexpr std::size_t kUidsAtOnce = 5000;

}  // namespace

UidHistory::~UidHistory() {
  stopping_ = true;
  if (reading_.joinable()) reading_.join();
}

void UidHistory::begin_reading(const std::string& path) {
  try {
    reading_ = std::thread([this, path] { read(path); });
  } catch (const std::system_error& error) {
    log::warning("the history is asked of each instance", {{"reason", error.what()}});
  }
}

void UidHistory::read(const std::string& path) try {
  // Of this thread, in Linux. Images come first; if it fails, they have to share.
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, 19));
  const auto db = sqlite::Connection::open(path, rows::kFormat);
  if (!db) return log::warning("the history was not read", {{"reason", db.error().message}});
  std::string last;
  for (std::size_t got = kUidsAtOnce; got == kUidsAtOnce && !stopping_;) {
    const auto uids = rows::known_uids(**db, last, kUidsAtOnce);
    if (!uids) return log::warning("the history was not read", {{"reason", uids.error().message}});
    for (const std::string& uid : *uids) known_.add(uid);
    got = uids->size();
    if (got > 0) last = uids->back();
  }
  is_read_ = !stopping_;
} catch (const std::exception&) {
  // No memory: the history is asked.
}

Result<bool> UidHistory::knows(std::string_view sop_instance_uid) {
  if (is_read_ && !known_.may_have(sop_instance_uid)) return false;
  const std::lock_guard lock(mutex_);
  return rows::is_known(*db_, sop_instance_uid);
}

}  // namespace sluice
