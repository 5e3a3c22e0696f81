#include "gateway/net/associate_request.h"

#include <algorithm>
#include <bitset>
#include <string_view>
#include <utility>

namespace sluice::net {
namespace {

constexpr std::size_t kFixedLength = 68;  // behind the PDU header, before the items
constexpr std::size_t kMaxUidField = 64;
constexpr std::size_t kMaxSyntaxesOfAContext = 255;  // dcmnet counts them in 8 bits
constexpr std::uint32_t kLeastMaxLength = 14;        // below, dcmnet cannot send a byte
constexpr std::string_view kApplicationContextName = "1.2.840.10008.3.1.1.1";

// Item types (PS3.8 9.3.2, PS3.7 D.3.3).
constexpr std::uint8_t kApplicationContextItem = 0x10;
constexpr std::uint8_t kPresentationContextItem = 0x20;
constexpr std::uint8_t kPresentationContextResultItem = 0x21;
constexpr std::uint8_t kAbstractSyntaxItem = 0x30;
constexpr std::uint8_t kTransferSyntaxItem = 0x40;
constexpr std::uint8_t kUserInformationItem = 0x50;
constexpr std::uint8_t kMaximumLengthItem = 0x51;
constexpr std::uint8_t kImplementationClassUidItem = 0x52;
constexpr std::uint8_t kRoleSelectionItem = 0x54;
constexpr std::uint8_t kImplementationVersionNameItem = 0x55;
constexpr std::uint8_t kExtendedNegotiationItem = 0x56;
constexpr std::uint8_t kUserIdentityItem = 0x58;
constexpr std::uint8_t kUserIdentityResponseItem = 0x59;
constexpr std::uint8_t kUnassignedItem = 0x7F;  // ignored, as all that are unknown

// Types of user identity (PS3.7 Table D.3-14).
constexpr std::uint8_t kUserName = 1;
constexpr std::uint8_t kUserNameAndPasscode = 2;

using Bytes = std::span<const std::byte>;

Result<AssociateRequest> bad(std::string what) {
  return failure(ErrorCode::permanent, "A-ASSOCIATE-RQ: " + std::move(what));
}

std::uint16_t short_at(Bytes bytes, std::size_t offset) {
  return static_cast<std::uint16_t>((std::to_integer<unsigned>(bytes[offset]) << 8U) |
                                    std::to_integer<unsigned>(bytes[offset + 1]));
}

struct Item {
  std::uint8_t type = 0;
  Bytes value;
};

// Takes items off the front of a range of bytes.
class Items {
 public:
  explicit Items(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool at_end() const { return bytes_.empty(); }

  // nullopt: the lengths do not add up.
  [[nodiscard]] std::optional<Item> next() {
    if (bytes_.size() < 4) return std::nullopt;
    const std::size_t length = short_at(bytes_, 2);
    if (bytes_.size() - 4 < length) return std::nullopt;
    const Item item{std::to_integer<std::uint8_t>(bytes_[0]), bytes_.subspan(4, length)};
    bytes_ = bytes_.subspan(4 + length);
    return item;
  }

 private:
  Bytes bytes_;
};

std::string text_of(Bytes bytes) {
  std::string text(bytes.size(), '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) text[i] = std::to_integer<char>(bytes[i]);
  return text;
}

// Without padding: UIDs travel unpadded (PS3.8 9.3.2), but some pad them as in a data set.
std::string uid_of(Bytes bytes) {
  std::string uid = text_of(bytes);
  while (!uid.empty() && (uid.back() == '\0' || uid.back() == ' ')) uid.pop_back();
  return uid;
}

// 16 characters, padded by spaces; some pad with NUL.
std::string ae_title_of(Bytes bytes) {
  std::string title = text_of(bytes);
  if (const auto nul = title.find('\0'); nul != std::string::npos) title.resize(nul);
  const auto first = title.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  const auto last = title.find_last_not_of(' ');
  return title.substr(first, last - first + 1);
}

// A UID that dcmnet can hold and a C string can carry.
bool is_usable_uid(const std::string& uid, Bytes bytes) {
  return !uid.empty() && bytes.size() <= kMaxUidField && uid.find('\0') == std::string::npos;
}

std::string context_name(std::uint8_t id) {
  return "presentation context " + std::to_string(id);
}

Result<RequestedContext> parse_context(Bytes value) {
  const auto broken = [](std::string what) {
    return failure(ErrorCode::permanent, std::move(what));
  };
  if (value.size() < 4) return broken("a presentation context item is too short");
  RequestedContext context;
  context.id = std::to_integer<std::uint8_t>(value[0]);
  const std::string name = context_name(context.id);
  if (context.id % 2 == 0) return broken(name + " has an even id");
  Items items(value.subspan(4));
  while (!items.at_end()) {
    const auto item = items.next();
    if (!item) return broken("the lengths in " + name + " do not add up");
    if (item->type != kAbstractSyntaxItem && item->type != kTransferSyntaxItem) continue;
    std::string uid = uid_of(item->value);
    if (!is_usable_uid(uid, item->value)) return broken(name + " has an empty or too long UID");
    if (item->type == kAbstractSyntaxItem) {
      if (!context.abstract_syntax.empty()) return broken(name + " has two abstract syntaxes");
      context.abstract_syntax = std::move(uid);
    } else {
      if (context.transfer_syntaxes.size() == kMaxSyntaxesOfAContext) {
        return broken(name + " has too many transfer syntaxes");
      }
      context.transfer_syntaxes.push_back(std::move(uid));
    }
  }
  if (context.abstract_syntax.empty()) return broken(name + " has no abstract syntax");
  if (context.transfer_syntaxes.empty()) return broken(name + " has no transfer syntax");
  return context;
}

// Type, response flag, then two fields with their lengths (PS3.7 D.3.3.7.1). The flag asks
// for a positive response, which only who has authenticated the user may give: not read.
std::string parse_user_identity(Bytes value, AssociateRequest& request) {
  if (value.size() < 6) return "the user identity item is too short";
  const std::size_t primary = short_at(value, 2);
  if (value.size() < 6 + primary || value.size() != 6 + primary + short_at(value, 4 + primary)) {
    return "the lengths in the user identity item do not add up";
  }
  // Only a passcode is secondary (PS3.7 Table D.3-14).
  if (std::to_integer<std::uint8_t>(value[0]) != kUserNameAndPasscode &&
      value.size() != 6 + primary) {
    return "the user identity item has a secondary field, which its type does not have";
  }
  UserIdentity identity{std::to_integer<std::uint8_t>(value[0]), {}};
  if (identity.type == kUserName || identity.type == kUserNameAndPasscode) {
    identity.user_name = text_of(value.subspan(4, primary));
  }
  request.user_identity = std::move(identity);
  return {};
}

// The text of the mistake; "" when there is none.
std::string parse_user_item(const Item& item, AssociateRequest& request, std::bitset<256>& seen) {
  const bool again = seen.test(item.type);
  seen.set(item.type);
  switch (item.type) {
    case kMaximumLengthItem:
      if (item.value.size() != 4) return "the maximum length item is not 4 bytes long";
      if (again) return "two maximum length items";
      request.max_pdu =
          (static_cast<std::uint32_t>(short_at(item.value, 0)) << 16U) | short_at(item.value, 2);
      if (request.max_pdu != 0 && request.max_pdu < kLeastMaxLength) {
        return "a maximum length of " + std::to_string(request.max_pdu) + " holds no message";
      }
      return {};
    case kImplementationClassUidItem:
      if (item.value.size() > kMaxUidField) return "the implementation class UID is too long";
      if (again) return "two implementation class UIDs";
      request.implementation_class_uid = uid_of(item.value);
      return {};
    case kImplementationVersionNameItem:
      if (item.value.size() > kMaxUidField) return "the implementation version name is too long";
      if (again) return "two implementation version names";
      request.implementation_version_name = uid_of(item.value);
      return {};
    case kRoleSelectionItem:
      // UID length, UID, two roles (PS3.7 D.3.3.4).
      if (item.value.size() < 4 || short_at(item.value, 0) + std::size_t{4} != item.value.size() ||
          short_at(item.value, 0) > kMaxUidField) {
        return "the lengths in a role selection item do not add up";
      }
      return {};
    case kExtendedNegotiationItem:
      if (item.value.size() < 2 || short_at(item.value, 0) + std::size_t{2} > item.value.size()) {
        return "the lengths in an extended negotiation item do not add up";
      }
      return {};
    case kUserIdentityItem:
      if (again) return "two user identity items";
      return parse_user_identity(item.value, request);
    case kUserIdentityResponseItem:
      // Of an answer. dcmnet would take it for a second identity, and leak the first.
      return "a user identity response in a request";
    default:  // unknown ones are to be ignored (PS3.7 D.3.3)
      return {};
  }
}

std::string parse_user_information(Bytes value, AssociateRequest& request) {
  std::bitset<256> seen;
  Items items(value);
  while (!items.at_end()) {
    const auto item = items.next();
    if (!item) return "the lengths in the user information item do not add up";
    std::string mistake = parse_user_item(*item, request, seen);
    if (!mistake.empty()) return mistake;
  }
  return {};
}

// What of the items behind the fixed part has been seen.
struct Seen {
  std::bitset<256> context_ids;
  bool user_information = false;
  bool application_context = false;
};

std::string take_context(Bytes value, AssociateRequest& request, Seen& seen) {
  if (request.contexts.size() == kMaxContexts) return "more than 128 presentation contexts";
  auto context = parse_context(value);
  if (!context) return context.error().message;
  if (seen.context_ids.test(context->id)) return context_name(context->id) + " comes twice";
  seen.context_ids.set(context->id);
  request.contexts.push_back(std::move(*context));
  return {};
}

// The text of the mistake; "" when there is none.
std::string take_item(const Item& item, AssociateRequest& request, Seen& seen) {
  switch (item.type) {
    case kApplicationContextItem:
      if (std::exchange(seen.application_context, true)) return "two application context items";
      if (item.value.size() > kMaxUidField) return "the application context name is too long";
      if (uid_of(item.value) != kApplicationContextName && !request.unsupported) {
        request.unsupported = kApplicationContextNotSupported;
      }
      return {};
    case kPresentationContextItem:
      return take_context(item.value, request, seen);
    case kPresentationContextResultItem:
      // Of an answer. dcmnet would take it for a context without an abstract syntax.
      return "a presentation context result in a request";
    case kUserInformationItem:
      if (std::exchange(seen.user_information, true)) return "two user information items";
      return parse_user_information(item.value, request);
    default:  // unknown ones are to be ignored (PS3.8 9.3.1)
      return {};
  }
}

std::string parse_items(Bytes bytes, AssociateRequest& request) {
  Seen seen;
  Items items(bytes);
  while (!items.at_end()) {
    const auto item = items.next();
    if (!item) return "the item lengths do not add up";
    std::string mistake = take_item(*item, request, seen);
    if (!mistake.empty()) return mistake;
  }
  if (!seen.application_context) return "no application context item";
  if (request.contexts.empty()) return "no presentation context";
  if (!seen.user_information) return "no user information item";
  return {};
}

}  // namespace

Result<AssociateRequest> parse_associate_request(Bytes pdu) {
  if (pdu.size() < kPduHeaderLength + kFixedLength) return bad("shorter than its fixed fields");
  if (pdu.size() > kMaxAssociatePdu) return bad("longer than 256 KiB");
  if (pdu[0] != std::byte{static_cast<std::uint8_t>(PduType::associate_request)}) {
    return bad("another PDU type");
  }
  if (pdu_length(pdu) != pdu.size()) return bad("the PDU length is not that of its bytes");
  const Bytes body = pdu.subspan(kPduHeaderLength);
  AssociateRequest request;
  request.called_ae_title = ae_title_of(body.subspan(4, 16));
  request.calling_ae_title = ae_title_of(body.subspan(20, 16));
  // Only bit 0, version 1, is tested (PS3.8 Table 9-11).
  if ((short_at(body, 0) & 1U) == 0) request.unsupported = kProtocolVersionNotSupported;
  const std::string mistake = parse_items(body.subspan(kFixedLength), request);
  if (!mistake.empty()) return bad(mistake);
  return request;
}

void blank_user_identity(std::span<std::byte> pdu) {
  Items items(pdu.subspan(kPduHeaderLength + kFixedLength));
  while (!items.at_end()) {
    const auto item = items.next();
    if (!item) return;
    if (item->type != kUserInformationItem) continue;
    Items user_items(item->value);
    while (!user_items.at_end()) {
      const auto user_item = user_items.next();
      if (!user_item) return;
      if (user_item->type != kUserIdentityItem) continue;
      const auto place = static_cast<std::size_t>(user_item->value.data() - pdu.data());
      pdu[place - 4] = std::byte{kUnassignedItem};
      std::ranges::fill(pdu.subspan(place, user_item->value.size()), std::byte{0});
    }
  }
}

}  // namespace sluice::net
