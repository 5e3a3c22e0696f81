// Which presentation contexts an acceptor takes, and in which transfer syntax.
//
// Taken are Verification and every storage SOP class, and whatever the dictionary
// does not know: private classes and those of a newer standard. Known services that
// are not storage (query, work list, print ...) are refused by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gateway/net/associate_request.h"

namespace sluice::net {

// PS3.8 Table 9-18.
enum class ContextResult : std::uint8_t {
  accepted = 0,
  abstract_syntax_not_supported = 3,
  transfer_syntaxes_not_supported = 4,
};

struct NegotiatedContext {
  std::uint8_t id = 0;
  ContextResult result = ContextResult::accepted;
  std::string abstract_syntax;
  std::string transfer_syntax;  // "" when refused
};

inline constexpr const char* kVerificationSopClassUid = "1.2.840.10008.1.1";

// One answer per context, in order. Of the proposed transfer syntaxes the first that
// can be read and is in `transfer_syntaxes` is taken, or the first that can be read where
// that is empty; for Verification the first uncompressed one.
[[nodiscard]] std::vector<NegotiatedContext> negotiate(
    const std::vector<RequestedContext>& requested,
    const std::vector<std::string>& transfer_syntaxes);

}  // namespace sluice::net
