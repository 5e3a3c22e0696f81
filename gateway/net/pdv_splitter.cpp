#include "gateway/net/pdv_splitter.h"

#include <algorithm>

namespace sluice::net {
namespace {

constexpr std::byte kData{static_cast<std::uint8_t>(PduType::data)};
constexpr std::uint64_t kLeastPdv = 2;  // context id and message control header

}  // namespace

std::ptrdiff_t PdvSplitter::read(std::span<std::byte> buffer) noexcept {
  if (buffer.empty()) return 0;
  if (!has_bytes() && passing_ == 0) {
    const std::ptrdiff_t begun = pdu_left_ > 0 ? begin_pdv() : begin_pdu();
    if (begun <= 0) return begun;
  }
  if (has_bytes()) {
    const std::size_t length = std::min(buffer.size(), made_end_ - made_begin_);
    std::copy_n(made_.begin() + static_cast<std::ptrdiff_t>(made_begin_), length, buffer.begin());
    made_begin_ += length;
    return static_cast<std::ptrdiff_t>(length);
  }
  const std::ptrdiff_t length =
      connection_->read(buffer.first(std::min<std::uint64_t>(buffer.size(), passing_)));
  if (length > 0) passing_ -= static_cast<std::uint64_t>(length);
  return length;
}

// Positive once so many bytes are in gathered_; else what the connection said.
std::ptrdiff_t PdvSplitter::gather(std::size_t length) noexcept {
  while (gathered_length_ < length) {
    const std::ptrdiff_t got = connection_->read(
        std::span(gathered_).subspan(gathered_length_, length - gathered_length_));
    if (got <= 0) return got;
    gathered_length_ += static_cast<std::size_t>(got);
  }
  gathered_length_ = 0;
  return 1;
}

std::ptrdiff_t PdvSplitter::begin_pdu() noexcept {
  const std::ptrdiff_t gathered = gather(kPduHeaderLength);
  if (gathered <= 0) return gathered;
  const std::uint64_t length = pdu_length(gathered_) - kPduHeaderLength;
  if (gathered_[0] == kData && length > 0 && length <= max_pdu_) {
    pdu_left_ = length;
    return begin_pdv();
  }
  std::copy(gathered_.begin(), gathered_.end(), made_.begin());
  made_begin_ = 0;
  made_end_ = kPduHeaderLength;
  passing_ = length;
  return 1;
}

void PdvSplitter::make_header(std::uint64_t length) noexcept {
  made_[0] = kData;
  made_[1] = std::byte{0};
  for (std::size_t i = 0; i < 4; ++i) made_[5 - i] = std::byte(length >> (8 * i) & 0xFFU);
  made_begin_ = 0;
  made_end_ = kPduHeaderLength;
}

std::ptrdiff_t PdvSplitter::begin_pdv() noexcept {
  if (pdu_left_ < kPdvLength) {
    make_header(pdu_left_);
    passing_ = pdu_left_;
    pdu_left_ = 0;
    return 1;
  }
  const std::ptrdiff_t gathered = gather(kPdvLength);
  if (gathered <= 0) return gathered;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kPdvLength; ++i) {
    length = length << 8U | std::to_integer<std::uint64_t>(gathered_[i]);
  }
  const bool adds_up = length >= kLeastPdv && length <= pdu_left_ - kPdvLength;
  const std::uint64_t whole = adds_up ? kPdvLength + length : pdu_left_;
  make_header(whole);
  std::copy_n(gathered_.begin(), kPdvLength, made_.begin() + kPduHeaderLength);
  made_end_ += kPdvLength;
  passing_ = whole - kPdvLength;
  pdu_left_ -= whole;
  return 1;
}

}  // namespace sluice::net
