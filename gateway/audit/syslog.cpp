#include "gateway/audit/syslog.h"

#include <algorithm>

namespace sluice::audit {
namespace {

constexpr int kFacility = 10;
constexpr int kNotice = 5;
constexpr int kWarning = 4;
constexpr std::size_t kLongestHostName = 255;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// PRINTUSASCII without spaces (RFC 5424 6); "-" for nothing.
std::string printable(std::string_view text, std::size_t most) {
  std::string made(text.substr(0, most));
  std::ranges::replace_if(
      made, [](char character) { return character <= 0x20 || character >= 0x7F; }, '_');
  return made.empty() ? "-" : made;
}

}  // namespace

std::string syslog_header(Outcome outcome, Time time, std::string_view host_name,
                          std::string_view process_id) {
  const int severity = outcome == Outcome::success ? kNotice : kWarning;
  return "<" + std::to_string(kFacility * 8 + severity) + ">1 " + date_time(time) + " " +
         printable(host_name, kLongestHostName) + " sluice " + printable(process_id, 128) +
         " DICOM+RFC3881";
}

std::string syslog_message(std::string_view header, std::int64_t sequence, std::string_view xml) {
  // From 1 to 2^31 - 1, and again.
  constexpr std::int64_t kLargest = 2'147'483'647;
  std::string message(header);
  message += " [meta sequenceId=\"" + std::to_string((sequence - 1) % kLargest + 1) + "\"] ";
  message += kByteOrderMark;
  message += xml;
  return message;
}

std::string octet_counted(std::string_view message) {
  return std::to_string(message.size()) + " " + std::string(message);
}

}  // namespace sluice::audit
