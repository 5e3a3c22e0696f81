// What was refused to its sender for its own sake. Nothing of the data is kept; what is
// listed says who sent what, and why it was refused, for the person who must mend it at
// the modality and send it again.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice {

// The same instance from the same sender, refused with the same status, is one of these,
// however often it was tried.
struct Rejection {
  std::string id = {};                                     // of the last attempt, as in the log
  std::chrono::system_clock::time_point received_at = {};  // of the first attempt
  std::chrono::system_clock::time_point updated_at = {};   // of the last
  std::uint64_t times = 1;
  std::string calling_ae_title = {};
  std::string called_ae_title = {};
  std::string peer_address = {};
  std::string listener = {};
  std::string sop_class_uid = {};
  std::string sop_instance_uid = {};
  std::string transfer_syntax_uid = {};
  std::uint64_t data_set_length = 0;
  std::string status = {};  // DIMSE status of the answer, "C000"
  std::string reason = {};
};

}  // namespace sluice
