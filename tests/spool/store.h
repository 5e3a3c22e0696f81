// An instance in the spool, in one call.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "gateway/spool/spool.h"

namespace sluice::test {

inline const FileMeta kMeta{"1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1", "CT1"};

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

inline Result<StoredFile> store(Spool& spool, const std::string& data_set) {
  auto incoming = spool.create(kMeta);
  if (!incoming) return tl::unexpected(incoming.error());
  if (auto appended = incoming->append(bytes_of(data_set)); !appended) {
    return tl::unexpected(appended.error());
  }
  return incoming->close();
}

}  // namespace sluice::test
