// Gives dcmnet each presentation data value in a P-DATA-TF PDU of its own.
//
// DUL_NextPDV() of DCMTK 3.6.7 advances its place in a PDU by the length of the wrong
// PDV (dul.cc:1474): from the third one of unequal lengths on, it reads where the peer
// likes, beyond its buffer too. With one PDV in each PDU it never has to advance. What
// does not add up is passed on as it came, for dcmnet to refuse.
//
// One thread; the connection must outlive it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gateway/net/connection.h"
#include "gateway/net/pdu.h"

namespace sluice::net {

class PdvSplitter {
 public:
  // A P-DATA-TF PDU of more than `max_pdu` bytes is not split: dcmnet refuses it.
  PdvSplitter(Connection& connection, std::uint32_t max_pdu)
      : connection_(&connection), max_pdu_(max_pdu) {}

  // As Connection::read().
  [[nodiscard]] std::ptrdiff_t read(std::span<std::byte> buffer) noexcept;

  // True when read() gives bytes without asking the connection.
  [[nodiscard]] bool has_bytes() const { return made_begin_ < made_end_; }

 private:
  static constexpr std::size_t kPdvLength = 4;

  [[nodiscard]] std::ptrdiff_t gather(std::size_t length) noexcept;
  [[nodiscard]] std::ptrdiff_t begin_pdu() noexcept;
  [[nodiscard]] std::ptrdiff_t begin_pdv() noexcept;
  void make_header(std::uint64_t length) noexcept;

  Connection* connection_;
  std::uint32_t max_pdu_;
  std::array<std::byte, kPduHeaderLength> gathered_{};  // a header that comes in pieces
  std::size_t gathered_length_ = 0;
  std::array<std::byte, kPduHeaderLength + kPdvLength> made_{};  // for dcmnet to read first
  std::size_t made_begin_ = 0;
  std::size_t made_end_ = 0;
  std::uint64_t passing_ = 0;   // bytes that go through as they come
  std::uint64_t pdu_left_ = 0;  // bytes of a P-DATA-TF PDU behind those
};

}  // namespace sluice::net
