// Where instances go: a folder, a PACS that takes few transfer syntaxes, one that is
// dead beside one that lives.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;

std::string destination(const std::string& name, const std::string& address,
                        const std::string& more = "") {
  return "[[destination]]\nname = \"" + name + "\"\naddress = \"" + address + "\"\n" + more + "\n";
}
std::string route(const std::string& destinations, const std::string& more = "") {
  return "[[route]]\ndestinations = [" + destinations + "]\n" + more + "\n";
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

TEST(Folder, HoldsPart10FilesUnderSafeNames) {
  const TemporaryFolder folder;
  const fs::path archive = folder.path("archive");
  GatewayProcess gateway(folder.path("gateway"),
                         destination("folder", "file://" + archive.string()) + route("\"folder\""),
                         "duplicate_window = \"0s\"");
  gateway.start();
  const std::string image = folder.path("image.dcm");
  copy_image(fixture("CT_small.dcm"), image, {{DCM_PatientID, "../../a b/\xE9 .."}});

  // The same once more is the same file.
  EXPECT_TRUE(send_images(gateway.port(), {image}));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 1}})) << gateway.log();
  EXPECT_TRUE(send_images(gateway.port(), {image}));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 2}})) << gateway.log();

  const auto files = files_below(archive);
  ASSERT_THAT(files, SizeIs(1));
  const fs::path below = fs::relative(files.front(), archive);
  std::vector<std::string> names;
  for (const fs::path& part : below) names.push_back(part.string());
  ASSERT_THAT(names, SizeIs(4)) << below;
  for (const std::string& name : names) {
    EXPECT_THAT(name, MatchesRegex("[A-Za-z0-9_-][A-Za-z0-9_.-]*"));
  }
  EXPECT_EQ(names[1], text_of(image, DCM_StudyInstanceUID));
  EXPECT_EQ(names[2], text_of(image, DCM_SeriesInstanceUID));
  EXPECT_EQ(names[3], text_of(image, DCM_SOPInstanceUID) + ".dcm");
  EXPECT_EQ(run_program({"dcmftest", files.front()}).exit_code, 0);
  EXPECT_EQ(text_of(files.front(), DCM_PatientID), text_of(image, DCM_PatientID));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Folder, KeepsOtherBytesUnderTheSameUidsBesideTheFirst) {
  const TemporaryFolder folder;
  const std::string archive = folder.path("archive");
  GatewayProcess gateway(folder.path("gateway"),
                         destination("folder", "file://" + archive) + route("\"folder\""),
                         "other_bytes = \"deliver\"");
  gateway.start();
  const std::string other = folder.path("other.dcm");
  copy_image(fixture("CT_small.dcm"), other, {{DCM_ImageComments, "other"}});
  EXPECT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 1}})) << gateway.log();
  EXPECT_TRUE(send_images(gateway.port(), {other}));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 2}})) << gateway.log();
  EXPECT_THAT(files_below(archive), SizeIs(2));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(TransferSyntax, IsConvertedWhenThePacsRefusesIt) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"), {"+xi"});
  pacs.start();
  GatewayProcess gateway(folder.path("gateway"),
                         destination("pacs", pacs.address()) + route("\"pacs\""));
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("CT_small.dcm")}));
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 1}})) << gateway.log();

  ASSERT_THAT(pacs.files(), SizeIs(1));
  const auto sent = load_image(fixture("CT_small.dcm"));
  const auto arrived = load_image(*pacs.files().begin());
  EXPECT_EQ(arrived->getDataset()->getOriginalXfer(), EXS_LittleEndianImplicit);
  // Implicit VR has no VRs of private elements: those are UN to a reader, with the
  // same bytes. DCMTK re-encodes both to the same syntax to compare.
  Differences::Map differences;
  for (auto& [path, text] : Differences::between(*sent->getDataset(), *arrived->getDataset())) {
    if (path != "DataSetTrailingPadding") differences.emplace(path, text);
  }
  EXPECT_THAT(differences, IsEmpty());
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(TransferSyntax, IsNamedWhenItCannotBeConverted) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"), {"+xi"});
  pacs.start();
  GatewayProcess gateway(
      folder.path("gateway"),
      destination("pacs", pacs.address(), "max_failures = 1") + route("\"pacs\""));
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), {fixture("693_J2KI.dcm")}, {"-xw"}));
  EXPECT_TRUE(gateway.wait_for_counts({{"held", 1}})) << gateway.log();

  const nlohmann::json held =
      gateway.run({"queue", "list", "--json"}).json().at("deliveries").at(0);
  EXPECT_THAT(held.at("reason").get<std::string>(), HasSubstr("presentation context"));
  EXPECT_THAT(held.at("reason").get<std::string>(), HasSubstr("JPEG 2000"));
  EXPECT_THAT(pacs.files(), IsEmpty());
  EXPECT_THAT(gateway.spooled(), SizeIs(1));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST(Destinations, AreDelayedByNoDeadOne) {
  constexpr std::size_t kCount = 6;
  const TemporaryFolder folder;
  StorescpProcess alive(folder.path("alive"));
  const StorescpProcess dead(folder.path("dead"));
  alive.start();
  const std::string impatient = "retry_min = \"50ms\"\nretry_max = \"200ms\"";
  GatewayProcess gateway(folder.path("gateway"), destination("dead", dead.address(), impatient) +
                                                     destination("alive", alive.address()) +
                                                     route("\"dead\"") + route("\"alive\""));
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), make_series(folder.path("images"), "1.2.3.12", kCount)));

  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", kCount}}, "alive")) << gateway.log();
  EXPECT_THAT(alive.files(), SizeIs(kCount));
  // Several rounds later they still wait: an absent PACS is no refusal.
  EXPECT_TRUE(gateway.wait_for_lines("deferred", 5)) << gateway.log();
  EXPECT_TRUE(wait_until([&] {
    auto counts = gateway.counts("dead");
    return counts["deferred"] + counts["ready"] + counts["sending"] == kCount &&
           counts["deferred"] > 0;
  })) << gateway.log();
  EXPECT_THAT(gateway.spooled(), SizeIs(kCount));
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

}  // namespace
}  // namespace sluice::test
