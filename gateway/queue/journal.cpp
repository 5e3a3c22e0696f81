#include "gateway/queue/journal.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <future>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include "gateway/base/counter.h"
#include "gateway/base/durable_file.h"

namespace sluice {
namespace {

constexpr std::size_t kHead = 20;  // of a record
constexpr std::size_t kLongestRecord = std::size_t{16} * 1024;
// The database clears a part at once, unless its disk is slow.
constexpr std::chrono::seconds kPatienceWithDatabase{10};
constexpr const char* kNoMemory = "no memory";  // short: it needs none itself
constexpr const char* kTooSlow = "the journal's database does not keep up";

void put(std::span<char> bytes, std::uint64_t number) {
  for (char& byte : bytes) {
    byte = static_cast<char>(number & 0xFFU);
    number >>= 8U;
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

// As it stands in a part; as long as the head and the record are.
void encode(std::span<char> bytes, std::string_view record, std::uint64_t turn) {
  put(bytes.subspan(8, 8), turn);
  put(bytes.subspan(16, 4), record.size());
  std::ranges::copy(record, bytes.begin() + kHead);
  put(bytes.first(8), checksum_of({&bytes[8], kHead - 8 + record.size()}));
}

struct Written {
  int error_number = 0;
  bool is_doubtful = false;  // what reached the disk is not known
};

// With the sync, which the file was opened for: one call, and faster than fdatasync behind it;
// past the system's cache, where whole blocks are written. A disk without room, which a file of one
// size does not need on most file systems, leaves what is synced as it was.
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

// What senders wait for.
Written write_turn(int file, std::string_view bytes, std::uint64_t offset) {
  static const Histogram took("sluice_sync_seconds", {{"what", "queue journal"}});
  const Timing timing(took);
  return write_at(file, bytes, offset);
}

std::string trouble(const std::string& path, int error_number) {
  return path + ": " + std::generic_category().message(error_number);
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, Hooks hooks) {
  std::unique_ptr<Journal> journal(new Journal(std::move(hooks)));
  for (std::size_t n = 0; n < journal->parts_.size(); ++n) {
    Part& part = journal->parts_.at(n);
    if (auto opened = journal->open_part(part, path + "-" + std::to_string(n)); !opened) {
      return tl::unexpected(opened.error());
    }
    journal->read_part();
  }
  for (Part& part : journal->parts_) part.is_clear = journal->left_.empty();
  // No turn has a number that one before had, a clock that is set back aside: then what is
  // left of that is behind what was cleared, and is not read.
  journal->number_ =
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  try {
    journal->thread_ = std::thread([&made = *journal] { made.run(); });
  } catch (const std::system_error& error) {
    return failure(ErrorCode::transient, std::string("no thread for it: ") + error.what());
  }
  return journal;
}

Journal::~Journal() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_one();
  thread_.join();
}

// Zeros all over: a file that is only allocated costs more at each first sync.
Result<void> Journal::open_part(Part& part, std::string path) {
  part.path = std::move(path);
  // Not every file system has O_DIRECT.
  for (const int direct : {O_DIRECT, 0}) {
    part.file = FileDescriptor(
        ::open(part.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_DSYNC | direct, 0600));
    if (part.file.is_valid() && ::pread(part.file.get(), image_->bytes.data(), kPartSize, 0) >= 0)
      break;
    if (direct == 0) return failure(ErrorCode::transient, trouble(part.path, errno));
  }
  if (::lseek(part.file.get(), 0, SEEK_END) == static_cast<off_t>(kPartSize)) return {};
  image_->bytes.fill(0);
  int error_number = write_at(part.file.get(), {image_->bytes.data(), kPartSize}, 0).error_number;
  if (error_number == 0) {
    error_number = sync_folder(part.path.substr(0, part.path.rfind('/') + 1) + ".");
  }
  if (error_number == 0) return {};
  ::unlink(part.path.c_str());
  return failure(ErrorCode::transient, trouble(part.path, error_number));
}

// What open_part() has read.
void Journal::read_part() {
  const std::string_view bytes(image_->bytes.data(), kPartSize);
  std::uint64_t turn = 0;
  for (std::size_t at = 0; at + kHead <= bytes.size();) {
    const std::uint64_t length = number_at(bytes, at + 16, 4);
    if (length > bytes.size() - at - kHead) return;
    const std::string_view rest = bytes.substr(at + 8, kHead - 8 + length);
    const std::uint64_t its_turn = number_at(rest, 0, 8);
    if (checksum_of(rest) != number_at(bytes, at, 8) || (at > 0 && its_turn != turn)) return;
    turn = its_turn;
    left_.emplace_back(rest.substr(kHead - 8));
    at += kHead + length;
  }
}

void Journal::append(std::string record, bool needs_names, Done done) {
  if (record.size() > kLongestRecord) {
    return done(failure(ErrorCode::transient, "a record too long for the journal"));
  }
  add({std::move(record), std::move(done)}, needs_names);
}

Result<void> Journal::end_part() {
  const auto ended = std::make_shared<std::promise<Result<std::size_t>>>();
  add({std::nullopt, [ended](const Result<std::size_t>& part) { ended->set_value(part); }}, false);
  const auto part = ended->get_future().get();
  if (!part) return tl::unexpected(part.error());
  return {};
}

void Journal::add(Record record, bool needs_names) {
  const std::size_t length = record.bytes ? kHead + record.bytes->size() : 0;
  const bool ends_part = !record.bytes;
  std::unique_lock lock(mutex_);
  if (gathering_.length + length > kPartSize) {
    lock.unlock();
    return record.done(failure(ErrorCode::transient, "more at once than a part holds"));
  }
  gathering_.records.push_back(std::move(record));
  gathering_.length += length;
  gathering_.needs_names = gathering_.needs_names || needs_names;
  gathering_.ends_part = gathering_.ends_part || ends_part;
  if (!std::exchange(leading_, true)) lead(lock);
}

void Journal::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return is_handed_over_ || (stopping_ && !leading_); });
    if (!std::exchange(is_handed_over_, false)) return;
    lead(lock);
    lock.lock();
  }
}

// Syncs what has gathered; what came meanwhile is the thread's. Returns without the lock.
void Journal::lead(std::unique_lock<std::mutex>& lock) {
  // Where there is more to do than processors, whoever is about to come comes first, and one
  // sync does for many; else this costs nothing.
  lock.unlock();
  std::this_thread::yield();
  lock.lock();
  Turn turn = std::exchange(gathering_, {});
  std::string error;
  std::string not_ended;
  std::optional<std::size_t> part;
  // Whatever happens, who waits is answered, and the lead passed on.
  try {
    error = write(lock, turn);
    if (error.empty()) part = current_;
    if (part && turn.ends_part && !begin_part(lock)) not_ended = kTooSlow;
  } catch (const std::exception&) {
    if (!lock.owns_lock()) lock.lock();
    (part ? not_ended : error) = kNoMemory;
  }
  leading_ = is_handed_over_ = !gathering_.records.empty();
  if (leading_ || stopping_) wanted_.notify_one();
  lock.unlock();
  const auto result = [&](std::string why) -> Result<std::size_t> {
    if (part && why.empty()) return *part;
    return tl::unexpected(Error{ErrorCode::transient, std::move(why)});
  };
  const auto written = result(std::move(error));
  const auto ended = written ? result(std::move(not_ended)) : written;
  for (const Record& record : turn.records) record.done(record.bytes ? written : ended);
}

// "" or what hindered it.
std::string Journal::write(std::unique_lock<std::mutex>& lock, const Turn& turn) {
  const bool fits = offset_ + turn.length <= kPartSize && parts_.at(current_).is_clear;
  if (!failed_.empty() || turn.length == 0) return failed_;
  if (!fits && !begin_part(lock)) return kTooSlow;
  Part& part = parts_.at(current_);
  const std::uint64_t offset = offset_;
  lock.unlock();
  if (turn.needs_names && hooks_.sync_names) {
    const auto synced = hooks_.sync_names();
    lock.lock();
    if (!synced) return synced.error().message;
    lock.unlock();
  }
  const std::span<char> image = image_->bytes;
  std::size_t records = 0;
  std::uint64_t end = offset;
  for (const Record& record : turn.records) {
    if (!record.bytes) continue;
    const std::size_t length = kHead + record.bytes->size();
    encode(image.subspan(end, length), *record.bytes, number_);
    end += length;
    ++records;
  }
  const std::uint64_t first = offset / kBlock * kBlock;
  const std::uint64_t last = (end + kBlock - 1) / kBlock * kBlock;
  std::ranges::fill(image.subspan(end, last - end), '\0');
  const auto blocks = image.subspan(first, last - first);
  const Written written = write_turn(part.file.get(), {blocks.data(), blocks.size()}, first);
  lock.lock();
  if (written.error_number != 0) {
    std::string why = trouble(part.path, written.error_number);
    if (written.is_doubtful) fault(lock, why);
    return why;
  }
  offset_ += turn.length;
  part.not_given += records;
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
  alignas(kBlock) static constexpr std::array<char, kBlock> kZeros{};
  const Written written = write_at(cleared.file.get(), {kZeros.data(), kZeros.size()}, 0);
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
