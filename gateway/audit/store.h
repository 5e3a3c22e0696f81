// The SQL of data_dir/audit.db, where messages wait for their collectors.
//
//   messages      sequence  in the order of adding; never given twice
//                 header    of the syslog message, as in syslog.h
//                 xml       the audit message
//   destinations  address   as configured
//                 taken     the sequence up to which it has everything
//
// A message is removed when every destination of the configuration has it. Several
// processes may add: the gateway, and `sluice queue discard` beside it.
//
// Format 1 (PRAGMA user_version); application_id is "SLAU".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/base/sqlite.h"

namespace sluice::audit {

struct Message {
  std::string header;
  std::string xml;
};

struct StoredMessage {
  std::int64_t sequence = 0;
  Message message;
};

namespace store {

using sqlite::Connection;

extern const sqlite::Format kFormat;

[[nodiscard]] Result<void> add(Connection& db, const Message& message);

// The first ones behind `sequence`, at most `limit`.
[[nodiscard]] Result<std::vector<StoredMessage>> read_behind(Connection& db, std::int64_t sequence,
                                                             std::size_t limit);

// From now on these are the destinations; a new one begins with the oldest message.
[[nodiscard]] Result<void> set_destinations(Connection& db,
                                            const std::vector<std::string>& addresses);
[[nodiscard]] Result<std::int64_t> taken(Connection& db, std::string_view address);
[[nodiscard]] Result<void> set_taken(Connection& db, std::string_view address,
                                     std::int64_t sequence);
[[nodiscard]] Result<void> remove_taken(Connection& db);

// Bytes of the file that hold something.
[[nodiscard]] Result<std::uint64_t> used_bytes(Connection& db);
// Returns how many there were to remove.
[[nodiscard]] Result<std::uint64_t> remove_oldest(Connection& db, std::size_t count);

}  // namespace store
}  // namespace sluice::audit
