// Every real image that storescu will send, in the transfer syntax it has, must come
// out of the gateway as it went in but for what `sluice explain` declares.
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

// Options that make storescu send a file in the syntax that the file has. The file
// name of the profile must live as long as the options are used.
std::optional<std::vector<std::string>> options_for(const std::string& image,
                                                    const std::string& profile) {
  DcmFileFormat file;
  if (file.loadFile(image.c_str()).bad()) return std::nullopt;
  const std::string sop_class = text_of(*file.getDataset(), DCM_SOPClassUID);
  const DcmXfer syntax(file.getDataset()->getOriginalXfer());
  if (sop_class.empty() || syntax.getXfer() == EXS_Unknown) return std::nullopt;
  std::ofstream text(profile);
  text << "[[TransferSyntaxes]]\n[OWN]\nTransferSyntax1 = " << syntax.getXferID()
       << "\n[[PresentationContexts]]\n[ONE]\nPresentationContext1 = " << sop_class
       << "\\OWN\n[[Profiles]]\n[DEFAULT]\nPresentationContexts = ONE\n";
  if (!text.flush()) throw std::runtime_error("cannot write " + profile);
  return std::vector<std::string>{"-xf", profile, "DEFAULT"};
}

// The one file that is there now and was not before.
std::optional<std::string> new_file(const std::set<std::string>& before,
                                    const std::set<std::string>& now) {
  std::vector<std::string> added;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
                      std::back_inserter(added));
  if (added.size() != 1) return std::nullopt;
  return added.front();
}

struct Sent {
  std::string name;
  std::string direct;   // as storescu sends it to a PACS
  std::string through;  // as the PACS got it from the gateway
};

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(std::string(" \0", 2)) + 1);
  text.erase(0, text.find_first_not_of(' '));
  return text;
}

// Byte for byte, but for what was declared.
void expect_declared_changes_only(const Sent& sent, const nlohmann::json& explained) {
  SCOPED_TRACE(sent.name);
  const nlohmann::json& route = explained.at("routes").at(0);
  ASSERT_EQ(route.at("verdict"), "pass");
  if (route.at("changes").empty()) {
    EXPECT_TRUE(data_set_bytes(sent.direct) == data_set_bytes(sent.through))
        << "changed without a declaration";
    return;
  }
  const auto before = load_image(sent.direct);
  const auto after = load_image(sent.through);
  Differences::Map found = Differences::between(*before->getDataset(), *after->getDataset());
  // Says what the changed ones were; it holds no change of its own.
  EXPECT_EQ(found.erase("OriginalAttributesSequence"), 1U);
  Differences::Map declared;
  for (const auto& change : route.at("changes")) {
    declared[change.at("attribute").get<std::string>()] = change.at("after").get<std::string>();
  }
  for (auto& [path, text] : found) text = trimmed(text);
  EXPECT_EQ(found, declared);
}

constexpr const char* kRouting = R"(
[[filter]]
name = "sanitize"
type = "sanitize_uids"
missing = "pass"

[[destination]]
name = "pacs"
address = "ADDRESS"

[[route]]
filters = ["sanitize", "merge_studies", "remap_series_number"]
destinations = ["pacs"]
)";

TEST(Fixtures, LeaveAsTheyCameButForDeclaredChanges) {
  dcmEnableAutomaticInputDataCorrection.set(OFFalse);
  OFLog::configure(OFLogger::FATAL_LOG_LEVEL);  // these images break many rules
  const TemporaryFolder folder;
  StorescpProcess direct(folder.path("direct"));
  StorescpProcess pacs(folder.path("pacs"));
  direct.start();
  pacs.start();
  GatewayProcess gateway(
      folder.path("gateway"),
      std::string(kRouting).replace(std::string(kRouting).find("ADDRESS"), 7, pacs.address()),
      // Some of them are one image in several transfer syntaxes.
      "duplicate_window = \"0s\"\nother_bytes = \"deliver\"");
  gateway.start();

  std::vector<Sent> all;
  std::string refused;
  for (const std::string& image : all_fixtures()) {
    SCOPED_TRACE(image);
    const auto options = options_for(image, folder.path("profile"));
    const auto before = direct.files();
    if (!options || !send_images(direct.port(), {image}, *options)) {
      refused += " " + std::filesystem::path(image).filename().string();
      continue;
    }
    const auto as_sent = new_file(before, direct.files());
    ASSERT_TRUE(as_sent);
    const auto at_pacs = pacs.files();
    EXPECT_TRUE(send_images(gateway.port(), {image}, *options)) << gateway.log();
    ASSERT_TRUE(gateway.wait_for_lines("delivered", all.size() + 1)) << gateway.log();
    const auto arrived = new_file(at_pacs, pacs.files());
    ASSERT_TRUE(arrived);
    all.push_back({std::filesystem::path(image).filename(), *as_sent, *arrived});
  }

  std::vector<std::string> command = {"explain", "--json"};
  for (const Sent& sent : all) command.push_back(sent.direct);
  const Finished explained = gateway.run(command);
  ASSERT_EQ(explained.exit_code, 0) << explained.err;
  const nlohmann::json decisions = explained.json();
  ASSERT_EQ(decisions.size(), all.size());
  std::size_t changed = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    expect_declared_changes_only(all[i], decisions[i]);
    if (!decisions[i].at("routes").at(0).at("changes").empty()) ++changed;
  }
  std::cout << all.size() << " of " << all_fixtures().size() << " images sent and compared, "
            << changed << " of them with declared changes; storescu sends no" << refused << '\n';
  EXPECT_GE(all.size(), 50U);
  EXPECT_GT(changed, 0U);
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
