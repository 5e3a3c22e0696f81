// A file without a name, for data sets that must be written out before they are
// sent: deflated ones with edits, and conversions. It is gone with the object or the
// process. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "gateway/base/error.h"
#include "gateway/base/file_descriptor.h"

namespace sluice {

class TemporaryFile {
 public:
  // Below `folder`, which must be on a disk with room. Errors: transient.
  [[nodiscard]] static Result<TemporaryFile> create(const std::string& folder);

  // Errors: transient.
  [[nodiscard]] Result<void> append(std::span<const std::byte> bytes);

  // Fills the buffer from `offset` on; fewer bytes only at the end. Errors: transient.
  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> buffer) const;

  // As the file now is, also after path() was written to. Errors: transient.
  [[nodiscard]] Result<std::uint64_t> length() const;

  // A name under which libraries of this process can open it.
  [[nodiscard]] std::string path() const;

 private:
  explicit TemporaryFile(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace sluice
