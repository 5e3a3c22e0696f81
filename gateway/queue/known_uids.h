// Which SOP Instance UIDs the history may have, so that it needs not be asked of each new one: a
// Bloom filter of a fixed size. It never forgets, so that with the years, or more than some
// millions of rows, it says "perhaps" more often; then the history is asked, as without it.
//
// A UID is 8 bits, one in each word of one cache line. Safe from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice {

class KnownUids {
 public:
  KnownUids() : lines_(kLines) {}

  void add(std::string_view uid);
  // False: it was never added.
  [[nodiscard]] bool may_have(std::string_view uid) const;

 private:
  static constexpr std::size_t kWords = 8;
  static constexpr std::size_t kLines = std::size_t{32} * 1024;  // 2 MiB
  struct alignas(64) Line {
    std::array<std::atomic<std::uint64_t>, kWords> words{};
  };
  std::vector<Line> lines_;
};

}  // namespace sluice
