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

// Who the user at the other side is said to be (PS3.7 D.3.3.7). What would prove it
// (passcode, ticket, assertion, token) is checked in its length and not kept.
struct UserIdentity {
  std::uint8_t type = 0;  // 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JSON Web Token
  std::string user_name;  // of types 1 and 2, as sent: UTF-8 by the standard; never logged
};

struct AssociateRequest {
  std::string called_ae_title;  // without leading and trailing spaces; may be empty
  std::string calling_ae_title;
  std::vector<RequestedContext> contexts;
  std::uint32_t max_pdu = 0;  // that the requestor receives; 0: any
  std::string implementation_class_uid;
  std::string implementation_version_name;
  std::optional<UserIdentity> user_identity;
  // Well-formed, but not to be had: the answer is this rejection.
  std::optional<Rejection> unsupported;
};

// The whole PDU. Errors: permanent, with what is wrong; the answer is an A-ABORT.
[[nodiscard]] Result<AssociateRequest> parse_associate_request(std::span<const std::byte> pdu);

// Makes the user identity item of a good request one of an unknown type and no content,
// before dcmnet sees it: that reads a second field of other types than 2 as a further item
// and tells its bytes, a part of a secret perhaps, in an error.
void blank_user_identity(std::span<std::byte> pdu);

}  // namespace sluice::net
