// The command set: any bytes are refused, or give values that come out again as they went
// in, and that DCMTK reads in the same way.
#include "gateway/net/command_set.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dctk.h>

#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/targets.h"

namespace sluice::fuzz {
namespace {

using net::CommandSet;

constexpr std::size_t kLongestText = 300;  // beyond that it is only slow
constexpr std::uint16_t kNumbers[] = {net::command::kCommandField,
                                      net::command::kMessageId,
                                      net::command::kMessageIdBeingRespondedTo,
                                      net::command::kPriority,
                                      net::command::kCommandDataSetType,
                                      net::command::kStatus};
constexpr std::uint16_t kTexts[] = {
    net::command::kAffectedSopClassUid, net::command::kRequestedSopClassUid,
    net::command::kErrorComment, net::command::kAffectedSopInstanceUid,
    net::command::kRequestedSopInstanceUid};

void require_same(const CommandSet& left, const CommandSet& right) {
  for (const std::uint16_t element : kNumbers) {
    require(left.number(element) == right.number(element), "numbers survive encoding");
    require(left.has(element) == right.has(element), "elements survive encoding");
  }
  for (const std::uint16_t element : kTexts) {
    require(left.text(element) == right.text(element), "texts survive encoding");
  }
  require(left.has_data_set() == right.has_data_set(), "the data set type survives encoding");
}

// DCMTK reads odd lengths in ways of its own.
bool all_even(Bytes encoded) {
  while (!encoded.empty()) {
    const auto low = std::to_integer<std::size_t>(encoded[4]);
    if (low % 2 != 0) return false;
    const std::size_t length = low | std::to_integer<std::size_t>(encoded[5]) << 8U |
                               std::to_integer<std::size_t>(encoded[6]) << 16U;
    encoded = encoded.subspan(8 + length);
  }
  return true;
}

void compare_with_dcmtk(const CommandSet& set, const std::vector<std::byte>& encoded) {
  keep_quiet();
  DcmInputBufferStream stream;
  stream.setBuffer(encoded.data(), static_cast<offile_off_t>(encoded.size()));
  stream.setEos();
  DcmDataset theirs;
  theirs.transferInit();
  const OFCondition read = theirs.read(stream, EXS_LittleEndianImplicit, EGL_noChange);
  theirs.transferEnd();
  require(read.good(), "DCMTK reads what is encoded", [&] { return read.text(); });
  for (const std::uint16_t element : kNumbers) {
    const auto ours = set.number(element);
    Uint16 number = 0;
    if (!ours) continue;
    const bool found = theirs.findAndGetUint16(DcmTagKey(0, element), number).good();
    require(found && number == *ours, "DCMTK reads the same number");
  }
  Uint32 length = 0;
  require(theirs.findAndGetUint32(DcmTagKey(0, 0), length).good() && length + 12 == encoded.size(),
          "the group length is that of the bytes");
}

// Sets what the decisions say, then reads it back.
void check_setting(CommandSet set, Input& input) {
  while (input.has_decisions()) {
    if (input.yes()) {
      const std::uint16_t element = kNumbers[input.below(std::size(kNumbers))];
      const auto value = static_cast<std::uint16_t>(input.number());
      set.set_number(element, value);
      require(set.number(element) == value, "a number is what was set");
      continue;
    }
    const std::uint16_t element = kTexts[input.below(std::size(kTexts))];
    std::string text = input.text().substr(0, kLongestText);
    if (input.yes()) {
      set.set_uid(element, text);
    } else {
      set.set_text(element, net::comment_text(text));
      text = net::comment_text(text);
      require(text.size() <= 64, "a comment has 64 characters at most");
      require(text.find_first_of(std::string("\\\r\n\x1B\0", 5)) == std::string::npos,
              "a comment has plain characters");
    }
    while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.pop_back();
    require(set.text(element) == text, "a text is what was set");
  }
  const auto encoded = set.encode();
  const auto again = CommandSet::parse(encoded);
  require(again.has_value(), "what is encoded is read again");
  require_same(set, *again);
  require(again->encode() == encoded, "encoding again gives the same bytes");
  if (all_even(encoded)) compare_with_dcmtk(set, encoded);
}

}  // namespace

void command_set(Bytes bytes) {
  Input input(bytes);
  const auto set = CommandSet::parse(input.subject());
  require(set || set.error().code == ErrorCode::permanent, "a refusal is for good");
  check_setting(set.value_or(CommandSet()), input);
}

}  // namespace sluice::fuzz
