// Who may connect, asked by DCMTK's own tools.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/deliver/scripted_pacs.h"
#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// `access` is more lines of the listener; what follows it goes to one PACS.
std::string access_routing(const std::string& access, const std::string& pacs,
                           const std::string& options = "") {
  return access + "\n[[destination]]\nname = \"pacs\"\naddress = \"" + pacs +
         "\"\nretry_min = \"50ms\"\n" + options + "\n[[route]]\ndestinations = [\"pacs\"]\n";
}

Finished echo(const GatewayProcess& gateway, const std::string& calling_ae_title) {
  return run_program({"echoscu", "-v", "-aet", calling_ae_title, "-aec", "SLUICE", "127.0.0.1",
                      std::to_string(gateway.port())});
}

TEST(Access, IsRefusedToAnAddressThatIsNotAllowed) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         access_routing("allow = [\"10.0.0.0/8\"]", "dicom://PACS@127.0.0.1:1"));
  gateway.start();
  EXPECT_NE(echo(gateway, "CT1").exit_code, 0);
  EXPECT_FALSE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  ASSERT_TRUE(gateway.wait_for_lines("connection refused", 2)) << gateway.log();
  const nlohmann::json line = gateway.lines("connection refused").at(0);
  EXPECT_EQ(line.at("peer_address"), "127.0.0.1");
  EXPECT_EQ(line.at("listener"), "modalities");
  EXPECT_EQ(line.at("reason"), "address not allowed");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Access, IsRefusedToAFloodInFewLines) {
  constexpr std::size_t kStrangers = 500;
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         access_routing("allow = [\"127.0.0.2/32\"]", "dicom://PACS@127.0.0.1:1"));
  gateway.start();
  for (std::size_t i = 0; i < kStrangers; ++i) {
    EXPECT_TRUE(RawPeer::connect(gateway.port()).is_closed());
  }
  const RawPeer known = RawPeer::connect(gateway.port(), "127.0.0.2");
  known.send(RequestParts().bytes());
  EXPECT_EQ(known.receive_pdu().substr(0, 1), "\2");
  EXPECT_LT(gateway.lines("connection refused").size(), 50U);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Access, IsForAnAeTitleFromItsOwnAddressOnly) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         access_routing("[[listener.peer]]\ncalling_ae_title = \"CT*\"\nallow = "
                                        "\"10.1.0.0/16\"\n[[listener.peer]]\ncalling_ae_title = "
                                        "\"MR1\"\nallow = \"127.0.0.0/8\"",
                                        "dicom://PACS@127.0.0.1:1"));
  gateway.start();
  const Finished spoofed = echo(gateway, "CT1");
  EXPECT_NE(spoofed.exit_code, 0);
  EXPECT_THAT(spoofed.out + spoofed.err, HasSubstr("Calling AE Title Not Recognized"));
  EXPECT_EQ(echo(gateway, "MR1").exit_code, 0);
  EXPECT_EQ(echo(gateway, "OTHER").exit_code, 0);
  ASSERT_TRUE(gateway.wait_for_lines("association rejected", 1)) << gateway.log();
  const nlohmann::json line = gateway.lines("association rejected").at(0);
  EXPECT_EQ(line.at("calling_ae_title"), "CT1");
  EXPECT_EQ(line.at("reason"), "calling AE title from an address not its own");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

std::vector<std::string> as_user(const std::string& name, const std::string& passcode) {
  return {"--user", name, "--password", passcode};
}

TEST(Access, TellsThePacsWhoTheUserIsAndNothingMore) {
  const TemporaryFolder folder;
  ScriptedPacs pacs;
  GatewayProcess gateway(folder.path("gateway"),
                         access_routing("user_identity = \"pass\"",
                                        "dicom://PACS@127.0.0.1:" + std::to_string(pacs.port()),
                                        "user_identity = true\n"),
                         "log_level = \"debug\"\nduplicate_window = \"0s\"\n");
  gateway.start();
  for (const char* name : {"ann-the-nurse", "bob-the-doctor"}) {
    ASSERT_TRUE(
        send_images(gateway.port(), {fixture("CT_small.dcm")}, as_user(name, "never-to-be-kept")));
  }
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 2}})) << gateway.log();
  std::string requests;
  for (const std::string& request : pacs.requests()) requests += request;
  for (const std::string name : {"ann-the-nurse", "bob-the-doctor"}) {
    EXPECT_THAT(requests, HasSubstr(std::string{1, 0} + big16(name.size()) + name + big16(0)));
    EXPECT_THAT(gateway.log(), Not(HasSubstr(name)));
  }
  EXPECT_THAT(requests, Not(HasSubstr("never-to-be-kept")));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  EXPECT_THAT(gateway.log(), Not(HasSubstr("never-to-be-kept")));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(gateway.data_dir())) {
    if (!entry.is_regular_file()) continue;
    EXPECT_THAT(read_file(entry.path()), Not(HasSubstr("never-to-be-kept"))) << entry.path();
  }
}

TEST(Access, IsRefusedToWhoNamesAUserWhereToldSo) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         access_routing("user_identity = \"refuse\"", "dicom://PACS@127.0.0.1:1"));
  gateway.start();
  EXPECT_FALSE(
      send_images(gateway.port(), {fixture("CT_small.dcm")}, as_user("ann", "never-to-be-kept")));
  EXPECT_TRUE(gateway.wait_for_lines("association rejected", 1)) << gateway.log();
  EXPECT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
