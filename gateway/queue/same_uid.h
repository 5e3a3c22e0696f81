// What becomes of an instance whose SOP Instance UID the queue knows already.
//
// The same bytes (data set, SOP class and transfer syntax): a destination that has them
// waiting, or was given them within the window, gets them no more; for the others they
// are a new instance. A delivery of the earlier one that is held, or rests in a
// quarantine that today's routes do not know any more, is ended: the new one takes its
// place. One whose file is damaged stays as it is, and nothing relies on it.
//
// Other bytes: both are kept, and the later one is flagged with the id of the one that
// had the UID first. That one counts as long as it goes or went somewhere: what was
// dropped or discarded everywhere is in nobody's way. As far as the history reaches.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// What becomes of the later one of two with one UID and other bytes.
enum class OtherBytes {
  deliver,     // both go
  quarantine,  // it rests for a person
  new_uid,     // it goes with a SOP Instance UID of its own
};
[[nodiscard]] std::optional<OtherBytes> parse_other_bytes(std::string_view text);

struct SameUidRules {
  std::chrono::milliseconds window{0};  // 0: the same bytes are a new instance each time
  OtherBytes other_bytes = OtherBytes::deliver;
  std::string new_uid = {};               // for OtherBytes::new_uid
  bool had_new_uid = false;               // these bytes were given it when the history was longer
  std::vector<std::string> sound = {};    // ids of instances whose file was looked at,
  std::vector<std::string> unsound = {};  // and of those on which nothing may rely
};

struct Added {
  bool is_duplicate = false;        // nothing to deliver was left: nothing was added
  std::string same_as = {};         // id of the latest with the same bytes; "": none
  std::string other_bytes_of = {};  // id of the one that had the UID first; "": none
  std::size_t replaced = 0;         // deliveries of earlier ones whose place this took
  // Not empty: nothing was done yet. These wait, and a look at their files must come
  // first; then the same again with them in `sound` or `unsound`.
  std::vector<std::string> to_check = {};
};

}  // namespace sluice
