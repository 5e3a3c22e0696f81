// A file that only takes up space, to be given back when the disk is full: the queue
// then has room to write down what was delivered, which is what frees the rest.
// One thread.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

class DiskReserve {
 public:
  // Keeps a file of this name that is there already.
  DiskReserve(std::string path, std::int64_t bytes);

  [[nodiscard]] bool is_held() const { return held_; }
  // Does nothing while it is held. A disk without room is not an error: tried again later.
  void take();
  void give_back();

  // Of a process that has ended, lest a full disk keep the next one from starting. False when
  // there is none.
  [[nodiscard]] static bool give_back_of(const std::string& database);
  [[nodiscard]] static std::string path_of(const std::string& database) {
    return database + "-reserve";
  }

 private:
  std::string path_;
  std::int64_t bytes_;
  bool held_ = false;
};

}  // namespace sluice
