// A file that only takes up space, to be given back when the disk is full: the queue
// then has room to write down what was delivered, which is what frees the rest.
// One thread; is_held() any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace sluice {

class DiskReserve {
 public:
  // Keeps a file of this name that is there already.
  DiskReserve(std::string path, std::int64_t bytes);
  // Takes it for the next start, where there is room by now.
  ~DiskReserve() { take(); }
  DiskReserve(const DiskReserve&) = delete;
  DiskReserve& operator=(const DiskReserve&) = delete;

  // False before the first byte of it can be used otherwise.
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
  std::atomic<bool> held_ = false;
  bool given_back_ = false;
};

}  // namespace sluice
