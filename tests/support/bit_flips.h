// Single bits that change in a file: the same ones each time, spread over all of it.
#pragma once

#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>

namespace sluice::test {

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

// Calls `look(bit)` with a file that differs from `bytes` in that one bit, for each
// bit of a walk over all of it in steps of `step` bits; an odd step meets every bit of a byte.
template <typename Look>
void for_each_flip(const std::string& path, const std::string& bytes, std::size_t step,
                   const Look& look) {
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += step) {
    std::string flipped = bytes;
    auto byte = static_cast<unsigned char>(flipped[bit / 8]);
    byte ^= static_cast<unsigned char>(1U << (bit % 8));
    flipped[bit / 8] = static_cast<char>(byte);
    write_file(path, flipped);
    look(bit);
  }
}

}  // namespace sluice::test
