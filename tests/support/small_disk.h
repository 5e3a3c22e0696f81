// A tmpfs of a few hundred kilobytes, for tests of a full disk. Only root can mount:
//
//   const SmallDisk disk(256);
//   if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
#pragma once

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include <sys/mount.h>

#include "tests/support/temporary_folder.h"

namespace sluice::test {

class SmallDisk {
 public:
  explicit SmallDisk(int kilobytes) {
    const std::string options = "size=" + std::to_string(kilobytes) + "k,mode=0700";
    if (::mount("sluice-test", folder_.path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
      why_not_ = std::string("cannot mount a tmpfs: ") + std::strerror(errno);
    }
  }
  ~SmallDisk() {
    if (is_mounted()) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] bool is_mounted() const { return why_not_.empty(); }
  [[nodiscard]] const std::string& why_not() const { return why_not_; }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path(name); }

  // Takes all the space that is left, in the file `name`.
  void fill(const std::string& name) const {
    std::ofstream file(path(name), std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  }

 private:
  TemporaryFolder folder_;
  std::string why_not_;
};

}  // namespace sluice::test
