#include "gateway/net/associate_request.h"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;

Result<AssociateRequest> parsed_request(const std::string& bytes) {
  return parse_associate_request(std::as_bytes(std::span(bytes)));
}

TEST(AssociateRequest, GivesTitlesContextsAndMaximumLength) {
  RequestParts parts;
  parts.called = "  SLUICE";
  parts.calling = std::string("CT01\0\0", 6);
  parts.user = user_information(item(0x55, "VERSION_1"), 65536);
  const auto request = parsed_request(parts.bytes());
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->called_ae_title, "SLUICE");
  EXPECT_EQ(request->calling_ae_title, "CT01");
  EXPECT_EQ(request->max_pdu, 65536U);
  EXPECT_EQ(request->implementation_class_uid, "1.2.3.4");
  EXPECT_EQ(request->implementation_version_name, "VERSION_1");
  EXPECT_FALSE(request->unsupported);
  ASSERT_EQ(request->contexts.size(), 3U);
  EXPECT_EQ(request->contexts[2].id, 5);
  EXPECT_EQ(request->contexts[2].abstract_syntax, kMrStorage);
  EXPECT_EQ(request->contexts[2].transfer_syntaxes,
            (std::vector<std::string>{kExplicit, kImplicit}));
}

TEST(AssociateRequest, TakesEveryLegalUserItem) {
  const std::string role = item(0x54, big16(kCtStorage.size()) + kCtStorage + '\1' + '\0');
  const std::string extended = item(0x56, big16(kCtStorage.size()) + kCtStorage + "\1\2\3");
  const std::string identity = item(0x58, std::string{2, 1} + big16(3) + "bob" + big16(4) + "word");
  RequestParts parts;
  parts.user = user_information(item(0x53, big16(1) + big16(1)) + role + role + extended +
                                identity + item(0x7F, "unknown"));
  parts.more = item(0x6E, "unknown");
  const auto request = parsed_request(parts.bytes());
  EXPECT_TRUE(request) << request.error().message;
}

// What the parser makes of a user identity of this type.
std::optional<UserIdentity> identity_of(int type, const std::string& first,
                                        const std::string& second = "") {
  RequestParts parts;
  parts.user =
      user_information(item(0x58, std::string{static_cast<char>(type), 1} + big16(first.size()) +
                                      first + big16(second.size()) + second));
  const auto request = parsed_request(parts.bytes());
  if (!request) throw std::runtime_error(request.error().message);
  return request->user_identity;
}

TEST(AssociateRequest, KeepsAUsersNameAndNothingThatProvesIt) {
  EXPECT_EQ(identity_of(1, "j\xC3\xBCrgen")->user_name, "j\xC3\xBCrgen");
  const auto with_passcode = identity_of(2, "bob", "passcode");
  EXPECT_EQ(with_passcode->type, 2);
  EXPECT_EQ(with_passcode->user_name, "bob");
  EXPECT_EQ(identity_of(2, "", "passcode")->user_name, "");
  for (const int type : {0, 3, 4, 5, 6, 255}) {
    const auto identity = identity_of(type, "a ticket", "");
    EXPECT_EQ(identity->type, type);
    EXPECT_EQ(identity->user_name, "");
  }
  EXPECT_FALSE(parsed_request(RequestParts().bytes())->user_identity);
}

TEST(AssociateRequest, IsLeftWithoutItsUserIdentityAndOtherwiseAsItWas) {
  RequestParts parts;
  const std::string identity =
      item(0x58, std::string{2, 1} + big16(3) + "bob" + big16(6) + "secret");
  parts.user = user_information(identity + item(0x55, "VERSION_1"));
  parts.more = item(0x6E, "unknown");
  const std::string before = parts.bytes();
  std::string bytes = before;
  blank_user_identity(std::as_writable_bytes(std::span(bytes)));
  const std::size_t place = before.find(identity);
  EXPECT_EQ(bytes.substr(0, place), before.substr(0, place));
  EXPECT_EQ(bytes.substr(place, identity.size()),
            item(0x7F, std::string(identity.size() - 4, '\0')));
  EXPECT_EQ(bytes.substr(place + identity.size()), before.substr(place + identity.size()));
  EXPECT_FALSE(parsed_request(bytes)->user_identity);
}

TEST(AssociateRequest, Takes128Contexts) {
  RequestParts parts;
  parts.contexts.clear();
  for (int id = 1; id < 256; id += 2) parts.contexts += context_item(id, kCtStorage, {kImplicit});
  const auto request = parsed_request(parts.bytes());
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->contexts.size(), 128U);
}

TEST(AssociateRequest, TellsWhatItDoesNotSupport) {
  RequestParts parts;
  parts.version = 2;
  auto request = parsed_request(parts.bytes());
  ASSERT_TRUE(request && request->unsupported);
  EXPECT_EQ(encode(*request->unsupported), encode(Rejection{1, 2, 2}));
  parts = {};
  parts.version = 3;  // others than bit 0 are not tested
  request = parsed_request(parts.bytes());
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->unsupported);
  parts = {};
  parts.application_context = item(0x10, "1.2.3");
  request = parsed_request(parts.bytes());
  ASSERT_TRUE(request && request->unsupported);
  EXPECT_EQ(encode(*request->unsupported), encode(Rejection{1, 1, 2}));
}

struct Broken {
  const char* name;
  std::string message;  // part of it
  std::function<std::string()> bytes;
};

std::string with(const std::function<void(RequestParts&)>& change) {
  RequestParts parts;
  change(parts);
  return parts.bytes();
}

std::vector<Broken> broken_pdus() {
  return {
      {"Empty", "shorter", [] { return pdu(1, ""); }},
      {"OnlyFixedFields", "no application context",
       [] { return pdu(1, RequestParts().body().substr(0, 68)); }},
      {"OtherType", "another PDU type", [] { return pdu(2, RequestParts().body()); }},
      {"LengthTooSmall", "PDU length", [] { return RequestParts().bytes() + "x"; }},
      {"LengthTooLarge", "PDU length", [] { return RequestParts().bytes().substr(0, 200); }},
      {"Above256KiB", "256 KiB",
       [] {
         return with([](auto& parts) {
           for (int i = 0; i < 5; ++i) parts.more += item(0x6E, std::string(60'000, 'x'));
         });
       }},
      {"NoContexts", "no presentation context",
       [] { return with([](auto& p) { p.contexts = ""; }); }},
      {"TooManyContexts", "more than 128",
       [] {
         return with([](auto& p) {
           p.contexts.clear();
           for (int i = 0; i < 129; ++i)
             p.contexts += context_item(1 + 2 * (i % 128), "1.2", {"1.2"});
         });
       }},
      {"EvenId", "even id",
       [] { return with([](auto& p) { p.contexts = context_item(2, kCtStorage, {kImplicit}); }); }},
      {"IdZero", "even id",
       [] { return with([](auto& p) { p.contexts = context_item(0, kCtStorage, {kImplicit}); }); }},
      {"RepeatedId", "comes twice",
       [] {
         return with([](auto& p) { p.contexts += context_item(3, kCtStorage, {kImplicit}); });
       }},
      {"NoAbstractSyntax", "no abstract syntax",
       [] { return with([](auto& p) { p.contexts = context_item(1, "", {kImplicit}); }); }},
      {"TwoAbstractSyntaxes", "two abstract syntaxes",
       [] {
         return with([](auto& p) {
           p.contexts = item(0x20, std::string{1, 0, 0, 0} + item(0x30, "1.2") + item(0x30, "1.3") +
                                       item(0x40, kImplicit));
         });
       }},
  };
}

std::vector<Broken> broken_contexts() {
  return {
      {"NoTransferSyntax", "no transfer syntax",
       [] { return with([](auto& p) { p.contexts += context_item(7, kCtStorage, {}); }); }},
      {"TooManyTransferSyntaxes", "too many",
       [] {
         return with([](auto& p) {
           p.contexts = context_item(1, kCtStorage, std::vector<std::string>(256, "1.2"));
         });
       }},
      {"EmptyUid", "UID",
       [] { return with([](auto& p) { p.contexts = context_item(1, kCtStorage, {""}); }); }},
      {"LongUid", "UID",
       [] {
         return with(
             [](auto& p) { p.contexts = context_item(1, std::string(65, '1'), {kImplicit}); });
       }},
      {"NulInsideUid", "UID",
       [] {
         return with(
             [](auto& p) { p.contexts = context_item(1, std::string("1.2\0.3", 6), {kImplicit}); });
       }},
      {"ShortContext", "too short",
       [] { return with([](auto& p) { p.contexts = item(0x20, "\1"); }); }},
      {"ContextLengths", "do not add up",
       [] {
         return with([](auto& p) {
           p.contexts = item(0x20, std::string{1, 0, 0, 0} + "\x30" + '\0' + big16(99) + "1.2");
         });
       }},
      {"ItemLengths", "do not add up",
       [] { return with([](auto& p) { p.more = std::string("\x6E\0\xFF\xFFxx", 6); }); }},
      {"HalfItem", "do not add up", [] { return with([](auto& p) { p.more = "\x6E"; }); }},
  };
}

std::vector<Broken> broken_items() {
  return {
      {"ContextResult", "presentation context result",
       [] { return with([](auto& p) {
              p.more = item(0x21, std::string{9, 0, 1, 0});
            }); }},
      {"TwoApplicationContexts", "two application context",
       [] { return with([](auto& p) { p.more = p.application_context; }); }},
      {"NoApplicationContext", "no application context",
       [] { return with([](auto& p) { p.application_context = ""; }); }},
      {"NoUserInformation", "no user information",
       [] { return with([](auto& p) { p.user = ""; }); }},
      {"TwoUserInformation", "two user information",
       [] { return with([](auto& p) { p.more = p.user; }); }},
      {"UserInformationLengths", "do not add up",
       [] {
         return with(
             [](auto& p) { p.user = item(0x50, "\x51" + std::string(1, '\0') + big16(9)); });
       }},
      {"MaximumLengthOf5Bytes", "maximum length",
       [] { return with([](auto& p) { p.user = item(0x50, item(0x51, "12345")); }); }},
      {"MaximumLengthTooSmall", "holds no message",
       [] { return with([](auto& p) { p.user = user_information("", 13); }); }},
      {"TwoMaximumLengths", "two maximum",
       [] { return with([](auto& p) { p.user = user_information(item(0x51, big32(1000))); }); }},
  };
}

std::vector<Broken> broken_user_information() {
  const std::string identity = item(0x58, std::string{1, 0} + big16(3) + "bob" + big16(0));
  return {
      {"TwoImplementationUids", "two implementation",
       [] { return with([](auto& p) { p.user = user_information(item(0x52, "1.2")); }); }},
      {"RoleLengths", "role selection",
       [] {
         return with([](auto& p) { p.user = user_information(item(0x54, big16(50) + "1.2")); });
       }},
      {"ExtendedLengths", "extended negotiation",
       [] {
         return with([](auto& p) { p.user = user_information(item(0x56, big16(50) + "1.2")); });
       }},
      {"TwoUserIdentities", "two user identity",
       [identity] {
         return with([&](auto& p) { p.user = user_information(identity + identity); });
       }},
      {"UserIdentityLengths", "user identity",
       [] {
         return with([](auto& p) {
           p.user = user_information(item(0x58, std::string{1, 0} + big16(900) + "bob" + big16(0)));
         });
       }},
      {"UserIdentityBeyondItsSecondField", "user identity",
       [] {
         return with([](auto& p) {
           p.user = user_information(
               item(0x58, std::string{2, 0} + big16(3) + "bob" + big16(4) + "wordx"));
         });
       }},
      {"UserIdentityWithASecondaryField", "secondary field",
       [] {
         return with([](auto& p) {
           p.user = user_information(
               item(0x58, std::string{1, 0} + big16(3) + "bob" + big16(4) + "item"));
         });
       }},
      {"UserIdentityWithoutASecondField", "user identity",
       [] {
         return with([](auto& p) {
           p.user = user_information(item(0x58, std::string{1, 0} + big16(4) + "bobs"));
         });
       }},
      {"ShortUserIdentity", "user identity",
       [] { return with([](auto& p) { p.user = user_information(item(0x58, "\1")); }); }},
      {"UserIdentityResponse", "user identity response",
       [] { return with([](auto& p) { p.user = user_information(item(0x59, big16(0))); }); }},
  };
}

class BrokenAssociateRequest : public testing::TestWithParam<Broken> {};

TEST_P(BrokenAssociateRequest, IsRefusedWithItsReason) {
  const auto request = parsed_request(GetParam().bytes());
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, ErrorCode::permanent);
  EXPECT_NE(request.error().message.find(GetParam().message), std::string::npos)
      << request.error().message;
}

INSTANTIATE_TEST_SUITE_P(Pdus, BrokenAssociateRequest, testing::ValuesIn(broken_pdus()),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Contexts, BrokenAssociateRequest, testing::ValuesIn(broken_contexts()),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Items, BrokenAssociateRequest, testing::ValuesIn(broken_items()),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(UserInformation, BrokenAssociateRequest,
                         testing::ValuesIn(broken_user_information()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(AssociateRequest, SurvivesEveryTruncationAndEveryChangedByte) {
  const std::string bytes = RequestParts().bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(parsed_request(bytes.substr(0, length)));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7F, 0xFF}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(value);
      static_cast<void>(parsed_request(changed));  // the sanitizers are the judges
    }
  }
}

}  // namespace
}  // namespace sluice::net
