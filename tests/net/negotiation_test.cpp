#include "gateway/net/negotiation.h"

#include <gtest/gtest.h>

#include "tests/support/raw_peer.h"

namespace sluice::net {
namespace {

using namespace sluice::test;

const std::string kJpeg2000 = "1.2.840.10008.1.2.4.91";

NegotiatedContext answer(const std::string& abstract_syntax,
                         const std::vector<std::string>& proposed,
                         const std::vector<std::string>& configured = {}) {
  return negotiate({{1, abstract_syntax, proposed}}, configured).at(0);
}

TEST(Negotiation, TakesTheFirstProposedTransferSyntax) {
  EXPECT_EQ(answer(kCtStorage, {kJpeg2000, kImplicit}).transfer_syntax, kJpeg2000);
  EXPECT_EQ(answer(kCtStorage, {"1.2.3.4.5"}).transfer_syntax, "1.2.3.4.5");
}

TEST(Negotiation, TakesTheFirstThatIsConfigured) {
  const std::vector<std::string> configured = {kImplicit, kExplicit};
  EXPECT_EQ(answer(kCtStorage, {kJpeg2000, kExplicit, kImplicit}, configured).transfer_syntax,
            kExplicit);
  EXPECT_EQ(answer(kCtStorage, {kJpeg2000}, configured).result,
            ContextResult::transfer_syntaxes_not_supported);
}

// So that the sender sends in another one, instead of being refused with each instance.
TEST(Negotiation, PassesOverWhatCannotBeRead) {
  const std::string ge_private = "1.2.840.113619.5.2";
  const std::string jpip_deflate = "1.2.840.10008.1.2.4.95";
  EXPECT_EQ(answer(kCtStorage, {ge_private, kImplicit}).transfer_syntax, kImplicit);
  EXPECT_EQ(answer(kCtStorage, {ge_private, jpip_deflate, kJpeg2000}).transfer_syntax, kJpeg2000);
  for (const std::vector<std::string>& configured : {std::vector<std::string>{}, {ge_private}}) {
    EXPECT_EQ(answer(kCtStorage, {ge_private}, configured).result,
              ContextResult::transfer_syntaxes_not_supported);
  }
}

TEST(Negotiation, TakesStorageOfEveryKind) {
  for (const char* uid : {"1.2.840.10008.5.1.4.1.1.2",       // CT
                          "1.2.840.10008.5.1.4.1.1.481.2",   // RT dose
                          "1.2.840.10008.5.1.4.1.1.88.11",   // basic text SR
                          "1.2.840.10008.5.1.4.38.1",        // hanging protocol
                          "1.2.840.10008.5.1.1.27",          // stored print, retired
                          "1.2.840.10008.5.1.4.1.1.99.999",  // of a newer standard
                          "1.3.12.2.1107.5.9.1"}) {          // private
    EXPECT_EQ(answer(uid, {kImplicit}).result, ContextResult::accepted) << uid;
  }
}

TEST(Negotiation, RefusesServicesThatAreNotStorage) {
  for (const char* uid : {"1.2.840.10008.5.1.4.1.2.1.1",  // query
                          "1.2.840.10008.5.1.4.1.2.2.2",  // move
                          "1.2.840.10008.5.1.4.31",       // work list
                          "1.2.840.10008.3.1.2.3.3",      // MPPS
                          "1.2.840.10008.1.20.1",         // storage commitment
                          "1.2.840.10008.5.1.1.9"}) {     // print
    EXPECT_EQ(answer(uid, {kImplicit}).result, ContextResult::abstract_syntax_not_supported) << uid;
  }
}

TEST(Negotiation, VerificationIsUncompressed) {
  EXPECT_EQ(answer(kVerification, {kJpeg2000, kExplicit}, {kJpeg2000}).transfer_syntax, kExplicit);
  EXPECT_EQ(answer(kVerification, {kJpeg2000}).result,
            ContextResult::transfer_syntaxes_not_supported);
}

}  // namespace
}  // namespace sluice::net
