// The command line as scripts use it: exit codes, stdout and stderr.
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

Finished sluice(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), SLUICE_PROGRAM);
  return run_program(std::move(arguments));
}

TEST(CommandLine, HelpsAndRefusesWhatItDoesNotKnow) {
  const Finished help = sluice({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* name : {"serve", "check", "explain", "queue", "ledger", "report"}) {
    EXPECT_THAT(help.out, HasSubstr(name));
  }
  EXPECT_EQ(sluice({"queue", "--help"}).exit_code, 0);
  const Finished version = sluice({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, StartsWith("sluice "));
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                {"--no-such-option"},
                                                {"launch"},
                                                {"queue"},
                                                {"serve", "--port", "1"}}) {
    const Finished refused = sluice(wrong);
    EXPECT_EQ(refused.exit_code, 2) << ::testing::PrintToString(wrong);
    EXPECT_THAT(refused.out, IsEmpty());
    EXPECT_THAT(refused.err, Not(IsEmpty()));
  }
  EXPECT_THAT(sluice({"launch"}).err, HasSubstr("no command 'launch'; `sluice --help`"));
  EXPECT_THAT(sluice({"queue", "empty"}).err,
              HasSubstr("no command 'empty'; `sluice queue --help`"));
}

TEST(CommandLine, CheckNamesEveryMistakeWithItsLine) {
  const TemporaryFolder folder;
  const std::string file = folder.path("wrong.toml");
  std::ofstream(file) << "[gateway]\n"
                         "log_levle = \"info\"\n"
                         "[[listener]]\n"
                         "port = 70000\n"
                         "[[destination]]\n"
                         "name = \"pacs\"\n"
                         "address = \"dicom://PACS@127.0.0.1\"\n"
                         "[[route]]\n"
                         "filters = [\"sanitise_uids\"]\n"
                         "destinations = [\"pasc\"]\n";
  const Finished checked = sluice({"check", file});
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_THAT(checked.err, HasSubstr(file + ":2: unknown key 'log_levle'"));
  EXPECT_THAT(checked.err, HasSubstr("did you mean 'log_level'"));
  EXPECT_THAT(checked.err, HasSubstr(file + ":4: port"));
  EXPECT_THAT(checked.err, HasSubstr(file + ":7: address"));
  EXPECT_THAT(checked.err, ContainsRegex(":9: [^\n]*'sanitise_uids'[^\n]*sanitize_uids"));
  EXPECT_THAT(checked.err, HasSubstr(file + ":10: unknown destination 'pasc'"));
  const Finished as_json = sluice({"check", file, "--json"});
  EXPECT_EQ(as_json.exit_code, 1);
  EXPECT_EQ(as_json.json().at("valid"), false);
  EXPECT_EQ(as_json.json().at("mistakes").size(), 5U);
  EXPECT_EQ(sluice({"serve", "--config", file}).exit_code, 1);
  EXPECT_EQ(sluice({"check", folder.path("absent.toml")}).exit_code, 1);
}

// One destination in a folder, so that no PACS is needed.
std::string command_line_routing(const TemporaryFolder& folder) {
  return "[[destination]]\nname = \"folder\"\naddress = \"file://" + folder.path("archive") +
         "\"\n\n[[route]]\nfilters = [\"sanitize_uids\"]\ndestinations = [\"folder\"]\n";
}

// The one change of rtdose whose reason is the leading zero.
nlohmann::json leading_zero_of(const nlohmann::json& explained) {
  nlohmann::json found;
  for (const auto& change : explained.at(0).at("routes").at(0).at("changes")) {
    if (change.at("reason") == "leading zero") found = change;
  }
  return found;
}

TEST(CommandLine, ExplainShowsARepairAndWritesNothing) {
  const TemporaryFolder folder;
  const GatewayProcess gateway(folder.path("gateway"), command_line_routing(folder));
  const Finished explained = gateway.run({"explain", "--json", fixture("rtdose.dcm")});
  ASSERT_EQ(explained.exit_code, 0) << explained.err;
  const nlohmann::json route = explained.json().at(0).at("routes").at(0);
  EXPECT_EQ(route.at("verdict"), "pass");
  EXPECT_EQ(route.at("destinations"), nlohmann::json::array({"folder"}));
  const nlohmann::json change = leading_zero_of(explained.json());
  ASSERT_FALSE(change.is_null()) << explained.out;
  EXPECT_EQ(change.at("filter"), "sanitize_uids");
  EXPECT_THAT(change.at("after").get<std::string>(), StartsWith("2.25."));
  EXPECT_FALSE(std::filesystem::exists(gateway.data_dir()));
  const Finished for_people = gateway.run({"explain", fixture("rtdose.dcm")});
  EXPECT_EQ(for_people.exit_code, 0);
  EXPECT_THAT(for_people.out, HasSubstr("leading zero"));
  EXPECT_EQ(gateway.run({"explain", folder.path("absent.dcm")}).exit_code, 4);
}

TEST(CommandLine, LedgerFindsAReplacementByEitherUid) {
  const TemporaryFolder folder;
  GatewayProcess gateway(folder.path("gateway"), command_line_routing(folder));
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("rtdose.dcm")}));
  const nlohmann::json change =
      leading_zero_of(gateway.run({"explain", "--json", fixture("rtdose.dcm")}).json());
  ASSERT_FALSE(change.is_null());
  for (const char* side : {"before", "after"}) {
    const Finished found =
        gateway.run({"ledger", "lookup", change.at(side).get<std::string>(), "--json"});
    EXPECT_EQ(found.exit_code, 0) << found.err;
    ASSERT_EQ(found.json().size(), 1U) << found.out;
    EXPECT_EQ(found.json().at(0).at("before"), change.at("before"));
    EXPECT_EQ(found.json().at(0).at("after"), change.at("after"));
  }
  EXPECT_EQ(gateway.run({"ledger", "lookup", "1.2.3"}).exit_code, 3);
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
