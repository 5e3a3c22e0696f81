// TLS with DCMTK's own tools on both sides, between two gateways, and what `check` says
// of certificates.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/dcmtk_tools.h"
#include "tests/e2e/gateway_process.h"
#include "tests/e2e/images.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_peer.h"

namespace sluice::test {
namespace {

using std::chrono::hours;
using testing::HasSubstr;
using testing::Not;

std::string quoted(const std::string& key, const std::string& path) {
  return key + " = \"" + path + "\"\n";
}

// But for what storescu leaves out, and writes with another form of length.
Differences::Map differences(const std::string& sent, const std::string& arrived) {
  const auto left = load_image(sent);
  const auto right = load_image(arrived);
  Differences::Map found = Differences::between(*left->getDataset(), *right->getDataset());
  found.erase("DataSetTrailingPadding");
  found.erase("OtherPatientIDsSequence");
  return found;
}

class Tls : public testing::Test {
 protected:
  Tls() : authority_(folder_.path("")) {
    gateway_ = authority_.issue("gateway", {.common_name = "gateway"});
    modality_ = authority_.issue("modality", {.common_name = "modality"});
    pacs_ = authority_.issue("pacs", {.common_name = "pacs"});
  }

  // The table of a listener that asks for certificates.
  [[nodiscard]] std::string listener(const std::string& more = "") const {
    return "[listener.tls]\n" + quoted("certificate", gateway_.certificate) +
           quoted("key", gateway_.key) + quoted("ca", authority_.file()) + more + "\n";
  }
  [[nodiscard]] std::string destination(std::uint16_t port, const std::string& more = "") const {
    return "[[destination]]\nname = \"pacs\"\naddress = \"dicoms://PACS@127.0.0.1:" +
           std::to_string(port) + "\"\nretry_min = \"100ms\"\nretry_max = \"200ms\"\n" +
           "[destination.tls]\n" + quoted("ca", authority_.file()) +
           quoted("certificate", gateway_.certificate) + quoted("key", gateway_.key) + more +
           "\n[[route]]\ndestinations = [\"pacs\"]\n";
  }
  // DCMTK's options for a peer with this certificate.
  [[nodiscard]] std::vector<std::string> dcmtk(const Issued& issued) const {
    return {"+tls", issued.key, issued.certificate, "+cf", authority_.file()};
  }
  [[nodiscard]] StorescpProcess make_pacs(const Issued& issued) const {
    std::vector<std::string> options = dcmtk(issued);
    options.insert(options.begin(), "+xa");
    return StorescpProcess(folder_.path("pacs"), std::move(options));
  }

  TemporaryFolder folder_;
  Authority authority_;
  Issued gateway_;
  Issued modality_;
  Issued pacs_;
};

TEST_F(Tls, CarriesImagesFromStorescuToStorescp) {
  StorescpProcess pacs = make_pacs(pacs_);
  pacs.start();
  GatewayProcess gateway(
      folder_.path("gateway"),
      listener("[listener.tls.ae_titles]\nmodality = \"MODALITY\"\n") + destination(pacs.port()));
  gateway.start();
  const auto images = make_series(folder_.path("images"), "1.2.3.4", 10);
  EXPECT_TRUE(send_images(gateway.port(), images, dcmtk(modality_))) << gateway.log();
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", images.size()}})) << gateway.log();
  ASSERT_EQ(pacs.files().size(), images.size());
  for (const std::string& file : pacs.files()) {
    const std::string uid = text_of(file, DCM_SOPInstanceUID);
    EXPECT_EQ(differences(folder_.path("images/" + uid + ".dcm"), file), Differences::Map());
  }
  EXPECT_TRUE(gateway.wait_for_lines("certificate", 2)) << gateway.log();
  EXPECT_TRUE(gateway.lines("refused for security").empty());
  EXPECT_EQ(gateway.stop(), 0) << gateway.log();
}

TEST_F(Tls, CarriesALargeImage) {
  StorescpProcess pacs = make_pacs(pacs_);
  pacs.start();
  GatewayProcess gateway(folder_.path("gateway"), listener() + destination(pacs.port()));
  gateway.start();
  // 2,000 frames of 128 x 128 x 2 bytes: 65 MB.
  const std::string image = folder_.path("large.dcm");
  {
    const auto file = load_image(fixture("CT_small.dcm"));
    DcmDataset& data_set = *file->getDataset();
    const std::vector<Uint16> pixels(std::size_t{2000} * 128 * 128, 0x1234);
    require(data_set.putAndInsertString(DCM_NumberOfFrames, "2000"), "frames");
    require(data_set.putAndInsertUint16Array(DCM_PixelData, pixels.data(), pixels.size()),
            "pixels");
    require(file->saveFile(image.c_str(), EXS_LittleEndianExplicit), "save");
  }
  EXPECT_TRUE(send_images(gateway.port(), {image}, dcmtk(modality_))) << gateway.log();
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", 1}})) << gateway.log();
  ASSERT_EQ(pacs.files().size(), 1U);
  EXPECT_EQ(differences(image, *pacs.files().begin()), Differences::Map());
}

TEST_F(Tls, RefusesStorescuWithoutCertificateAndWithAnAeTitleOfAnother) {
  GatewayProcess gateway(
      folder_.path("gateway"),
      listener("[listener.tls.ae_titles]\nmodality = \"CT1\"\n") + destination(quiet_port()));
  gateway.start();
  const auto images = make_series(folder_.path("images"), "1.2.3.4", 1);
  EXPECT_FALSE(send_images(gateway.port(), images, {"--anonymous-tls", "+cf", authority_.file()}));
  EXPECT_FALSE(send_images(gateway.port(), images));
  const Finished other = run_program(storescu_arguments(gateway.port(), images, dcmtk(modality_)));
  EXPECT_THAT(other.out + other.err, HasSubstr("Calling AE Title Not Recognized"));
  ASSERT_TRUE(gateway.wait_for_lines("refused for security", 3)) << gateway.log();
  std::vector<std::string> reasons;
  for (const auto& line : gateway.lines("refused for security")) reasons.push_back(line["reason"]);
  EXPECT_THAT(reasons, testing::ElementsAre("no certificate", "not TLS", "AE title of another"));
  EXPECT_TRUE(gateway.spooled().empty());
}

// Nothing is held for a person: when the destination has a good certificate again, all
// that waits goes by itself.
TEST_F(Tls, DeliversByItselfOnceTheDestinationHasAGoodCertificate) {
  authority_.issue("pacs", {.common_name = "pacs", .ends = hours(-1)});
  StorescpProcess pacs = make_pacs(pacs_);
  pacs.start();
  GatewayProcess gateway(folder_.path("gateway"), listener() + destination(pacs.port()));
  gateway.start();
  const auto images = make_series(folder_.path("images"), "1.2.3.4", 3);
  EXPECT_TRUE(send_images(gateway.port(), images, dcmtk(modality_)));
  ASSERT_TRUE(gateway.wait_for_lines("refused for security", 2)) << gateway.log();
  EXPECT_EQ(gateway.lines("refused for security")[0].at("reason"), "certificate expired");
  EXPECT_EQ(gateway.counts()["held"], 0U);
  pacs.stop();
  authority_.issue("pacs", {.common_name = "pacs"});
  pacs.start();
  EXPECT_TRUE(gateway.wait_for_counts({{"delivered", images.size()}})) << gateway.log();
  EXPECT_TRUE(gateway.lines("held").empty());
}

TEST_F(Tls, CarriesImagesFromGatewayToGateway) {
  StorescpProcess pacs = make_pacs(pacs_);
  pacs.start();
  GatewayProcess second(
      folder_.path("second"),
      listener("[listener.tls.ae_titles]\ngateway = \"SLUICE\"\n") + destination(pacs.port()));
  second.start();
  GatewayProcess first(folder_.path("first"), listener() + destination(second.port()));
  first.start();
  const auto images = make_series(folder_.path("images"), "1.2.3.4", 20);
  EXPECT_TRUE(send_images(first.port(), images, dcmtk(modality_)));
  EXPECT_TRUE(second.wait_for_counts({{"delivered", images.size()}})) << second.log();
  EXPECT_EQ(pacs.files().size(), images.size());
  EXPECT_EQ(first.stop(), 0);
  EXPECT_EQ(second.stop(), 0);
}

// A sender that dies inside an image leaves nothing, and the next one is served.
TEST_F(Tls, KeepsNothingOfAnImageThatIsCutOff) {
  GatewayProcess gateway(folder_.path("gateway"), listener() + destination(quiet_port()));
  gateway.start();
  TlsPeer peer = TlsPeer::connect(
      gateway.port(),
      {.certificate = modality_.certificate, .key = modality_.key, .ca = authority_.file()});
  ASSERT_TRUE(peer.handshake()) << peer.error();
  peer.send(RequestParts().bytes());
  ASSERT_EQ(peer.receive_pdu().substr(0, 1), "\2");
  peer.send(data_pdu(pdv(3, true, true, store_request(kCtStorage, "1.2.3.4.5"))));
  peer.send(data_pdu(pdv(3, false, false, small_data_set(kCtStorage, "1.2.3.4.5"))));
  peer.close();
  const auto ended = gateway.wait_for_line("association ended");
  ASSERT_TRUE(ended);
  EXPECT_THAT(ended->at("reason").get<std::string>(), HasSubstr("without ending TLS"));
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  const auto images = make_series(folder_.path("images"), "1.2.3.4", 1);
  EXPECT_TRUE(send_images(gateway.port(), images, dcmtk(modality_)));
}

TEST_F(Tls, TheExampleIsRightOnceItsFilesAreThere) {
  std::string text = read_file(SLUICE_EXAMPLE);
  const std::string from = "/etc/sluice/tls";
  for (std::size_t at = 0; (at = text.find(from)) != std::string::npos;) {
    text.replace(at, from.size(), folder_.path("tls"));
  }
  const std::string config = folder_.path("tls.toml");
  std::ofstream(config) << text;
  const Finished missing = run_program({SLUICE_PROGRAM, "check", config});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("tls.toml:9: certificate "));
  EXPECT_THAT(missing.err, HasSubstr("tls.toml:20: ca "));

  std::filesystem::create_directories(folder_.path("tls"));
  std::filesystem::copy_file(authority_.file(), folder_.path("tls/hospital-ca.pem"));
  std::filesystem::copy_file(gateway_.certificate, folder_.path("tls/gateway.pem"));
  std::filesystem::copy_file(gateway_.key, folder_.path("tls/gateway.key"));
  const Finished good = run_program({SLUICE_PROGRAM, "check", config});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.err, "");
}

TEST_F(Tls, CheckWarnsOfACertificateThatEndsSoonAndRefusesOneThatHasEnded) {
  const GatewayProcess gateway(folder_.path("gateway"), listener() + destination(104));
  const auto check = [&](const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {SLUICE_PROGRAM, "check", gateway.config_file()};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(std::move(all));
  };
  authority_.issue("gateway", {.ends = hours(100)});
  const Finished soon = check();
  EXPECT_EQ(soon.exit_code, 0);
  EXPECT_THAT(soon.err, HasSubstr(": warning: certificate " + gateway_.certificate));
  EXPECT_THAT(soon.err, HasSubstr("expires in 4 days"));
  const nlohmann::json told = check({"--json"}).json();
  EXPECT_EQ(told.at("valid"), true);
  EXPECT_EQ(told.at("warnings").size(), 2U);

  authority_.issue("gateway", {.ends = hours(-1)});
  const Finished expired = check();
  EXPECT_EQ(expired.exit_code, 1);
  EXPECT_THAT(expired.err, HasSubstr("expired 1 hours ago"));
  EXPECT_THAT(expired.err, Not(HasSubstr("warning")));
}

TEST_F(Tls, AnExpiredCertificateDoesNotStopTheStart) {
  authority_.issue("gateway", {.ends = hours(-1)});
  GatewayProcess gateway(folder_.path("gateway"), listener() + destination(quiet_port()));
  gateway.start();
  EXPECT_FALSE(gateway.lines("configuration").empty());
  EXPECT_EQ(gateway.stop(), 0);
}

// The wrong file in the place of the old one is the likeliest mistake of a renewal.
TEST_F(Tls, AChangedCertificateThatHasEndedIsWarnedOf) {
  GatewayProcess gateway(folder_.path("gateway"), listener() + destination(quiet_port()));
  gateway.start();
  authority_.issue("gateway", {.ends = hours(-1)});
  const auto images = make_series(folder_.path("images"), "1.2.3.4", 1);
  ASSERT_TRUE(wait_until(
      [&] {
        static_cast<void>(send_images(gateway.port(), images, dcmtk(modality_)));
        return !gateway.lines("certificates read again").empty();
      },
      kDeadline));
  EXPECT_TRUE(wait_until(
      [&] {
        return std::ranges::any_of(gateway.lines("certificate"), [](const auto& line) {
          return line.contains("file") && line.at("ends_in") == "expired";
        });
      },
      kDeadline))
      << gateway.log();
  EXPECT_EQ(gateway.stop(), 0);
}

}  // namespace
}  // namespace sluice::test
