#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/config/config.h"

namespace sluice::config {
namespace {

using testing::HasSubstr;

constexpr const char* kPlainGateway = R"(
[[listener]]
port = 104
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:104"
[[route]]
destinations = ["pacs"]
)";

Audit read(const std::string& toml, std::string& mistakes) {
  Mistakes noted("f");
  Audit audit = parse(toml + kPlainGateway, noted).audit;
  mistakes = noted.text();
  return audit;
}

TEST(AuditTable, IsOffWhenAbsent) {
  std::string mistakes;
  EXPECT_TRUE(read("", mistakes).destinations.empty());
  EXPECT_EQ(mistakes, "");
}

TEST(AuditTable, ReadsEveryKindOfAddress) {
  std::string mistakes;
  const Audit audit = read(R"(
[audit]
source_id = "sluice-1"
site_id = "Hospital"
max_size = "8 MiB"
[[audit.destination]]
address = "syslog://collector.example:601"
[[audit.destination]]
address = "syslog://[fd00::7]:601"
[[audit.destination]]
address = "unix:/dev/log"
[[audit.destination]]
address = "file:///var/log/sluice/audit.log"
retry_min = "2s"
[[audit.destination]]
address = "syslogs://collector.example:6514"
[audit.destination.tls]
ca = "ca.pem"
)",
                           mistakes);
  EXPECT_EQ(mistakes, "");
  EXPECT_EQ(audit.source_id, "sluice-1");
  EXPECT_EQ(audit.site_id, "Hospital");
  EXPECT_EQ(audit.max_size, 8U << 20U);
  ASSERT_EQ(audit.destinations.size(), 5U);
  EXPECT_EQ(audit.destinations[0].scheme, "syslog");
  EXPECT_EQ(audit.destinations[0].host, "collector.example");
  EXPECT_EQ(audit.destinations[0].port, 601);
  EXPECT_EQ(audit.destinations[1].host, "fd00::7");
  EXPECT_EQ(audit.destinations[2].path, "/dev/log");
  EXPECT_EQ(audit.destinations[3].path, "/var/log/sluice/audit.log");
  EXPECT_EQ(audit.destinations[3].retry_min, milliseconds(2000));
  ASSERT_TRUE(audit.destinations[4].tls);
  EXPECT_EQ(audit.destinations[4].tls->ca, "ca.pem");
}

TEST(AuditTable, TellsEveryMistakeAtItsLine) {
  for (const char* address :
       {"syslog://host", "syslog://a@host:1", "syslog:host:1", "udp://host:1", "host:1",
        "file:audit.log", "file:///", "unix://host/log", "syslog://host:0", "file:/a\\u0001b"}) {
    std::string mistakes;
    (void)read("[audit]\n[[audit.destination]]\naddress = \"" + std::string(address) + "\"\n",
               mistakes);
    EXPECT_THAT(mistakes, HasSubstr("f:3: address must be syslog://host:port")) << address;
  }
  std::string mistakes;
  (void)read("[audit]\nmax_size = \"1 KiB\"\nmax_sizes = \"x\"\n", mistakes);
  EXPECT_THAT(mistakes, HasSubstr("f:1: [audit] has no [[audit.destination]]"));
  EXPECT_THAT(mistakes, HasSubstr("f:2: max_size must be at least 1 MiB"));
  EXPECT_THAT(mistakes, HasSubstr("f:3: unknown key 'max_sizes'; did you mean 'max_size'?"));
  (void)read(
      "[audit]\n[[audit.destination]]\naddress = \"unix:/a\"\nretry_min = \"2s\"\n"
      "retry_max = \"1s\"\n[[audit.destination]]\naddress = \"unix:/a\"\n"
      "[[audit.destination]]\naddress = \"syslogs://host:6514\"\n",
      mistakes);
  EXPECT_THAT(mistakes, HasSubstr("f:4: retry_min must not be longer than retry_max"));
  EXPECT_THAT(mistakes, HasSubstr("f:7: address 'unix:/a' is used twice"));
  EXPECT_THAT(mistakes, HasSubstr("f:9: address syslogs: needs")) << mistakes;
}

}  // namespace
}  // namespace sluice::config
