#include <array>
#include <cstdio>

#include "gateway/deliver/sender.h"

namespace sluice {
namespace {

// (0000,0902) is LO: 64 characters, each of up to four bytes (PS3.5 6.2). More is not kept.
constexpr std::size_t kLongestComment = 256;

constexpr std::uint16_t kNotAuthorized = 0x0124;  // PS3.7 C.5.25

struct Meaning {
  AttemptResult result;
  const char* reason;
};

Meaning meaning_of(std::uint16_t status) {
  switch (status) {
    case 0x0000:
      return {AttemptResult::delivered, ""};
    case 0xB000:
      return {AttemptResult::delivered, "warning: coercion of data elements"};
    case 0xB006:
      return {AttemptResult::delivered, "warning: elements discarded"};
    case 0xB007:
      return {AttemptResult::delivered, "warning: data set does not match SOP class"};
    case 0x0110:
      return {AttemptResult::failed, "processing failure"};
    case 0x0112:
      return {AttemptResult::refused, "no such SOP instance"};
    case 0x0117:
      return {AttemptResult::refused, "invalid SOP instance"};
    case 0x0122:
      return {AttemptResult::refused, "SOP class not supported"};
    case kNotAuthorized:
      return {AttemptResult::hold, "not authorized"};
    case 0x0210:
      return {AttemptResult::failed, "duplicate invocation"};
    case 0x0211:
      return {AttemptResult::failed, "unrecognized operation"};
    case 0x0212:
      return {AttemptResult::failed, "mistyped argument"};
    default:
      break;
  }
  if ((status & 0xFF00U) == 0xA700) return {AttemptResult::failed, "out of resources"};
  if ((status & 0xFF00U) == 0xA900) {
    return {AttemptResult::refused, "data set does not match SOP class"};
  }
  if ((status & 0xF000U) == 0xC000) return {AttemptResult::refused, "cannot understand"};
  return {AttemptResult::refused, "unexpected status"};
}

}  // namespace

Attempt attempt_of_status(std::uint16_t status, const std::string& error_comment) {
  std::array<char, 8> code{};
  static_cast<void>(std::snprintf(code.data(), code.size(), "%04X", static_cast<unsigned>(status)));
  const Meaning meaning = meaning_of(status);
  Attempt attempt{meaning.result, code.data(), meaning.reason};
  attempt.is_misconfigured = status == kNotAuthorized;
  if (status != 0x0000 && !error_comment.empty()) {
    attempt.comment = error_comment.substr(0, kLongestComment);
  }
  return attempt;
}

Attempt attempt_of_error(const Error& error, AttemptResult if_transient) {
  const bool later = error.code == ErrorCode::transient;
  return {later ? if_transient : AttemptResult::hold, "", error.message};
}

std::string full_reason(const Attempt& attempt) {
  return attempt.comment.empty() ? attempt.reason : attempt.reason + ": " + attempt.comment;
}

}  // namespace sluice
