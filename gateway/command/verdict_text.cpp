#include "gateway/command/verdict_text.h"

#include <array>
#include <cstdio>

namespace sluice::command {

std::string name_of(const Verdict& verdict) {
  if (std::holds_alternative<Drop>(verdict)) return "drop";
  if (std::holds_alternative<Reject>(verdict)) return "reject";
  if (std::holds_alternative<Quarantine>(verdict)) return "quarantine";
  return "pass";
}

std::string reason_of(const Verdict& verdict) {
  if (const auto* drop = std::get_if<Drop>(&verdict)) return drop->reason;
  if (const auto* reject = std::get_if<Reject>(&verdict)) return reject->reason;
  if (const auto* quarantine = std::get_if<Quarantine>(&verdict)) return quarantine->reason;
  return "";
}

std::optional<std::uint16_t> status_of(const Verdict& verdict) {
  const auto* reject = std::get_if<Reject>(&verdict);
  return reject == nullptr ? std::nullopt : std::optional(reject->status);
}

std::string status_text(std::uint16_t status) {
  std::array<char, 8> text{};
  (void)std::snprintf(text.data(), text.size(), "0x%04X", static_cast<unsigned>(status));
  return text.data();
}

}  // namespace sluice::command
