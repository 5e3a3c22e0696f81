// The keys of a listener that say who may connect.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/config/config.h"

namespace sluice::config {
namespace {

using testing::HasSubstr;

constexpr const char* kGatewayAndRoute =
    "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:11113\"\n"
    "[[route]]\ndestinations = [\"pacs\"]\n";

// A listener with these lines, from the third of the file.
Config parsed(const std::string& lines, Mistakes& mistakes) {
  return parse("[[listener]]\nport = 104\n" + lines + "\n" + kGatewayAndRoute, mistakes);
}
std::string mistakes_with(const std::string& lines) {
  Mistakes mistakes("f");
  (void)parsed(lines, mistakes);
  return mistakes.text();
}

TEST(AccessTable, ReadsNetworksAndPeers) {
  Mistakes mistakes("f");
  const Config config = parsed(
      "allow = [\"10.0.0.0/8\", \"fd00::/8\"]\nuser_identity = \"pass\"\n"
      "[[listener.peer]]\ncalling_ae_title = \"CT*\"\nallow = \"10.1.0.0/16\"\n"
      "[[listener.peer]]\ncalling_ae_title = \"MR\"\nallow = [\"10.2.0.7/32\", \"fd00::7/128\"]\n",
      mistakes);
  EXPECT_EQ(mistakes.text(), "");
  const Listener& listener = config.listeners.at(0);
  EXPECT_EQ(listener.allow.size(), 2U);
  EXPECT_TRUE(is_in_any(listener.allow, "10.9.9.9"));
  EXPECT_EQ(listener.user_identity, UserIdentity::pass);
  ASSERT_EQ(listener.peers.size(), 2U);
  EXPECT_EQ(listener.peers[0].calling_ae_title, "CT*");
  EXPECT_TRUE(is_in_any(listener.peers[0].allow, "10.1.2.3"));
  EXPECT_EQ(listener.peers[1].allow.size(), 2U);
}

TEST(AccessTable, TellsEachMistakeWithItsLine) {
  EXPECT_THAT(mistakes_with("allow = [\"10.0.0.1/8\"]"),
              HasSubstr("f:3: allow: '10.0.0.1/8' has bits set behind its prefix; write "
                        "\"10.0.0.0/8\""));
  EXPECT_THAT(mistakes_with("allow = [\"here\"]"), HasSubstr("f:3: allow: 'here' is no network"));
  EXPECT_THAT(mistakes_with("allow = [\"10.0.0.0/8\", \"10.0.0.0/8\"]"),
              HasSubstr("f:3: allow: '10.0.0.0/8' is named twice"));
  EXPECT_THAT(mistakes_with("allow = 7"), HasSubstr("f:3: allow must be a string or an array"));
  EXPECT_THAT(mistakes_with("user_identity = \"passs\""), HasSubstr("did you mean 'pass'"));
  EXPECT_THAT(mistakes_with("[[listener.peer]]\nallow = \"10.0.0.0/8\""),
              HasSubstr("f:3: calling_ae_title is missing"));
  EXPECT_THAT(mistakes_with("[[listener.peer]]\ncalling_ae_title = \"CT\""),
              HasSubstr("f:3: allow names no network"));
  EXPECT_THAT(mistakes_with("[[listener.peer]]\ncalling_ae_title = \"CT\"\nallow = []"),
              HasSubstr("f:5: allow names no network"));
  EXPECT_THAT(
      mistakes_with("[[listener.peer]]\ncalling_ae_title = \"A\\\\B\"\nallow = \"10.0.0.0/8\""),
      HasSubstr("f:4: AE title"));
  EXPECT_THAT(mistakes_with("[[listener.peer]]\ncalling_ae_title = \"CT\"\nallow = "
                            "\"10.0.0.0/8\"\nadress = 1"),
              HasSubstr("f:6: unknown key 'adress'"));
  EXPECT_THAT(mistakes_with("[listener.peer]\ncalling_ae_title = \"CT\""),
              HasSubstr("f:3: peer must be an array of tables, not a table"));
}

TEST(AccessTable, TellsWhatCouldNeverConnect) {
  EXPECT_THAT(mistakes_with("allow = [\"10.0.0.0/8\"]\n[[listener.peer]]\ncalling_ae_title = "
                            "\"CT\"\nallow = [\"10.1.0.0/16\", \"192.168.0.0/16\"]"),
              HasSubstr("f:6: allow: '192.168.0.0/16' lies outside of the listener's own allow"));
  EXPECT_THAT(mistakes_with("address = \"0.0.0.0\"\nallow = \"fd00::/8\""),
              HasSubstr("f:4: allow: no client is ever in 'fd00::/8': the listener takes IPv4 "
                        "only"));
  EXPECT_THAT(mistakes_with("address = \"::1\"\nallow = \"10.0.0.0/8\""),
              HasSubstr("the listener takes IPv6 only"));
  EXPECT_EQ(mistakes_with("address = \"::\"\nallow = [\"10.0.0.0/8\", \"fd00::/8\"]"), "");
}

}  // namespace
}  // namespace sluice::config
