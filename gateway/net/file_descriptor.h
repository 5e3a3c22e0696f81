// A file descriptor that is closed with its owner.
#pragma once

#include <utility>

#include <unistd.h>

namespace sluice::net {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      descriptor_ = other.release();
    }
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_valid() const { return descriptor_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

  // A socket's close() has nothing to report that could still be acted upon.
  void reset() {
    if (descriptor_ >= 0) static_cast<void>(::close(std::exchange(descriptor_, -1)));
  }

 private:
  int descriptor_ = -1;
};

}  // namespace sluice::net
