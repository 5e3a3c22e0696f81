#include "gateway/spool/spool.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <random>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/spool/digest.h"
#include "gateway/spool/file_meta.h"
#include "gateway/spool/folder.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockSuffix = ".lock";

using folder::finished_name;
using folder::kFinished;
using folder::kUnfinished;
using folder::make_folder;
using folder::names_with_suffix;
using folder::open_folder;
using folder::sync_folder;
using folder::unusable;

std::string text_of(int error_number) {
  return std::generic_category().message(error_number);
}

std::string read_owner(int lock) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(lock, text.data(), text.size(), 0);
  std::string owner(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0U);
  std::erase(owner, '\n');
  return owner.empty() ? "unknown" : log::escape(owner);
}

// Two gateways in one spool would remove each other's .part files. The kernel drops
// the lock with the process, so a killed gateway leaves nothing to clean up.
// It stands beside the folder, in which there is nothing but images: tools that send
// a folder stumble over anything else.
Result<FileDescriptor> take_lock(const std::string& folder) {
  const std::string path = folder + kLockSuffix;
  FileDescriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.is_valid()) return unusable(path, "open", errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return unusable(path, "lock", errno);
    return failure(ErrorCode::configuration, "spool: " + folder + " is in use by process " +
                                                 read_owner(lock.get()) +
                                                 "; stop that gateway or give this one another "
                                                 "data_dir");
  }
  const std::string owner = std::to_string(::getpid()) + "\n";
  const auto length = static_cast<ssize_t>(owner.size());
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), owner.data(), owner.size(), 0) != length) {
    // Only the message above needs the number: a full disk must not stop a restart.
    log::warning("spool lock without process id", {{"path", path}, {"error", text_of(errno)}});
  }
  return lock;
}

Result<void> remove_unfinished(int directory, const std::string& folder) {
  const auto names = names_with_suffix(folder, kUnfinished);
  if (!names) return tl::unexpected(names.error());
  for (const std::string& name : *names) {
    const std::string path = fs::path(folder) / name;
    if (::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
      return unusable(path, "remove", errno);
    }
    log::warning("unfinished file removed", {{"path", path}});
  }
  return {};
}

// Ids come back from the queue's rows: whatever those say, no path leaves the folder.
bool is_id(std::string_view text) {
  return !text.empty() && text.size() < 100 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '.' || c == '-';
         });
}

}  // namespace

Spool::Spool(std::string folder, FileDescriptor directory, FileDescriptor lock, Options options)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      directory_(std::move(directory)),
      lock_(std::move(lock)),
      min_free_space_(options_.min_free_space) {}

Spool::~Spool() = default;

Result<std::unique_ptr<Spool>> Spool::open(const std::string& folder, Options options) {
  std::error_code error;
  fs::path absolute = fs::absolute(folder, error).lexically_normal();
  if (error) return unusable(folder, "find", error.value());
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // "spool/"
  if (auto made = make_folder(absolute); !made) return tl::unexpected(made.error());

  FileDescriptor directory = open_folder(absolute.string());
  if (!directory.is_valid()) return unusable(folder, "open the folder", errno);
  auto lock = take_lock(absolute.string());
  if (!lock) return tl::unexpected(lock.error());
  if (auto removed = remove_unfinished(directory.get(), absolute.string()); !removed) {
    return tl::unexpected(removed.error());
  }
  // Also for what a gateway before this one renamed and did not live to sync: its
  // rows may have been committed by then, so the names are to be kept.
  for (const fs::path& path : {absolute, absolute.parent_path()}) {
    if (auto synced = sync_folder(path.string()); !synced) return tl::unexpected(synced.error());
  }
  std::unique_ptr<Spool> spool(
      new Spool(absolute.string(), std::move(directory), std::move(*lock), std::move(options)));
  if (spool->options_.spare_files > 0) {
    if (auto opened = spool->open_spare_files(); !opened) return tl::unexpected(opened.error());
  }
  return spool;
}

// 20261121T013000.123456-9f3c2a1b: UTC and chance. The time never repeats nor goes
// back within a process, so that names sort by receipt; chance keeps ids apart when
// the clock was set back between two starts.
std::string Spool::make_id() {
  using std::chrono::microseconds;
  const auto now =
      std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  std::int64_t last = last_id_time_.load();
  std::int64_t time = 0;
  do {
    time = std::max<std::int64_t>(now, last + 1);
  } while (!last_id_time_.compare_exchange_weak(last, time));

  const std::time_t seconds = time / 1'000'000;
  std::tm utc{};
  if (::gmtime_r(&seconds, &utc) == nullptr) utc = std::tm{};
  std::array<char, 32> text{};
  std::string id(text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%S.", &utc));
  const std::string microsecond = std::to_string(time % 1'000'000);
  id.append(6 - microsecond.size(), '0').append(microsecond).append("-");
  // Made once: to open one asks the processor, which a virtual machine answers slowly.
  thread_local std::random_device random;
  std::uint32_t chance = random();
  for (int digit = 0; digit < 8; ++digit, chance >>= 4U) id += "0123456789abcdef"[chance & 0xFU];
  return id;
}

Result<void> Spool::check_space() const {
  const std::uint64_t wanted = min_free_space_;
  if (wanted == 0) return {};
  struct statvfs space {};
  if (::fstatvfs(directory_.get(), &space) != 0) return {};  // the write will tell
  const std::uint64_t left = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (left >= wanted) return {};
  count("sluice_spool_errors_total", {{"reason", "disk nearly full"}});
  return failure(ErrorCode::transient, "gateway disk nearly full, send again later");
}

Result<Incoming> Spool::create(const FileMeta& meta) {
  if (faulted_) return tl::unexpected(refusal());
  if (auto room = check_space(); !room) return tl::unexpected(room.error());
  Incoming incoming(*this, make_id());
  const std::string head = encode_file_head(meta);
  incoming.state_ = Incoming::State::open;
  incoming.stored_.data_set_offset = head.size();
  if (auto begun = incoming.append_buffered(std::as_bytes(std::span(head))); !begun) {
    return tl::unexpected(begun.error());
  }
  return incoming;
}

// Who finds a name synced by somebody else has waited for that sync's end.
Result<void> Spool::sync_directory() {
  if (faulted_) return tl::unexpected(refusal());
  const std::uint64_t wanted = names_given_;
  const std::lock_guard lock(names_mutex_);
  if (names_synced_ >= wanted) return {};
  const std::uint64_t given = names_given_;
  auto synced = sync_names(directory_.get());
  if (synced) names_synced_ = given;
  return synced;
}

Result<void> Spool::sync_removed() {
  if (faulted_) return tl::unexpected(refusal());
  return sync_names(directory_.get());
}

Result<void> Spool::sync_names(int folder) {
  static const Histogram took("sluice_sync_seconds", {{"what", "spool folder"}});
  const auto synced = [&] {
    const Timing timing(took);
    return ::fsync(folder) == 0;
  }();
  if (synced) return {};
  // Names of many files may be lost, and the next fsync may succeed all the same:
  // here a full disk is no excuse.
  const int error_number = errno;
  log_failure("fsync", "", error_number);
  return tl::unexpected(fault("fsync", "", error_number));
}

Result<SpoolReader> Spool::read(const StoredFile& file) const {
  return open_reader(directory_.get(), folder_, file);
}

Result<SpoolReader> Spool::read_beside(const std::string& folder, const StoredFile& file) {
  const FileDescriptor directory = open_folder(folder);
  if (!directory.is_valid()) {
    return failure(ErrorCode::transient, "spool: cannot open " + folder + ": " + text_of(errno));
  }
  return open_reader(directory.get(), folder, file);
}

Result<SpoolReader> Spool::open_reader(int directory, const std::string& folder,
                                       const StoredFile& file) {
  if (!is_id(file.id))
    return failure(ErrorCode::corrupt, "spool: not an id: " + log::escape(file.id));
  const std::string name = finished_name(file.id);
  std::string path = folder + "/" + name;
  FileDescriptor opened(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.is_valid()) {
    const int error_number = errno;
    if (error_number == ENOENT) {
      return failure(ErrorCode::corrupt,
                     "spool: " + path + " is missing; restore it or discard the instance");
    }
    return failure(ErrorCode::transient,
                   "spool: cannot open " + path + ": " + text_of(error_number));
  }
  struct stat status {};
  if (::fstat(opened.get(), &status) != 0) {
    return failure(ErrorCode::transient, "spool: cannot examine " + path + ": " + text_of(errno));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < file.data_set_offset || size - file.data_set_offset != file.data_set_length) {
    return failure(ErrorCode::corrupt,
                   "spool: " + path + " has " + std::to_string(size) + " bytes, its row says " +
                       std::to_string(file.data_set_offset + file.data_set_length) +
                       "; restore it or discard the instance");
  }
  return SpoolReader(std::move(opened), std::move(path), file);
}

Result<void> Spool::remove(const std::string& id) {
  if (!is_id(id)) return failure(ErrorCode::permanent, "spool: not an id: " + log::escape(id));
  const std::string name = finished_name(id);
  if (spares_ && !faulted_ && spares_->keep(directory_.get(), name)) {
    return make_spare_files_ready();
  }
  if (::unlinkat(directory_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return tl::unexpected(judge("unlink", name, errno));
}

Result<std::vector<std::string>> Spool::list() const {
  auto names = names_with_suffix(folder_, kFinished);
  if (!names) return names;
  for (std::string& name : *names) name.resize(name.size() - kFinished.size());
  return names;
}

std::string Spool::path(std::string_view id) const {
  return folder_ + "/" + finished_name(std::string(id));
}

void Spool::log_failure(std::string_view operation, std::string_view name, int error_number) const {
  log::error("spool operation failed", {{"operation", operation},
                                        {"path", folder_ + "/" + std::string(name)},
                                        {"error", text_of(error_number)}});
}

Error Spool::judge(std::string_view operation, std::string_view name, int error_number) {
  log_failure(operation, name, error_number);
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      count("sluice_spool_errors_total", {{"reason", "disk full"}});
      return {ErrorCode::transient, "gateway disk full, send again later"};
    case EFBIG:
      count("sluice_spool_errors_total", {{"reason", "file too large"}});
      return {ErrorCode::transient, "instance larger than the gateway's file system takes"};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      count("sluice_spool_errors_total", {{"reason", "no resources"}});
      return {ErrorCode::transient, "gateway out of files or memory, send again later"};
    default:
      return fault(operation, name, error_number);
  }
}

Error Spool::fault(std::string_view operation, std::string_view name, int error_number) {
  if (!faulted_.exchange(true) && options_.on_fault) {
    options_.on_fault("spool: " + std::string(operation) + " of " + folder_ + "/" +
                      std::string(name) + ": " + text_of(error_number));
  }
  return refusal();
}

Error Spool::refusal() {
  count("sluice_spool_errors_total", {{"reason", "fault"}});
  return {ErrorCode::transient, "gateway storage failed, its log says why"};
}

}  // namespace sluice
