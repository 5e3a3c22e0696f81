// What is wrong before there is an association (PS3.8 9.3.2).
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/attack.h"

namespace sluice::test {

// A request with one of its parts changed.
template <typename Change>
Attack broken_request(const std::string& name, Change change) {
  RequestParts parts;
  change(parts);
  return {name, bytes(parts.bytes()), aborted(2, 6), false};
}

inline std::vector<Attack> attacks_by_contexts() {
  const auto contexts = [](const std::string& name, const std::string& items) {
    return broken_request(name, [&](RequestParts& parts) { parts.contexts = items; });
  };
  const std::string good = context_item(1, kVerification, {kImplicit});
  std::string many;
  std::string very_many;
  for (int i = 0; i < 129; ++i) many += context_item((2 * i + 1) & 0xFF, kCtStorage, {kImplicit});
  for (int i = 0; i < 5'000; ++i) very_many += context_item(1, kCtStorage, {kImplicit});
  return {
      contexts("MoreThan128Contexts", many),
      // dcmnet leaks 27 MB on a megabyte of them.
      {"ContextsOfMoreThan256KiB", bytes(pdu(1, RequestParts{.contexts = very_many}.body())),
       aborted(2, 6), false},
      contexts("EvenContextId", context_item(2, kCtStorage, {kImplicit})),
      contexts("ContextIdZero", context_item(0, kCtStorage, {kImplicit})),
      contexts("RepeatedContextId", good + context_item(1, kCtStorage, {kImplicit})),
      contexts("NoTransferSyntax", context_item(1, kCtStorage, {})),
      contexts("EmptyTransferSyntax", context_item(1, kCtStorage, {""})),
      contexts("NoAbstractSyntax", context_item(1, "", {kImplicit})),
      contexts("TwoAbstractSyntaxes",
               item(0x20, std::string{1, 0, 0, 0} + item(0x30, kCtStorage) +
                              item(0x30, kMrStorage) + item(0x40, kImplicit))),
      contexts("TooLongUid", context_item(1, std::string(65, '1'), {kImplicit})),
      contexts("UidWithNul", context_item(1,
                                          std::string("1.2\0"
                                                      "3",
                                                      5),
                                          {kImplicit})),
      contexts("ContextItemTooShort", item(0x20, "\1")),
      contexts("ContextResultInARequest", good + item(0x21, std::string{3, 0, 0, 0})),
      contexts("NoContext", ""),
      contexts("ItemLongerThanTheRequest", good + std::string("\x20\0\xFF\xFF\1\0\0\0", 8)),
      contexts("OverlappingItems",
               item(0x20, std::string{1, 0, 0, 0} + std::string("\x30\0\0\xFF", 4) + kCtStorage)),
  };
}

inline std::vector<Attack> attacks_by_user_items() {
  const auto user = [](const std::string& name, const std::string& items) {
    return broken_request(name, [&](RequestParts& parts) { parts.user = items; });
  };
  const std::string identity = item(0x58, std::string{1, 0, 0, 4} + "user" + big16(0));
  return {
      user("NoUserInformation", ""),
      user("TwoUserInformationItems", user_information() + user_information()),
      user("TwoUserIdentities", user_information(identity + identity)),
      user("UserIdentityLongerThanItsItem",
           user_information(item(0x58, std::string{1, 0} + big16(0xFFFF) + "user"))),
      user("UserIdentityResponse", user_information(item(0x59, big16(0)))),
      user("TwoMaximumLengths", user_information(item(0x51, big32(16384)))),
      user("MaximumLengthOfOne", user_information("", 1)),
      user("MaximumLengthOfTwoBytes", item(0x50, item(0x51, big16(9)) + item(0x52, "1.2"))),
      user("RoleSelectionThatDoesNotAddUp", user_information(item(0x54, big16(200) + "1.2"))),
      user("UserItemLongerThanAll", item(0x50, std::string("\x51\0\xFF\xFF", 4) + big32(16384))),
  };
}

inline std::vector<Attack> attacks_on_requests() {
  std::vector<Attack> attacks = {
      {"RequestLongerThan256KiB", bytes(std::string("\1\0\0\4\0\1", 6)), aborted(2, 6), false},
      {"RequestOf4Gigabytes", bytes(std::string("\1\0\xFF\xFF\xFF\xFF", 6)), aborted(2, 6), false},
      {"RequestShorterThanItsFixedFields", bytes(pdu(1, big16(1))), aborted(2, 6), false},
      {"EmptyRequest", bytes(pdu(1, "")), aborted(2, 6), false},
      broken_request("NoApplicationContext",
                     [](RequestParts& parts) { parts.application_context = ""; }),
      broken_request("TwoApplicationContexts",
                     [](RequestParts& parts) { parts.more = parts.application_context; }),
      broken_request("GarbageBehindTheItems", [](RequestParts& parts) { parts.more = "xyz"; }),
      {"HttpInstead", bytes("GET / HTTP/1.1\r\n\r\n"), aborted(2, 2), false},
      {"TlsInstead", bytes(std::string("\x16\3\1\2\0\1\0\1\xFC\3\3", 11)), aborted(2, 2), false},
      {"DataInstead", bytes(store_command(implicit_ct)), aborted(2, 2), false},
      {"ReleaseInstead", bytes(release_request()), aborted(2, 2), false},
      {"AcceptInstead", bytes(associate_accept({{1, kImplicit}})), aborted(2, 2), false},
      {"OtherProtocolVersion", bytes(RequestParts{.version = 2}.bytes()), rejected(1, 2, 2), false},
      {"OtherApplicationContext",
       bytes(RequestParts{.application_context = item(0x10, "1.2.3")}.bytes()), rejected(1, 1, 2),
       false},
      {"BlankCalledAeTitle", bytes(RequestParts{.called = ""}.bytes()), rejected(1, 1, 7), false},
      {"BlankCallingAeTitle", bytes(RequestParts{.calling = ""}.bytes()), rejected(1, 1, 3), false},
      {"Silence", [](const RawPeer&) {}, aborted(0, 0), false, kRequestTimeout},
      {"HalfARequest", bytes(RequestParts().bytes().substr(0, 100)), aborted(0, 0), false,
       kRequestTimeout},
      {"ARequestThatDribbles", dribbled("", RequestParts().bytes()), aborted(0, 0), false,
       kRequestTimeout},
  };
  for (auto* more : {&attacks_by_contexts, &attacks_by_user_items}) {
    std::vector<Attack> made = more();
    std::move(made.begin(), made.end(), std::back_inserter(attacks));
  }
  return attacks;
}

}  // namespace sluice::test
