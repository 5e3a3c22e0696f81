// Files of instances that are done, kept for what is received next: to write over blocks that
// a disk has under a name that it has takes half the time of a new file.
//
// They stand in <spool>.spare/ with what was in them, and are of no use there: what is written
// into one counts only under its name in the spool.
//
// A spare file is given out only when its name here is durable, or a power cut could bring
// back the name that it had, over other bytes. And it is kept, and given out, only when nobody else
// has it open or under another name, or who reads the old instance would get the new one; and
// when it is as the spool makes files, or the new one would get its owner and its rights.
//
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/file_descriptor.h"

namespace sluice {

// Of their names.
inline constexpr std::string_view kSpare = ".spare";

struct SpareFile {
  FileDescriptor file;  // to be written, from its beginning
  std::string name;     // in folder()
  std::uint64_t size = 0;
};

class SpareFiles {
 public:
  static constexpr std::uint64_t kLargest = std::uint64_t{1} << 20U;

  // `most` files are kept, and none while the disk has little space left: what is full for
  // others must not be full of these.
  SpareFiles(FileDescriptor folder, std::size_t most) : folder_(std::move(folder)), most_(most) {}
  ~SpareFiles() { drop(); }
  SpareFiles(const SpareFiles&) = delete;
  SpareFiles& operator=(const SpareFiles&) = delete;

  // Whether the file system under this folder tells who has a file open, on this machine and
  // below whatever it is made of: not those of a network, of layers, or of a user's process.
  [[nodiscard]] static bool are_possible(int folder);

  [[nodiscard]] int folder() const { return folder_.get(); }

  // The smallest that so many bytes fit into, else the largest there is.
  [[nodiscard]] std::optional<SpareFile> take(std::uint64_t size);

  // Takes a file away from its folder. False: it is not one to keep, and is where it was.
  [[nodiscard]] bool keep(int folder, const std::string& name);

  // Those kept since the last call, when they are enough to be worth a sync of both folders;
  // behind that they are given back to be given out.
  [[nodiscard]] std::vector<SpareFile> take_unsynced();
  void give_back(std::vector<SpareFile> synced);

 private:
  [[nodiscard]] bool is_scarce() const;
  [[nodiscard]] std::optional<SpareFile> take_nearest(std::uint64_t size);
  void remove(const std::string& name) const noexcept;
  void drop() noexcept;

  const FileDescriptor folder_;
  const std::size_t most_;
  std::mutex mutex_;
  std::size_t kept_ = 0;  // these, and those whose names are being synced
  std::vector<SpareFile> ready_;
  std::vector<SpareFile> unsynced_;
};

}  // namespace sluice
