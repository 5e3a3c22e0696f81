#include "gateway/spool/digest.h"

#include <new>
#include <string_view>

#include <xxhash.h>

namespace sluice {

struct Digest::State {
  State() : xxhash(XXH3_createState()) {
    if (xxhash == nullptr || XXH3_128bits_reset(xxhash) != XXH_OK) throw std::bad_alloc();
  }
  ~State() { XXH3_freeState(xxhash); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  XXH3_state_t* xxhash;
};

Digest::Digest() : state_(std::make_unique<State>()) {}
Digest::~Digest() = default;

void Digest::add(std::span<const std::byte> bytes) {
  // Its only failure is a null pointer as input, which an empty span may hold.
  if (!bytes.empty()) (void)XXH3_128bits_update(state_->xxhash, bytes.data(), bytes.size());
}

std::string Digest::text() const {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxhash));
  std::string text;
  text.reserve(2 * sizeof canonical.digest);
  for (const unsigned char byte : canonical.digest) {
    text += kHexDigits[byte >> 4U];
    text += kHexDigits[byte & 0xFU];
  }
  return text;
}

}  // namespace sluice
