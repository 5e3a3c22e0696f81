#include "gateway/queue/known_uids.h"

#include <xxhash.h>

namespace sluice {
namespace {

constexpr unsigned kBitsOfWord = 6;  // which of 64

XXH128_hash_t hash_of(std::string_view uid) {
  return XXH3_128bits(uid.data(), uid.size());
}

// Of the word with this index.
std::uint64_t bit_of(const XXH128_hash_t& hash, std::size_t word) {
  return std::uint64_t{1} << (hash.high64 >> (word * kBitsOfWord) & 63U);
}

}  // namespace

void KnownUids::add(std::string_view uid) {
  const XXH128_hash_t hash = hash_of(uid);
  Line& line = lines_[hash.low64 % kLines];
  for (std::size_t word = 0; word < kWords; ++word) {
    line.words.at(word).fetch_or(bit_of(hash, word), std::memory_order_relaxed);
  }
}

bool KnownUids::may_have(std::string_view uid) const {
  const XXH128_hash_t hash = hash_of(uid);
  const Line& line = lines_[hash.low64 % kLines];
  for (std::size_t word = 0; word < kWords; ++word) {
    const std::uint64_t bits = line.words.at(word).load(std::memory_order_relaxed);
    if ((bits & bit_of(hash, word)) == 0) return false;
  }
  return true;
}

}  // namespace sluice
