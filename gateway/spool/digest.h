// XXH3-128 over bytes that come in pieces. It finds bytes that changed by accident;
// it is no protection against forgery. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace sluice {

class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void add(std::span<const std::byte> bytes);

  // 32 hex digits in the canonical (big endian) form, as `xxhsum -H2` prints them.
  [[nodiscard]] std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
