// Who may connect to a server, and what becomes of the user that an association names.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/receive/running.h"

namespace sluice {
namespace {

using namespace sluice::test;
using testing::HasSubstr;
using testing::Not;

std::vector<config::Network> networks(const std::vector<std::string>& texts) {
  std::vector<config::Network> all;
  all.reserve(texts.size());
  for (const std::string& text : texts) all.push_back(*config::parse_network(text));
  return all;
}

// What an association request with these parts is answered by.
std::string answer(const Running& running, const RequestParts& parts,
                   const char* from = "127.0.0.1") {
  const RawPeer peer = RawPeer::connect(running.port, from);
  peer.send(parts.bytes());
  return peer.receive_pdu();
}
bool is_accepted(const std::string& answer) {
  return answer.substr(0, 1) == "\2";
}
std::string answer(const Running& running, const std::string& calling, const char* from) {
  RequestParts parts;
  parts.calling = calling;
  return answer(running, parts, from);
}

TEST(Access, TakesOnlyTheListenersAddresses) {
  const Running running(
      [](config::Config& config) { config.listeners[0].allow = networks({"127.0.0.2/31"}); });
  EXPECT_TRUE(is_accepted(answer(running, "CT1", "127.0.0.2")));
  EXPECT_TRUE(is_accepted(answer(running, "CT1", "127.0.0.3")));
  EXPECT_EQ(answer(running, "CT1", "127.0.0.1"), "");
  EXPECT_EQ(answer(running, "CT1", "127.0.0.4"), "");
}

TEST(Access, RejectsAnAeTitleFromAnAddressNotItsOwn) {
  const Running running([](config::Config& config) {
    config.listeners[0].peers = {{"CT*", networks({"127.0.1.0/24"})},
                                 {"CT9", networks({"127.0.2.9/32"})},
                                 {"MR", networks({"127.0.2.0/24"})}};
  });
  EXPECT_TRUE(is_accepted(answer(running, "CT1", "127.0.1.200")));
  EXPECT_EQ(answer(running, "CT1", "127.0.2.9"), reject_pdu(1, 1, 3));
  EXPECT_EQ(answer(running, "MR", "127.0.1.200"), reject_pdu(1, 1, 3));
  EXPECT_TRUE(is_accepted(answer(running, "CT9", "127.0.2.9"))) << "either of two entries";
  EXPECT_TRUE(is_accepted(answer(running, "CT9", "127.0.1.1"))) << "either of two entries";
  EXPECT_TRUE(is_accepted(answer(running, "US", "127.0.0.1"))) << "named by no entry";
}

RequestParts with_identity(int type, const std::string& name, const std::string& secret = "") {
  RequestParts parts;
  parts.user =
      user_information(item(0x58, std::string{static_cast<char>(type), 1} + big16(name.size()) +
                                      name + big16(secret.size()) + secret));
  return parts;
}

const std::function<void(config::Config&)> kPass = [](config::Config& config) {
  config.listeners[0].user_identity = config::UserIdentity::pass;
};

// The user name that goes with an instance which such an association sends.
std::string passed_name(const Running& running, const RequestParts& parts) {
  const RawPeer peer = running.associate(parts);
  peer.send(store_pdus(data_set()));
  EXPECT_EQ(response(peer).number(net::command::kStatus), 0);
  return running.gateway.queue.added().back().instance.user_name;
}

// PS3.7 D.3.3.7: who does not authenticate users accepts without a positive response.
TEST(Access, AcceptsAUserIdentityWithoutAPositiveResponse) {
  for (const auto& change : {std::function<void(config::Config&)>(), kPass}) {
    const Running running(change);
    for (int type = 1; type <= 5; ++type) {
      const std::string accepted =
          answer(running, with_identity(type, "ann", type == 2 ? "secret" : ""));
      ASSERT_TRUE(is_accepted(accepted)) << type;
      EXPECT_THAT(accepted, Not(HasSubstr(std::string("\x59\0", 2)))) << type;
    }
  }
}

TEST(Access, IgnoresAUserIdentityByDefault) {
  const Running running;
  EXPECT_EQ(passed_name(running, with_identity(1, "ann")), "");
}

TEST(Access, RefusesAUserIdentityWhereToldSo) {
  const Running running([](config::Config& config) {
    config.listeners[0].user_identity = config::UserIdentity::refuse;
  });
  EXPECT_EQ(answer(running, with_identity(1, "ann")), reject_pdu(1, 1, 1));
  EXPECT_EQ(answer(running, with_identity(4, "<assertion/>")), reject_pdu(1, 1, 1));
  EXPECT_TRUE(is_accepted(answer(running, RequestParts())));
}

TEST(Access, PassesTheNameAndNothingThatProvesIt) {
  const Running running(kPass);
  EXPECT_EQ(passed_name(running, with_identity(1, "ann")), "ann");
  EXPECT_EQ(passed_name(running, with_identity(2, "b\xC3\xB6rge", "secret")), "b\xC3\xB6rge");
  for (int type = 3; type <= 5; ++type) {
    EXPECT_EQ(passed_name(running, with_identity(type, "ticket")), "") << type;
  }
  EXPECT_EQ(passed_name(running, RequestParts()), "");
}

TEST(Access, RejectsANameThatCannotBePassedWhole) {
  const Running running(kPass);
  EXPECT_TRUE(is_accepted(answer(running, with_identity(1, std::string(256, 'x')))));
  for (const std::string& name :
       {std::string(257, 'x'), std::string("ann\0x", 5), std::string("ann\r\n"),
        std::string("\x1B[2J"), std::string("\x7F")}) {
    EXPECT_EQ(answer(running, with_identity(1, name)), reject_pdu(1, 1, 1)) << name;
  }
}

TEST(Access, LogsNeitherNameNorSecret) {
  testing::internal::CaptureStderr();
  log::configure(log::Level::debug, log::Format::human);
  {
    const Running running(kPass);
    EXPECT_EQ(passed_name(running, with_identity(2, "top-name", "top-secret")), "top-name");
    EXPECT_EQ(answer(running, with_identity(2, "top-name\n", "top-secret")), reject_pdu(1, 1, 1));
  }
  log::configure(log::Level::info, log::Format::human);
  const std::string logged = testing::internal::GetCapturedStderr();
  EXPECT_THAT(logged, HasSubstr("association accepted"));
  EXPECT_THAT(logged, HasSubstr("user name cannot be passed on"));
  EXPECT_THAT(logged, Not(HasSubstr("top-")));
}

}  // namespace
}  // namespace sluice
