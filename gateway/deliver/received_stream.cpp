#include "gateway/deliver/received_stream.h"

#include <algorithm>
#include <cstring>

namespace sluice {

Result<std::size_t> ReceivedStream::read(std::uint64_t offset, std::span<std::byte> buffer) {
  std::size_t done = 0;
  if (offset < memory_.size()) {
    const auto from = memory_.subspan(static_cast<std::size_t>(offset));
    done = std::min(from.size(), buffer.size());
    std::memcpy(buffer.data(), from.data(), done);
  }
  while (done < buffer.size() && !ended_) {
    if (rest_.empty()) {
      touched_ = true;
      const auto more = next_();
      if (!more) return tl::unexpected(more.error());
      rest_ = *more;
      ended_ = rest_.empty();
      continue;
    }
    const std::size_t taken = std::min(rest_.size(), buffer.size() - done);
    std::memcpy(buffer.data() + done, rest_.data(), taken);
    rest_ = rest_.subspan(taken);
    done += taken;
  }
  return done;
}

}  // namespace sluice
