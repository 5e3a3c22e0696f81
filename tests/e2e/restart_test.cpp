// The gateway or the PACS goes away and comes back: nothing that was acknowledged is
// lost, and what it takes meanwhile waits.
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;

std::string restart_routing(const std::string& address) {
  return "[[destination]]\nname = \"pacs\"\naddress = \"" + address +
         "\"\nretry_min = \"50ms\"\nretry_max = \"200ms\"\n\n"
         "[[route]]\ndestinations = [\"pacs\"]\n"
         "filters = [\"sanitize_uids\", \"merge_studies\", \"remap_series_number\"]\n";
}

std::set<std::string> as_set(const std::vector<std::string>& list) {
  return {list.begin(), list.end()};
}

class Restart : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};
  GatewayProcess gateway_{folder_.path("gateway"), restart_routing(pacs_.address())};
};

TEST_F(Restart, DeliversWhatWaitedForThePacs) {
  constexpr std::size_t kCount = 20;
  gateway_.start();
  const auto images = make_series(folder_.path("images"), "1.2.3.8", kCount);
  EXPECT_TRUE(send_images(gateway_.port(), images));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  EXPECT_EQ(gateway_.spooled().size(), kCount);

  gateway_.start();
  pacs_.start();

  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", kCount}})) << gateway_.log();
  EXPECT_EQ(pacs_.files().size(), kCount);
  EXPECT_EQ(sop_instance_uids(pacs_.files()), sop_instance_uids(as_set(images)));
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Restart, OfThePacsIsNoticedByTheRunningGateway) {
  constexpr std::size_t kCount = 6;
  pacs_.start();
  gateway_.start();
  const auto first = make_series(folder_.path("first"), "1.2.3.9.1", kCount);
  EXPECT_TRUE(send_images(gateway_.port(), first));
  EXPECT_TRUE(gateway_.wait_for_lines("delivered", kCount)) << gateway_.log();
  pacs_.stop();
  const auto second = make_series(folder_.path("second"), "1.2.3.9.2", kCount);
  EXPECT_TRUE(send_images(gateway_.port(), second));
  EXPECT_TRUE(gateway_.wait_for_lines("deferred", 2)) << gateway_.log();

  pacs_.start();

  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 2 * kCount}})) << gateway_.log();
  std::set<std::string> sent(first.begin(), first.end());
  sent.insert(second.begin(), second.end());
  EXPECT_EQ(sop_instance_uids(pacs_.files()), sop_instance_uids(sent));
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

// What storescu -v says of a list of files: those that were acknowledged.
std::set<std::string> acknowledged(const std::string& log) {
  std::set<std::string> files;
  std::string file;
  std::istringstream lines(log);
  const std::string sending = "I: Sending file: ";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(sending)) file = line.substr(sending.size());
    if (line.starts_with("I: Received Store Response (Success)")) files.insert(file);
  }
  return files;
}

std::map<std::string, std::string> data_sets_by_uid(const std::set<std::string>& files) {
  std::map<std::string, std::string> data_sets;
  for (const std::string& file : files) {
    data_sets[text_of(file, DCM_SOPInstanceUID)] = data_set_bytes(file);
  }
  return data_sets;
}

constexpr const char* kUnknownFile =
    "the spool has a file that the queue does not know: never acknowledged, or the queue's "
    "database was replaced; send it with dcmsend, or remove it";

TEST_F(Restart, AfterKillDeliversAllThatWasAcknowledged) {
  constexpr std::size_t kCount = 60;
  const auto images = make_series(folder_.path("images"), "1.2.3.10", kCount);
  StorescpProcess direct(folder_.path("direct"));
  direct.start();
  ASSERT_TRUE(send_images(direct.port(), images));
  const auto expected = data_sets_by_uid(direct.files());
  ASSERT_EQ(expected.size(), kCount);

  for (const std::size_t moment : {1U, 6U, 19U, 34U, 51U}) {
    SCOPED_TRACE("killed after " + std::to_string(moment) + " acknowledgements");
    const std::string name = std::to_string(moment);
    StorescpProcess pacs(folder_.path("pacs-" + name));
    GatewayProcess gateway(folder_.path("gateway-" + name), restart_routing(pacs.address()));
    // A PACS that is away leaves all of it to the spool.
    const bool pacs_is_there = moment % 2 == 0;
    if (pacs_is_there) pacs.start();
    gateway.start();
    Process sender(storescu_arguments(gateway.port(), images));
    ASSERT_TRUE(wait_until([&] { return acknowledged(sender.output()).size() >= moment; }))
        << sender.output();
    gateway.kill();
    ASSERT_TRUE(sender.wait(kDeadline));
    std::set<std::string> promised = sop_instance_uids(acknowledged(sender.output()));
    ASSERT_GE(promised.size(), moment);

    gateway.start();
    if (!pacs_is_there) pacs.start();

    EXPECT_TRUE(wait_until(
        [&] {
          auto counts = gateway.counts();
          return counts.size() == 1 && counts["delivered"] >= promised.size();
        },
        kDeadline))
        << gateway.log();
    const auto arrived = data_sets_by_uid(pacs.files());
    for (const std::string& uid : promised) EXPECT_TRUE(arrived.contains(uid)) << uid;
    for (const auto& [uid, bytes] : arrived) {
      EXPECT_TRUE(bytes == expected.at(uid)) << "not as sent: " << uid;
    }
    // What was whole but not acknowledged is reported, and left to a person.
    std::set<std::string> unknown;
    for (const auto& line : gateway.lines(kUnknownFile)) {
      std::istringstream ids(line.at("first").get<std::string>());
      for (std::string id; ids >> id;) unknown.insert(gateway.data_dir() + "/spool/" + id + ".dcm");
      EXPECT_LE(line.at("count"), 5) << "more than are named";
    }
    EXPECT_TRUE(wait_until([&] { return as_set(gateway.spooled()) == unknown; }, kDeadline))
        << gateway.log();
    for (const std::string& file : unknown) {
      EXPECT_FALSE(promised.contains(text_of(file, DCM_SOPInstanceUID))) << file;
    }
    EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  }
}

TEST_F(Restart, WaitsForTheInstanceUnderWay) {
  const std::string instance = "1.2.3.11.1";
  constexpr int kContext = 3;  // CT in RequestParts
  const std::string message = store_in_pieces(kContext, store_request(kCtStorage, instance),
                                              large_data_set(kCtStorage, instance));
  constexpr std::size_t kMost = 850'000;
  gateway_.start();
  const RawPeer sender = RawPeer::connect(gateway_.port());
  ASSERT_TRUE(sender.send(RequestParts().bytes()));
  ASSERT_EQ(sender.receive_pdu().substr(0, 1), "\x02") << "association not accepted";
  ASSERT_TRUE(sender.send(message.substr(0, kMost)));
  // Taken, not only on its way: the spool has the beginning of it.
  ASSERT_TRUE(wait_until([&] { return gateway_.spooled().size() == 1; }, kDeadline));

  gateway_.ask_to_stop();
  ASSERT_TRUE(gateway_.wait_for_lines("stopping", 1)) << gateway_.log();
  // Nobody else is let in meanwhile.
  EXPECT_TRUE(wait_until([&] {
    return run_program({"echoscu", "127.0.0.1", std::to_string(gateway_.port())}).exit_code != 0;
  }));
  ASSERT_TRUE(sender.send(message.substr(kMost)));

  const std::string response = sender.receive_pdu();
  EXPECT_THAT(response, HasSubstr(element(0x0900, little16(0)))) << "no success";
  EXPECT_EQ(gateway_.wait(), 0) << gateway_.log();
  EXPECT_EQ(gateway_.spooled().size(), 1U);
  pacs_.start();
  gateway_.start();
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", 1}})) << gateway_.log();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Restart, OfASecondGatewayOnTheSameDataIsRefused) {
  gateway_.start();
  const Finished second = gateway_.run({"serve"});
  EXPECT_EQ(second.exit_code, 4);
  EXPECT_THAT(second.err, HasSubstr(std::to_string(gateway_.process_id()))) << second.err;
  EXPECT_THAT(second.err, HasSubstr(gateway_.data_dir())) << second.err;
  EXPECT_TRUE(gateway_.lines("stopping").empty());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Restart, WithoutTheSiteKeyOfItsLedgerIsRefused) {
  gateway_.start();
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
  ASSERT_TRUE(std::filesystem::remove(gateway_.data_dir() + "/site.key"));
  const Finished again = gateway_.run({"serve"});
  EXPECT_EQ(again.exit_code, 4);
  EXPECT_THAT(again.err, HasSubstr("site.key is gone")) << again.err;
}

}  // namespace
}  // namespace sluice::test
