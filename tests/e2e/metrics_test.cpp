// What the running gateway shows to who watches it.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"
#include "tests/support/http.h"
#include "tests/support/raw_peer.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kWatched = "\n[metrics]\nport = 0\n";

std::string watched_routing(const std::string& pacs, const std::string& more = "") {
  return "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs + "\"\n" + more +
         "\n[[route]]\nfilters = [\"sanitize_uids\", \"remap_series_number\"]\n"
         "destinations = [\"pacs\"]\n" +
         kWatched;
}

std::uint16_t metrics_port(const GatewayProcess& gateway) {
  const auto shown = gateway.wait_for_line("metrics are shown");
  if (!shown) throw std::runtime_error("no metrics: " + gateway.log());
  return shown->at("port").get<std::uint16_t>();
}

// Every series by its name and labels, as it stands.
std::map<std::string, double> scrape(std::uint16_t port) {
  const HttpAnswer answer = http_get(port, "/metrics");
  if (answer.status != "200") throw std::runtime_error("no metrics: " + answer.head);
  std::map<std::string, double> all;
  std::istringstream text(answer.body);
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("#")) continue;
    const std::size_t space = line.rfind(' ');
    all[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return all;
}

double value_of(std::uint16_t port, const std::string& series) {
  const auto all = scrape(port);
  const auto found = all.find(series);
  return found == all.end() ? -1 : found->second;
}

bool wait_for_value(std::uint16_t port, const std::string& series, double value) {
  return wait_until([&] { return value_of(port, series) == value; }, kDeadline);
}

TEST(Metrics, CountWhatWasReceivedAndDelivered) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  pacs.start();
  GatewayProcess gateway(folder.path("gateway"), watched_routing(pacs.address()));
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  std::vector<std::string> images = make_series(folder.path("images"), "1.2.3.10", 4);
  images.push_back(images.front());
  ASSERT_TRUE(send_images(gateway.port(), images)) << gateway.log();
  ASSERT_TRUE(gateway.wait_for_counts({{"delivered", 4}})) << gateway.log();
  const std::string delivered =
      R"(sluice_deliveries_total{destination="pacs",outcome="delivered",status="0000"})";
  ASSERT_TRUE(wait_for_value(port, delivered, 4));
  ASSERT_TRUE(wait_for_value(port, R"(sluice_ack_seconds_count{status="0000"})", 5));

  auto all = scrape(port);
  EXPECT_EQ(all[R"(sluice_received_total{outcome="stored"})"], 4);
  EXPECT_EQ(all[R"(sluice_received_total{outcome="duplicate"})"], 1);
  EXPECT_EQ(all[R"(sluice_ack_seconds_bucket{status="0000",le="+Inf"})"], 5);
  EXPECT_GT(all[R"(sluice_ack_seconds_sum{status="0000"})"], 0);
  EXPECT_EQ(all[R"(sluice_attempt_seconds_count{destination="pacs"})"], 4);
  EXPECT_GT(all[R"(sluice_attempt_seconds_sum{destination="pacs"})"], 0);
  EXPECT_EQ(all[R"(sluice_delivery_seconds_count{destination="pacs"})"], 4);
  EXPECT_GE(all[R"(sluice_delivery_seconds_sum{destination="pacs"})"],
            all[R"(sluice_attempt_seconds_sum{destination="pacs"})"]);
  EXPECT_GE(all[R"(sluice_sync_seconds_count{what="spool file"})"], 1);
  EXPECT_GE(all[R"(sluice_sync_seconds_count{what="spool folder"})"], 1);
  EXPECT_GE(all[R"(sluice_sync_seconds_count{what="queue commit"})"], 1);
  EXPECT_GE(all[R"(sluice_sync_seconds_count{what="queue journal"})"], 1);
  // CT_small.dcm, which no filter of these has to change.
  const double each = all["sluice_received_bytes_total"] / 5;
  EXPECT_GT(each, 30'000);
  EXPECT_EQ(all[R"(sluice_delivered_bytes_total{destination="pacs"})"], 4 * each);
  EXPECT_EQ(all["sluice_build_info{version=\"0.1.0\"}"], 1);
  EXPECT_NEAR(all["process_start_time_seconds"], static_cast<double>(std::time(nullptr)), 600);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Metrics, TellWhatWaitsForADeadPacs) {
  const TemporaryFolder folder;
  const std::uint16_t nobody = quiet_port();
  GatewayProcess gateway(folder.path("gateway"),
                         watched_routing("dicom://PACS@127.0.0.1:" + std::to_string(nobody),
                                         "retry_min = \"1h\"\nretry_max = \"1h\"\n"));
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  const std::string depth = R"(sluice_queue_deliveries{destination="pacs",state=)";
  EXPECT_EQ(value_of(port, depth + "\"ready\"}"), 0);
  ASSERT_TRUE(send_images(gateway.port(), make_series(folder.path("images"), "1.2.3.11", 3)));
  const auto waiting = [&] {
    auto all = scrape(port);
    return all[depth + "\"ready\"}"] + all[depth + "\"deferred\"}"] == 3 &&
           all[depth + "\"deferred\"}"] >= 1;
  };
  EXPECT_TRUE(wait_until(waiting, kDeadline)) << gateway.log();
  auto all = scrape(port);
  EXPECT_GE(all[R"(sluice_deliveries_total{destination="pacs",outcome="deferred",status="none"})"],
            1);
  EXPECT_GE(all[R"(sluice_attempt_seconds_count{destination="pacs"})"], 1);
  EXPECT_EQ(all[R"(sluice_delivery_seconds_count{destination="pacs"})"], 0);
  EXPECT_GT(all[R"(sluice_queue_oldest_age_seconds{destination="pacs",state="deferred"})"], 0);
  EXPECT_EQ(all[R"(sluice_queue_oldest_age_seconds{destination="pacs",state="held"})"], 0);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Metrics, CountOpenAssociationsInBothDirections) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  pacs.start();
  GatewayProcess gateway(
      folder.path("gateway"),
      watched_routing(pacs.address(), "associations = 1\nidle_timeout = \"1h\"\n"));
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  const std::string received =
      R"(sluice_open_associations{direction="received",name="modalities"})";
  const std::string sent = R"(sluice_open_associations{direction="sent",name="pacs"})";
  {
    const RawPeer peer = RawPeer::connect(gateway.port());
    peer.send(RequestParts().bytes());
    ASSERT_THAT(peer.receive_pdu(), StartsWith("\2"));
    EXPECT_TRUE(wait_for_value(port, received, 1));
    peer.send(release_request());
    EXPECT_EQ(peer.receive_pdu(), release_response());
  }
  EXPECT_TRUE(wait_for_value(port, received, 0));
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(wait_for_value(port, sent, 1)) << gateway.log();
  pacs.stop();
  EXPECT_TRUE(wait_for_value(port, sent, 0)) << gateway.log();
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Metrics, CountWhatWasRefusedByItsStatus) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         "[[destination]]\nname = \"folder\"\naddress = \"file://" +
                             folder.path("archive") +
                             "\"\n[[route]]\nwhen = { Modality = \"XX\" }\n"
                             "destinations = [\"folder\"]\n" +
                             kWatched,
                         "unrouted = \"reject\"\n");
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  EXPECT_FALSE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(wait_for_value(port, R"(sluice_ack_seconds_count{status="C0xx"})", 1));
  auto all = scrape(port);
  EXPECT_EQ(all[R"(sluice_received_total{outcome="rejected"})"], 1);
  EXPECT_EQ(all[R"(sluice_ack_seconds_count{status="0000"})"], 0);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

struct Told {
  std::string type;
  std::set<std::string> labels;
};

// The table of docs/operations.md.
std::map<std::string, Told> table_of_metrics() {
  std::map<std::string, Told> table;
  std::istringstream text(read_file(SLUICE_OPERATIONS));
  const std::regex row(R"(^\| `((?:sluice|process)_\w+)` \| (\w+) \|([^|]*)\|.*)");
  const std::regex label("`(\\w+)`");
  for (std::string line; std::getline(text, line);) {
    std::smatch found;
    if (!std::regex_match(line, found, row)) continue;
    Told& told = table[found[1]];
    told.type = found[2];
    const std::string labels = found[3];
    for (std::sregex_iterator it(labels.begin(), labels.end(), label), end; it != end; ++it) {
      told.labels.insert((*it)[1]);
    }
  }
  return table;
}

// Of a series, but for the bounds of a histogram.
std::set<std::string> labels_of(const std::string& series) {
  std::set<std::string> names;
  const std::regex label("[{,](\\w+)=\"");
  for (std::sregex_iterator it(series.begin(), series.end(), label), end; it != end; ++it) {
    if ((*it)[1] != "le") names.insert((*it)[1]);
  }
  return names;
}

// `series` without labels, and without what a histogram adds to its name.
std::string family_of(const std::string& series, const std::map<std::string, Told>& table) {
  std::string name = series.substr(0, series.find('{'));
  for (const std::string suffix : {"_bucket", "_count", "_sum"}) {
    if (!name.ends_with(suffix)) continue;
    std::string family = name.substr(0, name.size() - suffix.size());
    if (table.contains(family) && table.at(family).type == "histogram") return family;
  }
  return name;
}

TEST(Metrics, AreThoseOfTheTableAndNoOthers) {
  const TemporaryFolder folder;
  const std::uint16_t nobody = quiet_port();
  GatewayProcess gateway(folder.path("gateway"),
                         watched_routing("dicom://PACS@127.0.0.1:" + std::to_string(nobody)));
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm"), fixture("MR_small.dcm")}));
  ASSERT_TRUE(gateway.wait_for_lines("deferred", 1));

  const auto table = table_of_metrics();
  ASSERT_GT(table.size(), 30U);
  std::map<std::string, std::string> types;
  std::set<std::string> helped;
  std::istringstream text(http_get(port, "/metrics").body);
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::string mark;
    std::string kind;
    std::string name;
    std::string rest;
    words >> mark >> kind >> name >> rest;
    if (mark != "#") continue;
    if (kind == "TYPE") types[name] = rest;
    if (kind == "HELP" && !rest.empty()) helped.insert(name);
  }
  for (const auto& [name, type] : types) {
    ASSERT_TRUE(table.contains(name)) << name << " is not in docs/operations.md";
    EXPECT_EQ(table.at(name).type, type) << name;
    EXPECT_TRUE(helped.contains(name)) << name;
  }
  for (const auto& [name, told] : table) EXPECT_TRUE(types.contains(name)) << name;
  for (const auto& [series, value] : scrape(port)) {
    const std::string family = family_of(series, table);
    ASSERT_TRUE(table.contains(family)) << series;
    EXPECT_EQ(labels_of(series), table.at(family).labels) << series;
  }
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Metrics, NothingListensWithoutTheirTable) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         "[[destination]]\nname = \"folder\"\naddress = \"file://" +
                             folder.path("archive") +
                             "\"\n[[route]]\ndestinations = [\"folder\"]\n");
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(gateway.lines("metrics are shown").empty());
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Metrics, AMistakeInTheirTableIsFoundByCheckAndStopsTheStart) {
  const TemporaryFolder folder;
  const RawListener taken;
  const GatewayProcess gateway(
      folder.path("gateway"),
      watched_routing("dicom://PACS@127.0.0.1:104") + "address = \"localhost\"\n");
  const Finished checked = run_program({SLUICE_PROGRAM, "check", gateway.config_file()});
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_THAT(checked.out + checked.err, HasSubstr("address must be an IP address"));

  const GatewayProcess second(
      folder.path("second"),
      "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:104\"\n"
      "[[route]]\ndestinations = [\"pacs\"]\n[metrics]\nport = " +
          std::to_string(taken.port()) + "\n");
  const Finished refused = second.run({"serve"});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("[metrics] cannot listen on 127.0.0.1 port " +
                                     std::to_string(taken.port())));
}

TEST(Health, IsGoodUntilTheGatewayDrains) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         watched_routing("dicom://PACS@127.0.0.1:" + std::to_string(quiet_port())),
                         "drain_timeout = \"1h\"\n", "stall_timeout = \"1h\"\n");
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  EXPECT_EQ(http_get(port, "/health").status, "200");

  // An instance that is under way keeps it draining.
  const std::string message = store_in_pieces(3, store_request(kCtStorage, "1.2.3.12"),
                                              large_data_set(kCtStorage, "1.2.3.12"));
  constexpr std::size_t kMost = 850'000;
  const RawPeer peer = RawPeer::connect(gateway.port());
  peer.send(RequestParts().bytes());
  ASSERT_THAT(peer.receive_pdu(), StartsWith("\2"));
  peer.send(message.substr(0, kMost));
  ASSERT_TRUE(wait_until([&] { return !gateway.spooled().empty(); }, kDeadline));
  gateway.ask_to_stop();
  HttpAnswer health;
  ASSERT_TRUE(wait_until(
      [&] {
        health = http_get(port, "/health");
        return health.status == "503";
      },
      kDeadline));
  EXPECT_THAT(health.body, HasSubstr("draining"));
  EXPECT_EQ(http_get(port, "/metrics").status, "200");
  peer.send(message.substr(kMost));
  EXPECT_THAT(peer.receive_pdu(), StartsWith("\4"));
  EXPECT_EQ(gateway.wait(), 0) << gateway.log();
  EXPECT_THROW((void)RawPeer::connect(port), std::runtime_error);
}

TEST(Health, TellsThatStorageFaulted) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"),
                         watched_routing("dicom://PACS@127.0.0.1:" + std::to_string(quiet_port())));
  std::filesystem::create_directories(gateway.data_dir());
  std::ofstream(gateway.data_dir() + "/fault") << "2026-11-21 spool: fdatasync: EIO\n";
  gateway.start();
  const std::uint16_t port = metrics_port(gateway);
  const HttpAnswer health = http_get(port, "/health");
  EXPECT_EQ(health.status, "503");
  EXPECT_EQ(health.body, "storage faulted: 2026-11-21 spool: fdatasync: EIO\n");
  // Cleared for the next start; this one goes on refusing.
  EXPECT_EQ(gateway.run({"fault", "clear", "--reason", "mended"}).exit_code, 0);
  EXPECT_EQ(http_get(port, "/health").status, "503");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  gateway.start();
  EXPECT_EQ(http_get(metrics_port(gateway), "/health").status, "200");
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
