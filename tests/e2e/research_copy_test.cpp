// A copy under other UIDs beside the original, and what comes back of it.
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"

namespace sluice::test {
namespace {

using ::testing::StartsWith;

const std::string kRoot = "1.2.826.0.1.3680043.10.999";

std::string routing(const StorescpProcess& pacs, const StorescpProcess& research) {
  return "[[filter]]\nname = \"research\"\ntype = \"remap_uids\"\nprefix = \"" + kRoot +
         "\"\n[[filter]]\nname = \"back\"\ntype = \"remap_uids\"\nmode = \"restore\"\n"
         "of = \"research\"\n[[destination]]\nname = \"pacs\"\naddress = \"" +
         pacs.address() + "\"\n[[destination]]\nname = \"research\"\naddress = \"" +
         research.address() +
         "\"\n[[route]]\nwhen = { calling_ae_title = \"RESEARCH\" }\nfilters = [\"back\"]\n"
         "destinations = [\"pacs\"]\nfinal = true\n[[route]]\ndestinations = [\"pacs\"]\n"
         "[[route]]\nfilters = [\"research\"]\ndestinations = [\"research\"]\n";
}

// Sorted, each as often as it is there.
std::vector<std::string> data_sets(const std::vector<std::string>& files) {
  std::vector<std::string> all;
  all.reserve(files.size());
  for (const std::string& file : files) all.push_back(data_set_bytes(file));
  std::ranges::sort(all);
  return all;
}
std::vector<std::string> files_of(const StorescpProcess& peer) {
  const auto files = peer.files();
  return {files.begin(), files.end()};
}

TEST(ResearchCopy, HasUidsOfItsOwnAndIsTheOriginalWhenItComesBack) {
  const TemporaryFolder folder;
  StorescpProcess pacs(folder.path("pacs"));
  StorescpProcess research(folder.path("research"));
  pacs.start();
  research.start();
  GatewayProcess gateway(folder.path("gateway"), routing(pacs, research));
  gateway.start();
  const std::vector<std::string> images = {fixture("CT_small.dcm"), fixture("MR_small.dcm"),
                                           fixture("rtplan.dcm")};
  ASSERT_TRUE(send_images(gateway.port(), images));
  ASSERT_TRUE(gateway.wait_for_counts({{"delivered", 6}})) << gateway.log();
  EXPECT_EQ(sop_instance_uids(pacs.files()), sop_instance_uids({images.begin(), images.end()}));
  const std::vector<std::string> originals = data_sets(files_of(pacs));

  const std::vector<std::string> copies = files_of(research);
  ASSERT_EQ(copies.size(), images.size());
  for (const std::string& copy : copies) {
    EXPECT_EQ(run_program({"dcmftest", copy}).exit_code, 0);
    const std::string uid = text_of(copy, DCM_SOPInstanceUID);
    EXPECT_THAT(uid, StartsWith(kRoot + "."));
    EXPECT_THAT(text_of(copy, DCM_StudyInstanceUID), StartsWith(kRoot + "."));
    EXPECT_EQ(text_of(*load_image(copy)->getMetaInfo(), DCM_MediaStorageSOPInstanceUID), uid);
    const auto found = gateway.run({"ledger", "lookup", uid, "--json"}).json();
    ASSERT_EQ(found.size(), 1U) << found;
    EXPECT_EQ(found.at(0).at("filter"), "research");
    const std::string before = found.at(0).at("before");
    EXPECT_EQ(data_set_bytes(copy).find(before), std::string::npos);
  }

  // After a restart, on which nothing is known but what the ledger has.
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  gateway.start();
  ASSERT_TRUE(send_images(gateway.port(), copies, {"-aet", "RESEARCH"}));
  ASSERT_TRUE(gateway.wait_for_counts({{"delivered", 9}})) << gateway.log();
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
  std::vector<std::string> twice = originals;
  twice.insert(twice.end(), originals.begin(), originals.end());
  std::ranges::sort(twice);
  EXPECT_TRUE(data_sets(files_of(pacs)) == twice) << "to the byte";
}

}  // namespace
}  // namespace sluice::test
