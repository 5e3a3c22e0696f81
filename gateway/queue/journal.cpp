#include "gateway/queue/journal.h"

#include <cerrno>
#include <chrono>
#include <exception>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include "gateway/base/durable_file.h"

namespace sluice {
namespace {

constexpr std::size_t kPartSize = std::size_t{1024} * 1024;
constexpr std::size_t kHead = 20;  // of a record
constexpr std::size_t kLongestRecord = std::size_t{16} * 1024;
// The database clears a part at once, unless its disk is slow.
constexpr std::chrono::seconds kPatienceWithDatabase{10};
constexpr const char* kNoMemory = "no memory";  // short: it needs none itself
constexpr const char* kTooSlow = "the journal's database does not keep up";

void put(std::string& bytes, std::uint64_t number, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) {
    bytes += static_cast<char>(number >> (8 * i) & 0xFFU);
  }
}

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t length) {
  std::uint64_t number = 0;
  for (std::size_t i = length; i-- > 0;) {
    number = number << 8U | static_cast<unsigned char>(bytes[at + i]);
  }
  return number;
}

std::uint64_t checksum_of(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string encode(std::span<const std::string> records, std::uint64_t turn) {
  std::string bytes;
  for (const std::string& record : records) {
    std::string rest;
    rest.reserve(kHead + record.size());
    put(rest, turn, 8);
    put(rest, record.size(), 4);
    rest += record;
    put(bytes, checksum_of(rest), 8);
    bytes += rest;
  }
  return bytes;
}

struct Written {
  int error_number = 0;
  bool is_doubtful = false;  // what reached the disk is not known
};

// With the sync, which the file was opened for: one call, and faster than fdatasync behind it.
// A disk without room, which a file of one size does not need on most file systems, leaves
// what is synced as it was.
Written write_at(int file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return {errno, errno != ENOSPC && errno != EDQUOT};
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::string trouble(const std::string& path, int error_number) {
  return path + ": " + std::generic_category().message(error_number);
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, Hooks hooks) {
  std::unique_ptr<Journal> journal(new Journal(std::move(hooks)));
  for (std::size_t n = 0; n < journal->parts_.size(); ++n) {
    Part& part = journal->parts_.at(n);
    if (auto opened = open_part(part, path + "-" + std::to_string(n)); !opened) {
      return tl::unexpected(opened.error());
    }
    journal->read_part(part);
  }
  for (Part& part : journal->parts_) part.is_clear = journal->left_.empty();
  // No turn has a number that one before had, a clock that is set back aside: then what is
  // left of that is behind what was cleared, and is not read.
  journal->number_ =
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  return journal;
}

// Zeros all over: a file that is only allocated costs more at each first sync.
Result<void> Journal::open_part(Part& part, std::string path) {
  part.path = std::move(path);
  part.file =
      FileDescriptor(::open(part.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_DSYNC, 0600));
  if (!part.file.is_valid()) return failure(ErrorCode::transient, trouble(part.path, errno));
  if (::lseek(part.file.get(), 0, SEEK_END) == static_cast<off_t>(kPartSize)) return {};
  int error_number = write_at(part.file.get(), std::string(kPartSize, '\0'), 0).error_number;
  if (error_number == 0) {
    error_number = sync_folder(part.path.substr(0, part.path.rfind('/') + 1) + ".");
  }
  if (error_number == 0) return {};
  ::unlink(part.path.c_str());
  return failure(ErrorCode::transient, trouble(part.path, error_number));
}

void Journal::read_part(const Part& part) {
  std::string bytes(kPartSize, '\0');
  const ssize_t got = ::pread(part.file.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  std::uint64_t turn = 0;
  for (std::size_t at = 0; at + kHead <= bytes.size();) {
    const std::uint64_t length = number_at(bytes, at + 16, 4);
    if (length > bytes.size() - at - kHead) return;
    const std::string_view rest = std::string_view(bytes).substr(at + 8, kHead - 8 + length);
    const std::uint64_t its_turn = number_at(rest, 0, 8);
    if (checksum_of(rest) != number_at(bytes, at, 8) || (at > 0 && its_turn != turn)) return;
    turn = its_turn;
    left_.emplace_back(rest.substr(kHead - 8));
    at += kHead + length;
  }
}

Result<std::size_t> Journal::append(std::string record, bool needs_names) {
  if (record.size() > kLongestRecord) {
    return failure(ErrorCode::transient, "a record too long for the journal");
  }
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Turn> turn = gathering_;
  turn->length += kHead + record.size();
  turn->records.push_back(std::move(record));
  turn->needs_names = turn->needs_names || needs_names;
  const bool leads = !std::exchange(leading_, true);
  lock.unlock();
  if (const auto done = wait_for(*turn, leads); !done) return tl::unexpected(done.error());
  return turn->part;
}

Result<void> Journal::end_part() {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Turn> turn = gathering_;
  turn->ends_part = true;
  const bool leads = !std::exchange(leading_, true);
  lock.unlock();
  return wait_for(*turn, leads);
}

Result<void> Journal::wait_for(Turn& turn, bool leads) {
  while (turn.state != Turn::done) {
    if (leads) {
      lead();
      continue;
    }
    turn.state.wait(Turn::gathering);
    Turn::State wanted = Turn::wants_leader;
    leads = turn.state.compare_exchange_strong(wanted, Turn::gathering);
  }
  if (turn.error.empty()) return {};
  return failure(ErrorCode::transient, turn.error);
}

// Syncs what has gathered; then one of those who came meanwhile goes on.
void Journal::lead() {
  // Where there is more to do than processors, whoever is about to come comes first, and one
  // sync does for many; else this costs nothing.
  std::this_thread::yield();
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Turn> turn = std::exchange(gathering_, std::make_shared<Turn>());
  // Whatever happens, who waits is answered, and the lead passed on.
  try {
    turn->error = write(lock, *turn);
  } catch (const std::exception&) {
    if (!lock.owns_lock()) lock.lock();
    turn->error = kNoMemory;
  }
  turn->state = Turn::done;
  turn->state.notify_all();
  leading_ = !gathering_->records.empty() || gathering_->ends_part;
  if (!leading_) return;
  gathering_->state = Turn::wants_leader;
  gathering_->state.notify_one();
}

// "" or what hindered it.
std::string Journal::write(std::unique_lock<std::mutex>& lock, Turn& turn) {
  const bool fits = offset_ + turn.length <= kPartSize && parts_.at(current_).is_clear;
  if (failed_.empty() && !fits && !begin_part(lock)) return kTooSlow;
  if (failed_.empty() && !turn.records.empty()) {
    const Part& part = parts_.at(current_);
    const std::uint64_t offset = offset_;
    lock.unlock();
    if (turn.needs_names && hooks_.sync_names) {
      const auto synced = hooks_.sync_names();
      lock.lock();
      if (!synced) return synced.error().message;
      lock.unlock();
    }
    const Written written = write_at(part.file.get(), encode(turn.records, number_), offset);
    lock.lock();
    if (written.error_number != 0) {
      std::string why = trouble(part.path, written.error_number);
      if (written.is_doubtful) fault(lock, why);
      return why;
    }
    offset_ += turn.length;
    turn.part = current_;
    parts_.at(current_).not_given += turn.records.size();
  }
  if (failed_.empty() && turn.ends_part && !begin_part(lock)) return kTooSlow;
  return failed_;
}

// The other part, once it is clear. Only who leads.
bool Journal::begin_part(std::unique_lock<std::mutex>& lock) {
  const std::size_t full = current_;
  const std::size_t next = 1 - full;
  const auto patience = late_ ? std::chrono::seconds(0) : kPatienceWithDatabase;
  late_ = !cleared_.wait_for(lock, patience, [&] { return parts_.at(next).is_clear; });
  if (late_) return false;
  current_ = next;
  ++number_;
  if (std::exchange(offset_, 0) == 0) return true;
  parts_.at(full).is_clear = false;
  parts_.at(full).is_full = true;
  tell_full(lock, full);
  return true;
}

void Journal::given(std::size_t part) {
  std::unique_lock lock(mutex_);
  --parts_.at(part).not_given;
  tell_full(lock, part);
}

void Journal::tell_full(std::unique_lock<std::mutex>& lock, std::size_t part) {
  Part& told = parts_.at(part);
  if (!told.is_full || told.not_given > 0) return;
  told.is_full = false;
  lock.unlock();
  if (hooks_.full) hooks_.full(part);
  lock.lock();
}

void Journal::clear(std::size_t part) {
  std::unique_lock lock(mutex_);
  Part& cleared = parts_.at(part);
  lock.unlock();
  const Written written = write_at(cleared.file.get(), std::string(kHead, '\0'), 0);
  lock.lock();
  if (written.is_doubtful) return fault(lock, trouble(cleared.path, written.error_number));
  if (written.error_number != 0) {
    failed_ = trouble(cleared.path, written.error_number);  // no fault; the next start clears it
    return;
  }
  late_ = false;
  cleared.is_clear = true;
  cleared_.notify_all();
}

void Journal::fault(std::unique_lock<std::mutex>& lock, const std::string& reason) {
  if (!failed_.empty()) return;
  failed_ = reason;
  lock.unlock();
  if (hooks_.faulted) hooks_.faulted("journal: " + reason);
  lock.lock();
}

}  // namespace sluice
