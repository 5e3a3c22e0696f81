// An instance that is being received, as a source of bytes: what is in memory, then what
// still comes. Nothing of it is kept, so behind the memory it can be read once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "gateway/base/error.h"

namespace sluice {

class ReceivedStream {
 public:
  // The bytes behind those that came before, valid until the next call; none at the end.
  // Errors: whatever spoils the instance.
  using Next = std::function<Result<std::span<const std::byte>>()>;

  ReceivedStream(std::span<const std::byte> memory, Next next)
      : memory_(memory), next_(std::move(next)) {}

  // From this offset on; behind the memory in order only. Fewer bytes only at the end.
  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> buffer);

  [[nodiscard]] bool is_untouched() const { return !touched_; }

 private:
  std::span<const std::byte> memory_;
  Next next_;
  std::span<const std::byte> rest_;  // of what came last
  bool touched_ = false;
  bool ended_ = false;
};

}  // namespace sluice
