#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/config/config.h"

namespace sluice::config {
namespace {

using testing::HasSubstr;

std::optional<Metrics> read_metrics_of(const std::string& toml, std::string& mistakes) {
  Mistakes noted("f");
  Config config = parse(toml + R"(
[[listener]]
name = "modalities"
address = "127.0.0.1"
port = 104
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:104"
[[route]]
destinations = ["pacs"]
)",
                        noted);
  mistakes = noted.text();
  return config.metrics;
}

TEST(MetricsTable, IsOffWhenAbsent) {
  std::string mistakes;
  EXPECT_FALSE(read_metrics_of("", mistakes));
  EXPECT_EQ(mistakes, "");
}

TEST(MetricsTable, ListensOnLoopbackUnlessToldOtherwise) {
  std::string mistakes;
  const auto usual = read_metrics_of("[metrics]", mistakes);
  ASSERT_TRUE(usual);
  EXPECT_EQ(usual->address, "127.0.0.1");
  EXPECT_EQ(usual->port, 9464);
  const auto other = read_metrics_of("[metrics]\naddress = \"10.1.2.3\"\nport = 9100", mistakes);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->address, "10.1.2.3");
  EXPECT_EQ(other->port, 9100);
  EXPECT_EQ(mistakes, "");
}

TEST(MetricsTable, RefusesWhatItCannotListenOn) {
  std::string mistakes;
  (void)read_metrics_of("[metrics]\naddress = \"localhost\"\nport = 70000\npath = \"/m\"",
                        mistakes);
  EXPECT_THAT(mistakes, HasSubstr("f:2: address must be an IP address of this machine"));
  EXPECT_THAT(mistakes, HasSubstr("f:3: port must be"));
  EXPECT_THAT(mistakes, HasSubstr("f:4: unknown key 'path'"));
}

TEST(MetricsTable, MayNotHaveThePortOfAListener) {
  std::string mistakes;
  (void)read_metrics_of("[metrics]\nport = 104", mistakes);
  EXPECT_THAT(mistakes, HasSubstr("f:2: port 104 is that of the listener 'modalities'"));
  (void)read_metrics_of("[metrics]\naddress = \"::\"\nport = 104", mistakes);
  EXPECT_THAT(mistakes, HasSubstr("f:3: port 104 is that of the listener 'modalities'"));
  (void)read_metrics_of("[metrics]\naddress = \"127.0.0.2\"\nport = 104", mistakes);
  EXPECT_EQ(mistakes, "");
}

}  // namespace
}  // namespace sluice::config
