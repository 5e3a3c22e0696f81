// The A-ASSOCIATE-RQ, parsed and checked whole before dcmnet sees it (PS3.8 9.3.2,
// PS3.7 Annex D). dcmnet leaks on some broken requests and allocates for each of
// 85,000 presentation contexts; here every length is checked and every count limited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/net/pdu.h"

namespace sluice::net {

inline constexpr std::size_t kMaxAssociatePdu = std::size_t{256} * 1024;  // bytes, header included
inline constexpr std::size_t kMaxContexts = 128;                          // odd ids from 1 to 255

struct RequestedContext {
  std::uint8_t id = 0;  // odd
  std::string abstract_syntax;
  std::vector<std::string> transfer_syntaxes;  // in the requestor's order, at least one
};

struct AssociateRequest {
  std::string called_ae_title;  // without leading and trailing spaces; may be empty
  std::string calling_ae_title;
  std::vector<RequestedContext> contexts;
  std::uint32_t max_pdu = 0;  // that the requestor receives; 0: any
  std::string implementation_class_uid;
  std::string implementation_version_name;
  // Well-formed, but not to be had: the answer is this rejection.
  std::optional<Rejection> unsupported;
};

// The whole PDU. Errors: permanent, with what is wrong; the answer is an A-ABORT.
[[nodiscard]] Result<AssociateRequest> parse_associate_request(std::span<const std::byte> pdu);

}  // namespace sluice::net
