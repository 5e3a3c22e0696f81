#include "gateway/audit/file_transport.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/file_descriptor.h"

namespace sluice::audit {
namespace {

constexpr mode_t kMode = 0640;  // an auditor's group may be given it

class FileTransport final : public Transport {
 public:
  explicit FileTransport(std::string path) : path_(std::move(path)) {}

  Result<void> open() override {
    if (file_.is_valid() && is_in_place()) return {};
    // What was written to a file that was moved away is synced before it is left.
    if (file_.is_valid() && unsynced_ && ::fdatasync(file_.get()) != 0) return fail("sync");
    unsynced_ = false;
    file_ = FileDescriptor(
        ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, kMode));
    if (!file_.is_valid()) return fail("open");
    torn_ = !ends_with_line_feed();
    return {};
  }

  Result<void> send(std::string_view message) override {
    if (auto opened = open(); !opened) return opened;
    std::string line = torn_ ? "\n" : "";
    line += message;
    line += '\n';
    std::string_view rest = line;
    unsynced_ = true;
    while (!rest.empty()) {
      const ssize_t written = ::write(file_.get(), rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail("write");
      torn_ = true;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    torn_ = false;
    return {};
  }

  Result<bool> is_taken() override {
    if (unsynced_ && ::fdatasync(file_.get()) != 0 && errno != EINVAL && errno != EROFS) {
      return fail("sync");
    }
    unsynced_ = false;
    return true;
  }

  [[nodiscard]] std::chrono::milliseconds trial() const override {
    return std::chrono::milliseconds(0);
  }

  bool finish(SteadyTime /*deadline*/) override {
    const auto taken = is_taken();
    close();
    return taken.has_value();
  }

  void close() override {
    file_.reset();
    unsynced_ = false;
  }

 private:
  tl::unexpected<Error> fail(std::string_view operation) {
    const int error_number = errno;
    close();
    return failure(ErrorCode::transient, "cannot " + std::string(operation) + " " + path_ + ": " +
                                             std::generic_category().message(error_number));
  }

  [[nodiscard]] bool is_in_place() const {
    struct stat named {};
    struct stat opened {};
    return ::stat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &opened) == 0 &&
           named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
  }

  // An empty file does; so does what cannot be read back, such as a pipe.
  [[nodiscard]] bool ends_with_line_feed() const {
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0 || status.st_size == 0) return true;
    char last = '\n';
    return ::pread(file_.get(), &last, 1, status.st_size - 1) != 1 || last == '\n';
  }

  std::string path_;
  FileDescriptor file_;
  bool torn_ = false;      // the last line has no end
  bool unsynced_ = false;  // written since the last fdatasync
};

}  // namespace

std::unique_ptr<Transport> make_file_transport(const std::string& path) {
  return std::make_unique<FileTransport>(path);
}

}  // namespace sluice::audit
