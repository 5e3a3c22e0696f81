// The command set of a DIMSE message: a few short elements of group 0000 in Implicit
// VR Little Endian, whatever the transfer syntax (PS3.7 6.3.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"

namespace sluice::net {

// Element numbers of group 0000 (PS3.7 Annex E.1).
namespace command {
inline constexpr std::uint16_t kGroupLength = 0x0000;
inline constexpr std::uint16_t kAffectedSopClassUid = 0x0002;
inline constexpr std::uint16_t kRequestedSopClassUid = 0x0003;
inline constexpr std::uint16_t kCommandField = 0x0100;
inline constexpr std::uint16_t kMessageId = 0x0110;
inline constexpr std::uint16_t kMessageIdBeingRespondedTo = 0x0120;
inline constexpr std::uint16_t kPriority = 0x0700;
inline constexpr std::uint16_t kCommandDataSetType = 0x0800;
inline constexpr std::uint16_t kStatus = 0x0900;
inline constexpr std::uint16_t kErrorComment = 0x0902;
inline constexpr std::uint16_t kAffectedSopInstanceUid = 0x1000;
inline constexpr std::uint16_t kRequestedSopInstanceUid = 0x1001;

inline constexpr std::uint16_t kStoreRequest = 0x0001;
inline constexpr std::uint16_t kEchoRequest = 0x0030;
inline constexpr std::uint16_t kCancelRequest = 0x0FFF;
inline constexpr std::uint16_t kResponse = 0x8000;  // set in the command field of a response
inline constexpr std::uint16_t kNoDataSet = 0x0101;
inline constexpr std::uint16_t kWithDataSet = 0x0001;
inline constexpr std::uint16_t kMediumPriority = 0x0000;
inline constexpr std::uint16_t kHighPriority = 0x0001;
inline constexpr std::uint16_t kLowPriority = 0x0002;
}  // namespace command

class CommandSet {
 public:
  // Errors: permanent; lengths that do not add up, elements of another group or twice.
  [[nodiscard]] static Result<CommandSet> parse(std::span<const std::byte> bytes);

  // Unsigned short; nullopt when absent or of another length than 2.
  [[nodiscard]] std::optional<std::uint16_t> number(std::uint16_t element) const;
  // Without trailing NULs and spaces; "" when absent.
  [[nodiscard]] std::string text(std::uint16_t element) const;
  [[nodiscard]] bool has(std::uint16_t element) const { return find(element) != nullptr; }

  // False when (0000,0800) says that no data set follows. An absent one: no data set.
  [[nodiscard]] bool has_data_set() const;

  void set_number(std::uint16_t element, std::uint16_t value);
  void set_uid(std::uint16_t element, std::string_view uid);    // padded by NUL
  void set_text(std::uint16_t element, std::string_view text);  // padded by a space

  // With group length, in tag order.
  [[nodiscard]] std::vector<std::byte> encode() const;

 private:
  struct Element {
    std::uint16_t number = 0;
    std::string value;  // as encoded
  };
  [[nodiscard]] const std::string* find(std::uint16_t element) const;
  // Its value; a new one is empty.
  [[nodiscard]] std::string& at(std::uint16_t element);

  std::vector<Element> elements_;  // in tag order
};

// Text for an LO element of a command set, such as Error Comment (0000,0902): at most
// 64 characters of ASCII, no control characters and no backslash (PS3.5 6.2).
[[nodiscard]] std::string comment_text(std::string_view text);

}  // namespace sluice::net
