// A configuration that changes while the gateway runs.
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;

std::string pacs_at(const std::string& name, const std::string& address,
                    const std::string& more = "") {
  return "\n[[destination]]\nname = \"" + name + "\"\naddress = \"" + address +
         "\"\nretry_min = \"100ms\"\nretry_max = \"200ms\"\n" + more;
}

std::string route_to(const std::string& name, const std::string& filters = "") {
  return "\n[[route]]\nname = \"" + name + "-route\"\nfilters = [" + filters +
         "]\ndestinations = [\"" + name + "\"]\n";
}

std::size_t files_in(const std::string& folder) {
  if (!std::filesystem::exists(folder)) return 0;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) ++count;
  }
  return count;
}

// One C-STORE on an association that stays open; true when it was answered 0000.
bool store(RawPeer& peer, const std::string& uid, std::size_t message_id) {
  peer.send(data_pdu(pdv(3, true, true, store_request(kCtStorage, uid, message_id))) +
            data_pdu(pdv(3, false, true, small_data_set(kCtStorage, uid))));
  const std::string answer = peer.receive_pdu();
  const std::string status = std::string("\0\0\0\x09\2\0\0\0", 8);  // (0000,0900) US
  const auto at = answer.find(status);
  return at != std::string::npos && answer.substr(at + status.size(), 2) == std::string(2, '\0');
}

RawPeer associate(std::uint16_t port) {
  RawPeer peer = RawPeer::connect(port);
  peer.send(RequestParts().bytes());
  EXPECT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  return peer;
}

TEST(Reload, RunningAssociationsEndOnTheOldConfigurationAndNewOnesHaveTheNew) {
  const TemporaryFolder folder;
  const std::string old = pacs_at("old", "file://" + folder.path("old")) + route_to("old");
  GatewayProcess gateway(folder.path("gateway"), old);
  gateway.start();
  RawPeer running = associate(gateway.port());
  ASSERT_TRUE(store(running, "1.2.3.1", 1));
  gateway.configure(pacs_at("new", "file://" + folder.path("new")) + route_to("new") +
                    "final = true\n" + old);
  const Finished reloaded = gateway.run({"reload"});
  ASSERT_EQ(reloaded.exit_code, 0) << reloaded.err << gateway.log();
  ASSERT_TRUE(store(running, "1.2.3.2", 2));
  RawPeer fresh = associate(gateway.port());
  ASSERT_TRUE(store(fresh, "1.2.3.3", 1));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 3}})) << gateway.log();
  EXPECT_EQ(files_in(folder.path("old")), 2U);
  EXPECT_EQ(files_in(folder.path("new")), 1U);
  const auto routes = gateway.run({"queue", "list", "--all", "--json"}).json();
  std::multiset<std::string> names;
  for (const auto& each : routes.at("deliveries")) names.insert(each.at("route"));
  EXPECT_EQ(names, (std::multiset<std::string>{"new-route", "old-route", "old-route"}));
  // Nothing holds the old one for longer than it is used.
  EXPECT_TRUE(gateway.lines("earlier configurations are not used any more").empty());
  running = associate(gateway.port());
  EXPECT_TRUE(gateway.wait_for_lines("earlier configurations are not used any more", 1))
      << gateway.log();
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Reload, WaitingInstancesAreSentByTheNewConfiguration) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  GatewayProcess gateway(folder.path("gateway"),
                         pacs_at("pacs", pacs.address()) + route_to("pacs"));
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  gateway.configure(
      "[[filter]]\nname = \"mark\"\ntype = \"edit\"\n[[filter.rule]]\n"
      "attribute = \"InstitutionName\"\nset = \"NEW\"\n" +
      pacs_at("pacs", pacs.address()) + route_to("pacs", "\"mark\""));
  const Finished reloaded = gateway.run({"reload"});
  ASSERT_EQ(reloaded.exit_code, 0) << reloaded.err << gateway.log();
  pacs.start();
  ASSERT_TRUE(pacs.wait_for_files(1));
  ASSERT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_EQ(text_of(*pacs.files().begin(), DCM_InstitutionName), "NEW");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Reload, ABadFileChangesNothingAndSaysWhy) {
  const TemporaryFolder folder;
  const std::string good = pacs_at("out", "file://" + folder.path("out")) + route_to("out");
  GatewayProcess gateway(folder.path("gateway"), good);
  gateway.start();
  gateway.configure(good + "\n[[destinaton]]\n");
  const Finished refused = gateway.run({"reload", "--json"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("destinaton"));
  EXPECT_FALSE(refused.json().at("reloaded"));
  EXPECT_TRUE(gateway.wait_for_lines("configuration not reloaded: nothing has changed", 1));
  // What only a start can change is named.
  gateway.configure(good + "\n[metrics]\nport = 9999\n");
  EXPECT_THAT(gateway.run({"reload"}).err, HasSubstr("[metrics]"));
  EXPECT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(wait_until([&] { return files_in(folder.path("out")) == 1; }, kDeadline));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

// It would be believed to be in use.
TEST(Reload, SaysThatItReadsItsOwnFile) {
  const TemporaryFolder folder;
  const std::string good = pacs_at("out", "file://" + folder.path("out")) + route_to("out");
  GatewayProcess gateway(folder.path("gateway"), good);
  gateway.start();
  const std::string other = folder.path("other.toml");
  std::filesystem::copy_file(gateway.config_file(), other);
  const Finished reloaded = run_program({SLUICE_PROGRAM, "reload", "--json", "--config", other});
  EXPECT_EQ(reloaded.exit_code, 1);
  EXPECT_THAT(reloaded.err, HasSubstr(other + " is not in use"));
  EXPECT_EQ(reloaded.json().at("file"), gateway.config_file());
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Reload, ComesBySighupToo) {
  const TemporaryFolder folder;
  const std::string good = pacs_at("out", "file://" + folder.path("out")) + route_to("out");
  GatewayProcess gateway(folder.path("gateway"), good);
  gateway.start();
  ASSERT_EQ(::kill(gateway.process_id(), SIGHUP), 0);
  EXPECT_TRUE(gateway.wait_for_lines("configuration reloaded", 1)) << gateway.log();
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Reload, SaysThatNoGatewayRuns) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         pacs_at("out", "file://" + folder.path("out")) + route_to("out"));
  EXPECT_EQ(gateway.run({"reload"}).exit_code, 3);
  gateway.start();
  gateway.kill();  // its socket is left
  EXPECT_EQ(gateway.run({"reload"}).exit_code, 3);
}

TEST(Reload, APortThatIsTakenChangesNothing) {
  const TemporaryFolder folder;
  const std::string good = pacs_at("out", "file://" + folder.path("out")) + route_to("out");
  GatewayProcess gateway(folder.path("gateway"), good);
  gateway.start();
  const RawListener other;
  gateway.configure(
      "[[listener]]\naddress = \"127.0.0.1\"\nport = " + std::to_string(other.port()) + "\n" +
      pacs_at("new", "file://" + folder.path("new")) + route_to("new"));
  const Finished refused = gateway.run({"reload"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("port " + std::to_string(other.port())));
  EXPECT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(wait_until([&] { return files_in(folder.path("out")) == 1; }, kDeadline));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Reload, OpensANewListenerAndClosesARemovedOne) {
  const TemporaryFolder folder;
  const std::string good = pacs_at("out", "file://" + folder.path("out")) + route_to("out");
  const std::uint16_t port = quiet_port();
  GatewayProcess gateway(folder.path("gateway"), good);
  gateway.start();
  gateway.configure("[[listener]]\nname = \"second\"\naddress = \"127.0.0.1\"\nport = " +
                    std::to_string(port) + "\n" + good);
  ASSERT_EQ(gateway.run({"reload"}).exit_code, 0) << gateway.log();
  RawPeer running = associate(port);
  gateway.configure(good);
  ASSERT_EQ(gateway.run({"reload"}).exit_code, 0) << gateway.log();
  EXPECT_THROW((void)RawPeer::connect(port), std::runtime_error);
  EXPECT_TRUE(store(running, "1.2.3.1", 1)) << "its association goes on";
  EXPECT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")})) << "and the other port";
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

// One destination changes each time, the other never.
TEST(Reload, InALoopUnderLoadLosesNothingAndLeavesTheUnchangedAssociation) {
  constexpr std::size_t kImages = 1000;
  constexpr int kReloads = 50;
  const TemporaryFolder folder;
  const auto images = make_series(folder.path("images"), "1.2.3.4", kImages);
  StorescpProcess pacs(folder.path("pacs"));
  pacs.start();
  const auto configuration = [&](int number) {
    return pacs_at("pacs", pacs.address(), "associations = 1\nidle_timeout = \"10 min\"\n") +
           pacs_at("changing", "file://" + folder.path("changing"),
                   "max_failures = " + std::to_string(3 + number % 2) + "\n") +
           "\n[[route]]\nname = \"all\"\ndestinations = [\"pacs\", \"changing\"]\n";
  };
  GatewayProcess gateway(folder.path("gateway"), configuration(0));
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  ASSERT_TRUE(gateway.wait_for_counts({{"delivered", 2}})) << gateway.log();
  const std::size_t associations = pacs.associations();
  Process sender(storescu_arguments(gateway.port(), images));
  for (int number = 1; number <= kReloads; ++number) {
    gateway.configure(configuration(number));
    const Finished reloaded = gateway.run({"reload"});
    ASSERT_EQ(reloaded.exit_code, 0) << reloaded.err << gateway.log();
  }
  ASSERT_EQ(sender.wait(kDeadline), 0) << sender.output();
  EXPECT_EQ(count_successes(sender.output()), kImages);
  ASSERT_TRUE(gateway.wait_for_counts({{"delivered", 2 * kImages + 2}})) << gateway.log();
  EXPECT_EQ(pacs.files().size(), kImages + 1) << "each once";
  EXPECT_EQ(sop_instance_uids(pacs.files()).size(), kImages + 1);
  EXPECT_EQ(files_in(folder.path("changing")), kImages + 1);
  EXPECT_EQ(pacs.associations(), associations);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
