// `sluice replay`: another configuration is tried on what waits and rests, and nothing changes.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// CT goes to a PACS that is away; MR rests.
std::string replayed_routing(const StorescpProcess& pacs, const std::string& more) {
  return "[[destination]]\nname = \"pacs\"\naddress = \"" + pacs.address() + "\"\n" +
         "[[destination]]\nname = \"other\"\naddress = \"" + pacs.address() + "\"\n" + more;
}

constexpr const char* kRoutesOfToday =
    "[[route]]\nname = \"main\"\nwhen = { Modality = \"CT\" }\ndestinations = [\"pacs\"]\n";
constexpr const char* kRoutesOfTomorrow =
    "[[filter]]\nname = \"house\"\ntype = \"edit\"\n"
    "[[filter.rule]]\nattribute = \"StationName\"\nset = \"ROOM 1\"\n"
    "[[route]]\nname = \"main\"\nwhen = { Modality = \"CT\" }\nfilters = [\"house\"]\n"
    "destinations = [\"pacs\", \"other\"]\n"
    "[[route]]\nname = \"mr\"\nwhen = { Modality = \"MR\" }\nfilters = [\"house\"]\n"
    "destinations = [\"pacs\"]\n";

class Replayed : public ::testing::Test {
 protected:
  void SetUp() override {
    gateway_.start();
    ASSERT_TRUE(send_images(gateway_.port(), {fixture("CT_small.dcm"), fixture("MR_small.dcm")}));
    ASSERT_TRUE(wait_until([&] { return gateway_.counts("")["quarantined"] == 1; }, kDeadline));
    write(tomorrow_, kRoutesOfTomorrow);
    write(today_, kRoutesOfToday);
  }

  void write(const std::string& file, const std::string& routes) const {
    std::ofstream(file) << "[gateway]\ndata_dir = \"" << gateway_.data_dir()
                        << "\"\n[[listener]]\nname = \"modalities\"\nport = 11112\n"
                        << replayed_routing(pacs_, routes);
  }
  [[nodiscard]] static Finished replay(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {SLUICE_PROGRAM, "replay"});
    return run_program(std::move(arguments));
  }
  // All differences as "KIND ROUTE[ ATTRIBUTE by FILTER]: BEFORE / AFTER", sorted.
  [[nodiscard]] static std::vector<std::string> differences_in(const nlohmann::json& told) {
    std::vector<std::string> lines;
    for (const auto& instance : told.at("differing")) {
      for (const auto& one : instance.at("differences")) {
        const std::string what = one.contains("attribute")
                                     ? " " + one.at("attribute").get<std::string>() + " by " +
                                           one.at("filter").get<std::string>()
                                     : "";
        lines.push_back(one.at("kind").get<std::string>() + " " +
                        one.at("route").get<std::string>() + what + ": " +
                        one.at("before").get<std::string>() + " / " +
                        one.at("after").get<std::string>());
      }
    }
    std::ranges::sort(lines);
    return lines;
  }
  // Of the data folder: every file that is there for good, with its bytes.
  [[nodiscard]] std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(gateway_.data_dir())) {
      if (entry.is_regular_file()) all[entry.path().string()] = read_file(entry.path().string());
    }
    return all;
  }

  TemporaryFolder folder_;
  StorescpProcess pacs_{folder_.path("pacs")};  // never started
  GatewayProcess gateway_{folder_.path("gateway"), replayed_routing(pacs_, kRoutesOfToday)};
  const std::string today_ = folder_.path("today.toml");
  const std::string tomorrow_ = folder_.path("tomorrow.toml");
};

TEST_F(Replayed, TellsWhatWouldBeRoutedOtherwiseBesideARunningGateway) {
  const Finished told = replay({"--config", tomorrow_, "--json"});
  EXPECT_EQ(told.exit_code, 5) << told.err;
  EXPECT_THAT(
      differences_in(told.json()),
      ::testing::ElementsAre("destinations main: pacs / other, pacs", "taken mr:  / pass to pacs"));
  EXPECT_EQ(told.json().at("instances"), 2);
  EXPECT_EQ(told.json().at("differ"), 2);
  EXPECT_EQ(told.json().at("edits").at(0).at("attribute"), "StationName");
  EXPECT_EQ(told.json().at("edits").at(0).at("instances"), 2);

  const Finished same = replay({"--config", today_, "--json"});
  EXPECT_EQ(same.exit_code, 0) << same.out;
  EXPECT_THAT(same.json().at("differing"), IsEmpty());

  const Finished none = replay({"--config", tomorrow_, "--since", "0s"});
  EXPECT_EQ(none.exit_code, 3) << none.out;
  EXPECT_THAT(gateway_.spooled(), SizeIs(2));
  EXPECT_EQ(gateway_.counts("")["quarantined"], 1U);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Replayed, ComparesWithAnOlderConfigurationAndLeavesNoTrace) {
  ASSERT_EQ(gateway_.stop(), 0) << gateway_.log();
  const auto before = files();
  ASSERT_FALSE(before.empty());
  const Finished told = replay({"--config", tomorrow_, "--old", today_, "--since", "1h", "--json"});
  EXPECT_EQ(told.exit_code, 5) << told.err;
  const std::string station = text_of(fixture("CT_small.dcm"), DCM_StationName);
  EXPECT_THAT(
      differences_in(told.json()),
      ::testing::ElementsAre("attribute main StationName by house: " + station + " / ROOM 1",
                             "destinations main: pacs / other, pacs", "taken mr:  / pass to pacs"));
  EXPECT_EQ(told.json().at("counts").at("attribute"), 1);
  const Finished for_people = replay({"--config", tomorrow_, "--old", today_});
  EXPECT_THAT(for_people.out, HasSubstr("route mr takes it now: pass to pacs"));
  EXPECT_THAT(for_people.out, HasSubstr("2 instance(s), 2 differ(s)"));
  EXPECT_EQ(replay({"--config", today_, "--old", today_}).exit_code, 0);
  EXPECT_EQ(files(), before);
}

TEST_F(Replayed, LeavesAKilledGatewaysFilesAsTheyAre) {
  gateway_.kill();
  auto before = files();
  EXPECT_EQ(replay({"--config", tomorrow_, "--old", today_}).exit_code, 5);
  auto after = files();
  // SQLite's index of what is in a log, which it makes anew.
  for (auto* each : {&before, &after}) {
    std::erase_if(*each, [](const auto& file) { return file.first.ends_with("-shm"); });
  }
  EXPECT_EQ(after, before);
}

TEST_F(Replayed, TellsOfAFileThatIsNotWhatWasReceived) {
  ASSERT_EQ(gateway_.stop(), 0) << gateway_.log();
  const std::string damaged = gateway_.spooled().front();
  std::fstream(damaged, std::ios::in | std::ios::out | std::ios::binary).seekp(2000).put('\x7F');
  const Finished told = replay({"--config", tomorrow_, "--json"});
  EXPECT_EQ(told.exit_code, 4);
  EXPECT_EQ(told.json().at("unreadable"), 1);
  EXPECT_THAT(told.err, HasSubstr("changed since it was received"));
  std::filesystem::remove(damaged);
  const Finished gone = replay({"--config", tomorrow_, "--json"});
  EXPECT_EQ(gone.json().at("gone"), 1);
  EXPECT_EQ(gone.json().at("instances"), 1);
}

TEST(Replay, NeedsAQueueAndADuration) {
  const TemporaryFolder folder;
  const GatewayProcess gateway(folder.path("gateway"),
                               "[[destination]]\nname = \"folder\"\naddress = \"file:///srv/x\"\n"
                               "[[route]]\ndestinations = [\"folder\"]\n");
  const Finished without = gateway.run({"replay"});
  EXPECT_EQ(without.exit_code, 4);
  EXPECT_THAT(without.err, HasSubstr("no queue here"));
  EXPECT_FALSE(std::filesystem::exists(gateway.data_dir()));
  EXPECT_EQ(gateway.run({"replay", "--since", "soon"}).exit_code, 2);
  EXPECT_EQ(gateway.run({"replay", "--old", folder.path("absent.toml")}).exit_code, 1);
}

// The tables as `sluice test` takes them from the command line.
TEST(TestCommand, TellsWhatFailsByLineAndExitCode) {
  const TemporaryFolder folder;
  const std::string file = folder.path("sluice.toml");
  const auto run = [&](const std::string& tests) {
    std::ofstream(file) << "[[listener]]\nport = 11112\n[[destination]]\nname = \"pacs\"\n"
                           "address = \"dicom://PACS@127.0.0.1:104\"\n[[route]]\n"
                           "destinations = [\"pacs\"]\n"
                        << tests;
    return run_program({SLUICE_PROGRAM, "test", file, "--json"});
  };
  const std::string passes = "[[test]]\nattributes = {}\nverdict = \"pass\"\n";
  EXPECT_EQ(run(passes).exit_code, 0);
  EXPECT_EQ(run_program({SLUICE_PROGRAM, "check", file}).exit_code, 0);
  const Finished failed = run(passes + "[[test]]\nname = \"b\"\nattributes = {}\nroutes = []\n");
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_EQ(failed.json().at("tests"), 2);
  EXPECT_EQ(failed.json().at("failed"), 1);
  const nlohmann::json second = failed.json().at("files").at(0).at("tests").at(1);
  EXPECT_EQ(second.at("line"), 11);
  EXPECT_EQ(second.at("unmet").at(0).at("expected"), "none");
  EXPECT_EQ(second.at("unmet").at(0).at("got"), "route-1");
  EXPECT_THAT(run_program({SLUICE_PROGRAM, "test", file}).out, HasSubstr("FAILED  b"));
  EXPECT_EQ(run("[[test]]\nimage = \"absent.dcm\"\nverdict = \"pass\"\n").exit_code, 4);
  const Finished none = run("");
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_EQ(none.json().at("files").at(0).at("mistakes").at(0).at("message"), "no [[test]] here");
  const Finished wrong = run("[[test]]\nverdikt = \"pass\"\n");
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_EQ(run_program({SLUICE_PROGRAM, "check", file}).exit_code, 1);
}

}  // namespace
}  // namespace sluice::test
