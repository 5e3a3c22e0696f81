#include "gateway/config/address.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using testing::HasSubstr;

std::string mistake_of(std::string_view text) {
  const auto address = parse_destination_address(text);
  return address ? "none" : address.error().message;
}

TEST(DestinationAddress, HoldsAeTitleHostAndPort) {
  const auto address = parse_destination_address("dicom://PACS@pacs-1.hospital.example:104");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->scheme, "dicom");
  EXPECT_EQ(address->called_ae_title, "PACS");
  EXPECT_EQ(address->host, "pacs-1.hospital.example");
  EXPECT_EQ(address->port, 104);
  EXPECT_EQ(address->folder, "");
}

TEST(DestinationAddress, TakesIpv6HostsInBrackets) {
  const auto address = parse_destination_address("dicom://PACS@[fd00::7]:11112");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->host, "fd00::7");
  EXPECT_EQ(address->port, 11112);
  EXPECT_EQ(parse_destination_address("dicom://PACS@[fe80::1%eth0]:104")->host, "fe80::1%eth0");
}

TEST(DestinationAddress, TakesAeTitlesWithSpacesAndAtSigns) {
  const auto address = parse_destination_address("dicom://MY @ PACS@10.0.0.7:104");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->called_ae_title, "MY @ PACS");
  EXPECT_EQ(address->host, "10.0.0.7");
}

TEST(DestinationAddress, TakesAFolderByItsAbsolutePath) {
  const auto address = parse_destination_address("file:///srv/dicom images");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->scheme, "file");
  EXPECT_EQ(address->folder, "/srv/dicom images");
}

TEST(DestinationAddress, OverTlsHasTheSameForm) {
  const auto address = parse_destination_address("dicoms://PACS@[fd00::7]:2762");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->scheme, "dicoms");
  EXPECT_EQ(address->called_ae_title, "PACS");
  EXPECT_EQ(address->host, "fd00::7");
  EXPECT_EQ(address->port, 2762);
}

TEST(DestinationAddress, SaysWhichPartIsWrong) {
  EXPECT_EQ(mistake_of("PACS@127.0.0.1:104"),
            "address has no scheme: 'PACS@127.0.0.1:104'; write dicom://AET@host:port, "
            "dicoms://AET@host:port (TLS) or file:///absolute/folder");
  EXPECT_THAT(mistake_of("://PACS@h:104"), HasSubstr("has no scheme"));
  EXPECT_THAT(mistake_of("http://PACS@h:104"), HasSubstr("has the unknown scheme 'http'"));
  EXPECT_THAT(mistake_of("dicom://127.0.0.1:104"), HasSubstr("names no AE title"));
  EXPECT_THAT(mistake_of("dicom://@127.0.0.1:104"), HasSubstr("AE title that is empty"));
  EXPECT_THAT(mistake_of("dicom://SEVENTEEN-LETTERS@h:104"),
              HasSubstr("AE title that is longer than 16 characters"));
  EXPECT_THAT(mistake_of("dicom://PA\\CS@h:104"), HasSubstr("AE title that holds a backslash"));
  EXPECT_THAT(mistake_of("dicom://PACS@:104"), HasSubstr("names no host"));
  EXPECT_THAT(mistake_of("dicom://PACS@a host:104"), HasSubstr("has a bad host name"));
  EXPECT_THAT(mistake_of("dicom://PACS@h/path:104"), HasSubstr("has a bad host name"));
  EXPECT_THAT(mistake_of("dicom://PACS@fd00::7:104"), HasSubstr("IPv6 host without brackets"));
  EXPECT_THAT(mistake_of("dicom://PACS@[fd00::7:104"), HasSubstr("lacks ']'"));
  EXPECT_THAT(mistake_of("dicom://PACS@[fd00::x]:104"), HasSubstr("no IPv6 address between"));
  EXPECT_THAT(mistake_of("dicom://PACS@[10.0.0.7]:104"), HasSubstr("no IPv6 address between"));
  EXPECT_THAT(mistake_of("dicom://PACS@h"), HasSubstr("names no port"));
  EXPECT_THAT(mistake_of("dicom://PACS@[fd00::7]"), HasSubstr("names no port"));
  for (const char* port : {"0", "65536", "-1", "", "104/", "x"}) {
    EXPECT_THAT(mistake_of("dicom://PACS@h:" + std::string(port)),
                HasSubstr("has a bad port, which must be from 1 to 65535"))
        << port;
  }
  EXPECT_THAT(mistake_of("file://srv/dicom"), HasSubstr("must hold an absolute path"));
  EXPECT_THAT(mistake_of("file://"), HasSubstr("must hold an absolute path"));
  EXPECT_THAT(mistake_of("file:///"), HasSubstr("names no folder"));
  EXPECT_THAT(mistake_of("file:///srv\n"),
              HasSubstr("holds a control character: 'file:///srv\\n'"));
}

TEST(AeTitle, FollowsTheStandardsAlphabetAndLength) {
  EXPECT_EQ(find_ae_title_defect("SLUICE"), std::nullopt);
  EXPECT_EQ(find_ae_title_defect("ct 3 (north)"), std::nullopt);
  EXPECT_EQ(find_ae_title_defect("SIXTEEN-LETTERS-"), std::nullopt);
  EXPECT_EQ(find_ae_title_defect("SIXTEEN-LETTERS-X"), "is longer than 16 characters");
  EXPECT_EQ(find_ae_title_defect(""), "is empty");
  EXPECT_EQ(find_ae_title_defect("A\\B"), "holds a backslash");
  EXPECT_EQ(find_ae_title_defect("A\tB"), "holds a control character");
  EXPECT_EQ(find_ae_title_defect("A\x7F"), "holds a control character");
  EXPECT_EQ(find_ae_title_defect("CT-K\xC3\xB6ln"), "holds a character beyond ASCII");
  EXPECT_THAT(*find_ae_title_defect(" CT"), HasSubstr("has a space at its start or end"));
  EXPECT_THAT(*find_ae_title_defect("CT "), HasSubstr("has a space at its start or end"));
}

TEST(AeTitle, GlobsMayBeLongerThanATitle) {
  EXPECT_EQ(find_ae_title_glob_defect("*CT*NORTH*BUILDING*7*"), std::nullopt);
  EXPECT_EQ(find_ae_title_glob_defect("CT\\*"), "holds a backslash");
}

TEST(IpAddress, IsNumeric) {
  for (const char* text : {"::", "::1", "0.0.0.0", "127.0.0.1", "fd00::7", "fe80::1%eth0"}) {
    EXPECT_TRUE(is_ip_address(text)) << text;
  }
  for (const char* text : {"", "localhost", "256.0.0.1", "1.2.3", "[::1]", "::1%", "*"}) {
    EXPECT_FALSE(is_ip_address(text)) << text;
  }
  EXPECT_FALSE(is_ip_address(std::string("127.0.0.1\0x", 11)));
}

TEST(IpAddress, OverlapsWithItselfAndTheWildcard) {
  EXPECT_TRUE(do_addresses_overlap("127.0.0.1", "127.0.0.1"));
  EXPECT_TRUE(do_addresses_overlap("::1", "0:0:0:0:0:0:0:1"));
  EXPECT_TRUE(do_addresses_overlap("0.0.0.0", "127.0.0.1"));
  EXPECT_TRUE(do_addresses_overlap("fd00::7", "::"));
  EXPECT_TRUE(do_addresses_overlap("0.0.0.0", "::"));
  EXPECT_TRUE(do_addresses_overlap("::", "127.0.0.1"));
  EXPECT_FALSE(do_addresses_overlap("127.0.0.1", "127.0.0.2"));
  EXPECT_FALSE(do_addresses_overlap("127.0.0.1", "::1"));
  EXPECT_FALSE(do_addresses_overlap("0.0.0.0", "::1"));
  EXPECT_FALSE(do_addresses_overlap("fe80::1%eth0", "fe80::1%eth1"));
}

}  // namespace
}  // namespace sluice::config
