// Part 10 files in a tree: folder / patient / study / series / SOP instance.dcm.
//
// A file appears under its name whole or not at all: written in folder/.sluice-parts,
// synced, given its name, and the folders synced. The same bytes again are the same
// file; other bytes under the same UIDs are kept beside the first, with their digest in
// the name. A part that a crash left is removed before the first file is written; a
// lock on it says whether somebody, of another gateway perhaps, is still at it.
//
// Messages name the folder and no path below: that begins with the Patient ID.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/file_descriptor.h"
#include "gateway/base/log.h"
#include "gateway/deliver/part_folder.h"
#include "gateway/deliver/sender.h"
#include "gateway/spool/digest.h"
#include "gateway/spool/file_meta.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopiedAtOnce = std::size_t{256} * 1024;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kDigestInName = 16;
constexpr std::size_t kMostSynced = 10'000;  // folders remembered
constexpr int kPartTries = 3;
constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;

std::string digest_of(std::string_view text) {
  Digest digest;
  digest.add(std::as_bytes(std::span(text)));
  return digest.text().substr(0, kDigestInName);
}

// Letters, digits, "-", "_" and inner dots stay. What does not survive this is told
// apart by a digest, so that two names never become one.
std::string safe_name(std::string_view text, std::string_view if_empty) {
  if (text.empty()) return std::string(if_empty);
  std::string safe;
  for (const char character : text.substr(0, kLongestName)) {
    const auto byte = static_cast<unsigned char>(character);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '_' || byte == '.';
    safe += plain ? character : '_';
  }
  if (safe.front() == '.') safe.front() = '_';
  if (safe != text) safe += "-" + digest_of(text);
  return safe;
}

// True when the file has these bytes and they are on disk.
bool is_same_file(const fs::path& path, const std::string& digest) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_valid()) return false;
  Digest found;
  std::vector<std::byte> buffer(kCopiedAtOnce);
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) return found.text() == digest && ::fdatasync(file.get()) == 0;
    found.add(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
}

// Unlike rename(), fails where the name is taken.
int give_name(const std::string& part, const fs::path& path) {
  if (::link(part.c_str(), path.c_str()) == 0) return 0;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  // A file system without hard links, such as VFAT.
  return ::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0 ? 0
                                                                                            : errno;
}

// Without a slash at its end, which would be a component of its own.
fs::path root_of(const std::string& folder) {
  const fs::path path = fs::path(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// A file that is being written; removed with the object, by then it has another name.
struct Part {
  Part(FileDescriptor opened, std::string named)
      : file(std::move(opened)), path(std::move(named)) {}
  ~Part() { ::unlink(path.c_str()); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  FileDescriptor file;
  std::string path;
};

class FolderSender : public Sender {
 public:
  explicit FolderSender(const config::Destination& destination)
      : destination_(destination), root_(root_of(destination.folder)) {}

  void prepare(std::span<const QueueEntry>) override {}

  Attempt send(Payload& payload) override {
    local_error_ = false;
    const auto written = write(payload);
    if (written) return {AttemptResult::delivered, "", ""};
    synced_.clear();  // a folder may have been taken away
    return attempt_of_error(written.error(),
                            local_error_ ? AttemptResult::postponed : AttemptResult::failed);
  }

  void idle(std::chrono::milliseconds) override {}
  void interrupt() override {}  // a disk answers or fails by itself

 private:
  [[nodiscard]] tl::unexpected<Error> trouble(const std::string& operation,
                                              int error_number) const {
    return failure(ErrorCode::transient, "folder " + destination_.folder + ": " + operation + ": " +
                                             std::generic_category().message(error_number));
  }

  Result<void> write(Payload& payload) {
    const Identifiers& identifiers = payload.identifiers();
    const fs::path folder = root_ / safe_name(identifiers.patient_id, "no-patient-id") /
                            safe_name(identifiers.study_instance_uid, "no-study-uid") /
                            safe_name(identifiers.series_instance_uid, "no-series-uid");
    for (const fs::path& needed : {root_ / kPartFolder, folder}) {
      if (auto made = make_folders(needed); !made) return made;
    }
    if (!std::exchange(cleaned_, true)) remove_stale_parts();
    auto part = create_part();
    if (!part) return tl::unexpected(part.error());
    const auto digest = fill(payload, (*part)->file);
    if (!digest) return tl::unexpected(digest.error());
    if (auto named =
            name(**part, folder, safe_name(identifiers.sop_instance_uid, "no-uid"), *digest);
        !named) {
      return named;
    }
    // Only now: the lock on the part goes with it.
    if (const int error = (*part)->file.close(); error != 0) return trouble("close", error);
    return sync_folder(folder);
  }

  Result<void> sync_folder(const fs::path& folder) const {
    const FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!handle.is_valid()) return trouble("open of a folder", errno);
    if (::fsync(handle.get()) != 0) return trouble("fsync of a folder", errno);
    return {};
  }

  // Like mkdir -p. What is there already may have been made a moment ago by another
  // worker, or before a crash, and its name not be on disk yet: so every folder's parent
  // is synced once by each worker before a file in it counts as delivered.
  Result<void> make_folders(const fs::path& folder) {
    if (synced_.contains(folder.native())) return {};
    if (folder != root_) {
      if (auto parent = make_folders(folder.parent_path()); !parent) return parent;
    } else {
      std::error_code error;
      fs::create_directories(folder.parent_path(), error);
      if (error) return trouble("mkdir", error.value());
    }
    const bool made = ::mkdir(folder.c_str(), kFolderMode) == 0;
    if (!made && errno != EEXIST) return trouble("mkdir", errno);
    if (made) share(folder);
    if (auto synced = sync_folder(folder.parent_path()); !synced) {
      // One may not be allowed to read what a given folder stands in.
      if (made || folder != root_) return synced;
    }
    if (synced_.size() >= kMostSynced) synced_.clear();
    synced_.insert(folder.native());
    return {};
  }

  // The tree is for others to read, so the process's umask does not rule here: the mode
  // of the destination's folder does. A group that is handed down stays.
  static void share(const fs::path& folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0 ||
        ::chmod(folder.c_str(), kFolderMode | (status.st_mode & S_ISGID)) != 0) {
      log::warning("a folder's mode was not set", {{"reason", std::strerror(errno)}});
    }
  }

  void remove_stale_parts() const {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root_ / kPartFolder, error)) {
      const FileDescriptor file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      if (!file.is_valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;
      if (::unlink(entry.path().c_str()) == 0) {
        log::info("removed a part that was never finished",
                  {{"destination", destination_.name}, {"file", entry.path().filename().string()}});
      }
    }
  }

  Result<std::unique_ptr<Part>> create_part() const {
    for (int tried = 0; tried < kPartTries; ++tried) {
      std::string path = root_ / kPartFolder / "XXXXXX";
      FileDescriptor file(::mkostemp(path.data(), O_CLOEXEC));
      if (!file.is_valid()) return trouble("create", errno);
      auto part = std::make_unique<Part>(std::move(file), std::move(path));
      struct stat status {};
      // Locked by somebody, or gone: it was taken for stale before it was locked. Where
      // locks cannot be had, nobody takes a part for stale either.
      const bool locked = ::flock(part->file.get(), LOCK_EX | LOCK_NB) == 0;
      if (!locked && errno == EWOULDBLOCK) continue;
      if (::fstat(part->file.get(), &status) == 0 && status.st_nlink == 1) return part;
    }
    return trouble("create", EAGAIN);
  }

  // Head, data set, sync. Returns the digest of the file.
  Result<std::string> fill(Payload& payload, const FileDescriptor& file) {
    const Identifiers& identifiers = payload.identifiers();
    const std::string head =
        encode_file_head({identifiers.sop_class_uid, identifiers.sop_instance_uid,
                          payload.transfer_syntax().uid, destination_.calling_ae_title});
    Digest digest;
    const auto put = [&](std::span<const std::byte> bytes) {
      digest.add(bytes);
      return write_all(file.get(), bytes);
    };
    if (auto put_head = put(std::as_bytes(std::span(head))); !put_head) {
      return tl::unexpected(put_head.error());
    }
    std::vector<std::byte> buffer(kCopiedAtOnce);
    payload.rewind();
    for (;;) {
      const auto got = payload.read(buffer);
      local_error_ = !got;
      if (!got) return tl::unexpected(got.error());
      if (*got == 0) break;
      if (auto put_body = put(std::span(buffer).first(*got)); !put_body) {
        return tl::unexpected(put_body.error());
      }
    }
    if (::fchmod(file.get(), kFileMode) != 0) return trouble("chmod", errno);
    if (::fdatasync(file.get()) != 0) return trouble("fdatasync", errno);
    return digest.text();
  }

  Result<void> write_all(int file, std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return trouble("write", errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<void> name(const Part& part, const fs::path& folder, const std::string& base,
                    const std::string& digest) const {
    const std::string other = base + "-" + digest.substr(0, kDigestInName);
    for (const std::string& candidate : {base, other}) {
      const fs::path path = folder / (candidate + ".dcm");
      const int error = give_name(part.path, path);
      if (error == 0 || (error == EEXIST && is_same_file(path, digest))) return {};
      if (error != EEXIST) return trouble("link", error);
    }
    return failure(ErrorCode::permanent, "folder " + destination_.folder + ": a file " + other +
                                             ".dcm with other bytes is in the way; move it away, "
                                             "then `sluice queue retry`");
  }

  const config::Destination destination_;
  const fs::path root_;
  std::set<std::string> synced_;  // folders whose names are on disk
  bool cleaned_ = false;
  bool local_error_ = false;  // the payload could not be read
};

}  // namespace

std::unique_ptr<Sender> make_folder_sender(const config::Destination& destination) {
  return std::make_unique<FolderSender>(destination);
}

}  // namespace sluice
