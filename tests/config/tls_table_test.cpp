// [listener.tls] and [destination.tls] as they stand in the file.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/config/config.h"

namespace sluice::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kRest = R"(
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:104"
[[route]]
destinations = ["pacs"]
)";

// The lines of a listener with TLS, and the mistakes in them.
std::string mistakes_of_listener(const std::string& lines) {
  Mistakes mistakes("f");
  (void)parse("[[listener]]\nport = 1\n[listener.tls]\n" + lines + kRest, mistakes);
  return mistakes.text();
}

std::string mistakes_of_destination(const std::string& scheme, const std::string& lines) {
  Mistakes mistakes("f");
  (void)parse("[[listener]]\nport = 1\n[[destination]]\nname = \"pacs\"\naddress = \"" + scheme +
                  "://PACS@host:104\"\n" + lines + "[[route]]\ndestinations = [\"pacs\"]\n",
              mistakes);
  return mistakes.text();
}

const std::string kOwn = "certificate = \"a.pem\"\nkey = \"a.key\"\n";

TEST(TlsTable, OfAListenerIsRead) {
  Mistakes mistakes("f");
  const Config config = parse("[[listener]]\nport = 1\n[listener.tls]\n" + kOwn + R"(
ca = "ca.pem"
crl = "ca.crl"
[listener.tls.ae_titles]
"CT1.Example" = ["CT1", "CT2"]
router = "*"
"SHA256:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF" = "MR1"
)" + kRest,
                              mistakes);
  EXPECT_EQ(mistakes.text(), "");
  ASSERT_TRUE(config.listeners.at(0).tls);
  const Tls& tls = *config.listeners[0].tls;
  EXPECT_EQ(tls.certificate, "a.pem");
  EXPECT_EQ(tls.key, "a.key");
  EXPECT_EQ(tls.ca, "ca.pem");
  EXPECT_EQ(tls.crl, "ca.crl");
  EXPECT_EQ(tls.client_certificate, "required");
  EXPECT_EQ(tls.lines.at("crl"), 8);
  ASSERT_EQ(tls.ae_titles.size(), 3U);
  EXPECT_EQ(tls.ae_titles[0].certificate, "ct1.example");
  EXPECT_THAT(tls.ae_titles[0].ae_titles, ElementsAre("CT1", "CT2"));
  EXPECT_THAT(tls.ae_titles[1].ae_titles, ElementsAre("*"));
  EXPECT_EQ(tls.ae_titles[2].certificate,
            "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
}

TEST(TlsTable, AsksForNoCertificateWhereThereIsNoCa) {
  Mistakes mistakes("f");
  const Config config = parse("[[listener]]\nport = 1\n[listener.tls]\n" + kOwn + kRest, mistakes);
  EXPECT_EQ(mistakes.text(), "");
  EXPECT_EQ(config.listeners.at(0).tls.value().client_certificate, "none");
}

TEST(TlsTable, OfAListenerTellsEveryMistake) {
  EXPECT_EQ(mistakes_of_listener(""), "f:3: certificate is missing\nf:3: key is missing\n");
  EXPECT_THAT(mistakes_of_listener("certificate = \"\"\nkey = \"k\"\n"),
              HasSubstr("f:4: certificate must be the path"));
  EXPECT_THAT(mistakes_of_listener(kOwn + "client_certificate = \"required\"\n"),
              HasSubstr("f:6: client_certificate = \"required\" needs a ca"));
  EXPECT_THAT(mistakes_of_listener(kOwn + "ca = \"c\"\nclient_certificate = \"none\"\n"),
              HasSubstr("f:6: ca means nothing"));
  EXPECT_THAT(mistakes_of_listener(kOwn + "crl = \"c\"\n"), HasSubstr("f:6: crl means nothing"));
  EXPECT_THAT(mistakes_of_listener(kOwn + "name = \"x\"\n"), HasSubstr("unknown key 'name'"));
  EXPECT_THAT(mistakes_of_listener(kOwn + "[listener.tls.ae_titles]\nct = \"CT\"\n"),
              HasSubstr("ae_titles need clients with certificates"));
}

TEST(TlsTable, TellsWhoIsNamedBadly) {
  const std::string begin = kOwn + "ca = \"c\"\n[listener.tls.ae_titles]\n";
  EXPECT_THAT(mistakes_of_listener(begin + "ct = []\n"), HasSubstr("'ct' names no AE title"));
  EXPECT_THAT(mistakes_of_listener(begin + "ct = \"A TITLE TOO LONG TO BE\"\n"),
              HasSubstr("longer than 16"));
  EXPECT_THAT(mistakes_of_listener(begin + "\"sha256:00\" = \"CT\"\n"),
              HasSubstr("is no SHA-256 fingerprint"));
}

TEST(TlsTable, OfADestinationIsRead) {
  Mistakes mistakes("f");
  const Config config = parse(R"(
[[listener]]
port = 1
[[destination]]
name = "pacs"
address = "dicoms://PACS@pacs.example:2762"
tls = { ca = "ca.pem", name = "other.example" }
[[route]]
destinations = ["pacs"]
)",
                              mistakes);
  EXPECT_EQ(mistakes.text(), "");
  const Destination& pacs = config.destinations.at(0);
  EXPECT_EQ(pacs.scheme, "dicoms");
  EXPECT_EQ(pacs.called_ae_title, "PACS");
  EXPECT_EQ(pacs.host, "pacs.example");
  EXPECT_EQ(pacs.port, 2762);
  EXPECT_EQ(pacs.tls.value().ca, "ca.pem");
  EXPECT_EQ(pacs.tls->name, "other.example");
}

TEST(TlsTable, OfADestinationTellsEveryMistake) {
  EXPECT_THAT(mistakes_of_destination("dicoms", ""),
              HasSubstr("f:5: dicoms: needs a [destination.tls]"));
  EXPECT_THAT(mistakes_of_destination("dicom", "tls = { ca = \"c\" }\n"),
              HasSubstr("f:6: [destination.tls] means nothing for a dicom: destination"));
  EXPECT_THAT(mistakes_of_destination("dicoms", "[destination.tls]\n"),
              HasSubstr("f:6: ca is missing"));
  EXPECT_THAT(mistakes_of_destination("dicoms", "tls = { ca = \"c\", key = \"k\" }\n"),
              HasSubstr("certificate and key go together"));
  EXPECT_THAT(mistakes_of_destination("dicoms", "tls = { ca = \"c\", name = \"\" }\n"),
              HasSubstr("name must be the DNS name or IP address"));
  EXPECT_THAT(mistakes_of_destination("dicoms", "tls = { ca = \"c\", client_certificate = 1 }\n"),
              HasSubstr("unknown key 'client_certificate'"));
}

}  // namespace
}  // namespace sluice::config
