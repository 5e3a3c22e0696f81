// The bytes of one run in two parts: decisions (which transfer syntax, where to cut,
// what to edit), and the subject, a data set or the like, that stands as it is.
//
// The first byte says how many bytes of decisions follow, so that one byte more in the
// subject leaves every decision as it was.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "gateway/dicom/transfer_syntax.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {

class Input {
 public:
  explicit Input(Bytes bytes) {
    if (bytes.empty()) return;
    const std::size_t length =
        std::min<std::size_t>(std::to_integer<std::size_t>(bytes.front()), bytes.size() - 1);
    decisions_ = bytes.subspan(1, length);
    subject_ = bytes.subspan(1 + length);
  }

  [[nodiscard]] Bytes subject() const { return subject_; }
  [[nodiscard]] bool has_decisions() const { return !decisions_.empty(); }

  // From 0 up; 0 when no decisions are left.
  std::size_t below(std::size_t limit) { return (limit <= 256 ? byte() : number()) % limit; }
  std::size_t byte() {
    if (decisions_.empty()) return 0;
    const auto value = std::to_integer<std::size_t>(decisions_.front());
    decisions_ = decisions_.subspan(1);
    return value;
  }
  std::size_t number() {
    const std::size_t low = byte();
    return low | byte() << 8U;
  }
  bool yes() { return byte() % 2 != 0; }

  // Up to 255 bytes; now and then one of them, many times over.
  std::string text() {
    const std::size_t length = byte();
    if (length == 0xFF) {  // one after the other: compilers differ in the order of arguments
      const std::size_t times = number();
      const auto character = static_cast<char>(byte());
      std::string repeated(times, character);
      return repeated;
    }
    const auto taken = decisions_.first(std::min(length, decisions_.size()));
    decisions_ = decisions_.subspan(taken.size());
    return std::string(text_of(taken));
  }

  dicom::TransferSyntax transfer_syntax() {
    switch (below(5)) {
      case 0:
        return dicom::transfer_syntax(dicom::kExplicitVrLittleEndian);
      case 1:
        return dicom::transfer_syntax(dicom::kImplicitVrLittleEndian);
      case 2:
        return dicom::transfer_syntax(dicom::kExplicitVrBigEndian);
      case 3:
        return dicom::transfer_syntax("1.2.840.10008.1.2.4.50");
      default:
        return dicom::transfer_syntax(dicom::kDeflatedExplicitVrLittleEndian);
    }
  }

 private:
  Bytes decisions_;
  Bytes subject_;
};

}  // namespace sluice::fuzz
