// Deflated data sets (PS3.5 A.5): raw deflate (RFC 1951), a piece at a time.
//
//   Inflater inflater(4ULL << 30U, 1100);
//   for (auto piece : pieces) if (auto ok = inflater.inflate(piece, out); !ok) ...
//   if (!inflater.finished()) ...                          // cut short
//
// What is not taken from `out` between two calls stays there: a caller that writes
// it to a file and clears it needs no more memory than one piece inflates to. The
// form with a sink never holds more than one buffer of 64 KiB.
// An object belongs to one thread at a time; it may be moved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "gateway/base/error.h"

namespace sluice::dicom {

class Inflater {
 public:
  using Sink = std::function<Result<void>(std::span<const std::byte>)>;

  // Bytes of output from which on a ratio is judged, so that small data sets may be dense.
  static constexpr std::uint64_t kRatioFrom = 1U << 20U;

  // Gives up when the output passes `limit` bytes, or `ratio` times the input.
  Inflater(std::uint64_t limit, std::uint64_t ratio);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  Inflater(Inflater&&) noexcept;
  Inflater& operator=(Inflater&&) noexcept;

  // Appends what `in` inflates to. Errors: corrupt, for a broken stream, a limit,
  // or bytes behind its end other than NUL padding or the right gzip trailer, which
  // some writers leave there; the object then stays failed.
  [[nodiscard]] Result<void> inflate(std::span<const std::byte> in, std::string& out);

  // The same, in pieces of at most 64 KiB. Errors of the sink come back as they are.
  [[nodiscard]] Result<void> inflate(std::span<const std::byte> in, const Sink& sink);

  // True once the end of the stream was seen.
  [[nodiscard]] bool finished() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

class Deflater {
 public:
  Deflater();
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  Deflater(Deflater&&) noexcept;
  Deflater& operator=(Deflater&&) noexcept;

  // Appends what comes of `in`, which may be empty. `last` closes the stream and pads
  // it with one NUL to even length (PS3.5 A.5). Errors: permanent, when called again
  // after `last`; transient, when memory is short.
  [[nodiscard]] Result<void> deflate(std::span<const std::byte> in, bool last, std::string& out);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::dicom
