// The most urgent goes first: by storescu and storescp, as it is on the wire.
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string last_word(const std::string& line) {
  const std::size_t end = line.find_last_not_of(" \r");
  const std::size_t begin = line.find_last_of(" \t", end) + 1;
  return line.substr(begin, end - begin + 1);
}

// SOP Instance UID and Priority of each C-STORE-RQ that storescp -d dumps, in their order.
std::vector<std::pair<std::string, std::string>> requests_in(const std::string& log) {
  std::vector<std::pair<std::string, std::string>> requests;
  std::istringstream lines(log);
  bool is_request = false;
  std::string uid;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("Message Type") != std::string::npos) {
      is_request = line.find("C-STORE RQ") != std::string::npos;
    }
    if (!is_request) continue;
    if (line.find("Affected SOP Instance UID") != std::string::npos) uid = last_word(line);
    if (line.find("Priority") != std::string::npos) requests.emplace_back(uid, last_word(line));
  }
  return requests;
}

TEST(Priority, OnTheWireIsThatOfTheRouteAndDecidesTheOrder) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"), {"+xa", "-d"});
  GatewayProcess gateway(
      folder.path("gateway"),
      "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs.address() +
          "\"\nassociations = 1\nretry_min = \"50ms\"\nretry_max = \"200ms\"\n"
          "[[route]]\nname = \"emergencies\"\nwhen = { SOPInstanceUID = \"1.2.3.1.*\" }\n"
          "destinations = [\"pacs\"]\npriority = \"high\"\n"
          "[[route]]\nname = \"old\"\nwhen = { SOPInstanceUID = \"1.2.3.3.*\" }\n"
          "destinations = [\"pacs\"]\npriority = \"low\"\n"
          "[[route]]\nname = \"all\"\ndestinations = [\"pacs\"]\n");
  gateway.start();
  // The least urgent first, and the PACS is away.
  for (const char* root : {"1.2.3.3", "1.2.3.2", "1.2.3.1"}) {
    ASSERT_TRUE(send_images(gateway.port(), make_series(folder.path(root), root, 2)));
  }
  ASSERT_TRUE(wait_until([&] {
    return gateway.run({"queue", "list", "--json"}).json().at("deliveries").size() == 6;
  }));
  const std::string listed = gateway.run({"queue", "list"}).out;
  EXPECT_THAT(listed, HasSubstr("(high priority)"));
  EXPECT_THAT(listed, HasSubstr("(low priority)"));
  EXPECT_THAT(listed, Not(HasSubstr("medium")));
  std::vector<std::string> priorities;
  const nlohmann::json waiting = gateway.run({"queue", "list", "--json"}).json();
  for (const auto& each : waiting.at("deliveries")) priorities.push_back(each.at("priority"));
  EXPECT_THAT(priorities, ElementsAre("low", "low", "medium", "medium", "high", "high"));

  pacs.start();
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 6}})) << gateway.log();
  using Request = std::pair<std::string, std::string>;
  EXPECT_THAT(requests_in(pacs.log()),
              ElementsAre(Request("1.2.3.1.1", "high"), Request("1.2.3.1.2", "high"),
                          Request("1.2.3.2.1", "medium"), Request("1.2.3.2.2", "medium"),
                          Request("1.2.3.3.1", "low"), Request("1.2.3.3.2", "low")))
      << pacs.log();
  EXPECT_EQ(gateway.lines("delivered").at(0).at("priority"), "high");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Priority, IsWhatExplainTells) {
  const TemporaryFolder folder;
  GatewayProcess gateway(
      folder.path("gateway"),
      "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:104\"\n"
      "[[route]]\nname = \"ct\"\nwhen = { Modality = \"CT\" }\n"
      "destinations = [\"pacs\"]\npriority = \"low\"\n");
  EXPECT_THAT(gateway.run({"explain", fixture("CT_small.dcm")}).out,
              HasSubstr("pass -> pacs (low priority)\n"));
  const auto told = gateway.run({"explain", "--json", fixture("CT_small.dcm")}).json();
  EXPECT_EQ(told.at(0).at("routes").at(0).at("priority"), "low");
}

}  // namespace
}  // namespace sluice::test
