#include "gateway/config/network.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using testing::HasSubstr;

Network network(const std::string& text) {
  const auto parsed = parse_network(text);
  if (!parsed) throw std::runtime_error(parsed.error().message);
  return *parsed;
}

bool has(const std::string& text, const std::string& address) {
  return is_in_any({network(text)}, address);
}

std::string mistake(const std::string& text) {
  const auto parsed = parse_network(text);
  return parsed ? "" : parsed.error().message;
}

TEST(Network, HasTheAddressesUnderItsPrefix) {
  EXPECT_TRUE(has("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(has("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(has("10.1.2.3/32", "10.1.2.3"));
  EXPECT_FALSE(has("10.1.2.3/32", "10.1.2.2"));
  EXPECT_TRUE(has("0.0.0.0/0", "192.0.2.1"));
  EXPECT_TRUE(has("192.168.4.0/22", "192.168.7.255"));
  EXPECT_FALSE(has("192.168.4.0/22", "192.168.8.0"));
  EXPECT_TRUE(has("fd00::/8", "fdff::1"));
  EXPECT_FALSE(has("fd00::/8", "fe00::1"));
  EXPECT_TRUE(has("::1/128", "::1"));
  EXPECT_TRUE(has("::/0", "2001:db8::1"));
}

TEST(Network, TakesAMappedAddressForIpv4) {
  EXPECT_TRUE(has("10.0.0.0/8", "::ffff:10.1.1.1"));
  EXPECT_FALSE(has("::/0", "::ffff:10.1.1.1"));
  EXPECT_FALSE(has("::/0", "10.1.1.1"));
  EXPECT_FALSE(has("0.0.0.0/0", "::1"));
}

TEST(Network, LeavesTheScopeOfAnAddressAside) {
  EXPECT_TRUE(has("fe80::/10", "fe80::1%1"));
  EXPECT_TRUE(has("fe80::1/128", "fe80::1%1"));
}

TEST(Network, IsInNoneThatHasNone) {
  EXPECT_FALSE(is_in_any({}, "10.0.0.1"));
  EXPECT_FALSE(has("10.0.0.0/8", ""));
  EXPECT_FALSE(has("10.0.0.0/8", "a name"));
}

TEST(Network, TellsWhatToWriteInstead) {
  EXPECT_THAT(mistake("10.1.2.3/8"), HasSubstr(R"(behind its prefix; write "10.0.0.0/8")"));
  EXPECT_THAT(mistake("fd12::1/8"), HasSubstr(R"(write "fd00::/8")"));
  EXPECT_THAT(mistake("10.1.2.3"), HasSubstr(R"(write "10.1.2.3/32" for this address alone)"));
  EXPECT_THAT(mistake("::1"), HasSubstr(R"(write "::1/128")"));
  EXPECT_THAT(mistake("::ffff:10.1.0.0/112"), HasSubstr(R"(write "10.1.0.0/16")"));
  EXPECT_THAT(mistake("::ffff:10.1.2.3/112"), HasSubstr(R"(write "10.1.0.0/16")"));
  EXPECT_THAT(mistake("fe80::1%eth0/64"), HasSubstr("interface"));
}

TEST(Network, RefusesWhatIsNone) {
  for (const std::string text :
       {"", "/", "/8", "hospital", "hospital/8", "10.0.0/8", "010.0.0.0/8", "10.0.0.0.0/8",
        "10.0.0.0/255.0.0.0", "1:2/8", "10.0.0.0 /8", " 10.0.0.0/8"}) {
    EXPECT_THAT(mistake(text), HasSubstr(R"(write a network such as "10.0.0.0/8")")) << text;
  }
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/99999999999",
                           "fd00::/129", "fd00::/x", "10.0.0.0/8/8"}) {
    EXPECT_NE(mistake(text), "") << text;
  }
  EXPECT_NE(mistake(std::string("10.0.0.0/8\0", 11)), "");
  EXPECT_NE(mistake(std::string(10'000, '1')), "");
  EXPECT_THAT(mistake("\x1B[2J/8"), HasSubstr("\\x1b"));
}

TEST(Network, TellsWhetherTwoOverlap) {
  const auto overlap = [](const char* left, const char* right) {
    return do_networks_overlap(network(left), network(right));
  };
  EXPECT_TRUE(overlap("10.0.0.0/8", "10.1.0.0/16"));
  EXPECT_TRUE(overlap("10.1.0.0/16", "10.0.0.0/8"));
  EXPECT_FALSE(overlap("10.1.0.0/16", "10.2.0.0/16"));
  EXPECT_FALSE(overlap("::/0", "0.0.0.0/0"));
}

}  // namespace
}  // namespace sluice::config
