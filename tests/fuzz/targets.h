// The fuzz targets: functions on bytes from anywhere that hold the code to what it
// promises of them.
//
// A target returns when every promise held, and throws BrokenPromise when one did not;
// the sanitizers see to the rest. The same bytes always take the same way, so that a
// finding stays one. Under libFuzzer (`make fuzz`) each is a program of its own; `make
// test` replays the findings of the past on it (regressions/). One thread.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice::fuzz {

using Bytes = std::span<const std::byte>;

class BrokenPromise : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline void require(bool holds, const char* promise) {
  if (!holds) throw BrokenPromise(promise);
}
// The detail is made only when it is needed.
template <typename Detail>
void require(bool holds, const char* promise, const Detail& detail) {
  if (!holds) throw BrokenPromise(std::string(promise) + ": " + std::string(detail()));
}

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// What a sender may say.
void associate_request(Bytes bytes);
void pdv_splitter(Bytes bytes);
void association(Bytes bytes);
void command_set(Bytes bytes);
void scanner(Bytes bytes);

// What becomes of it.
void patch(Bytes bytes);
void filters(Bytes bytes);

// What a person may write.
void configuration(Bytes bytes);

struct Target {
  std::string_view name;
  void (*run)(Bytes bytes);
};

// Also the names of the folders below regressions/.
inline constexpr Target kTargets[] = {
    {"associate_request", associate_request},
    {"association", association},
    {"command_set", command_set},
    {"configuration", configuration},
    {"filters", filters},
    {"patch", patch},
    {"pdv_splitter", pdv_splitter},
    {"scanner", scanner},
};

}  // namespace sluice::fuzz
