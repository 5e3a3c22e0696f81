// The files below conf/ are right, and conf/sluice.toml tells all there is.

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/config/config.h"
#include "gateway/config/table.h"
#include "tests/support/accepted_keys.h"
#include "tests/support/fixtures.h"

namespace sluice::config {
namespace {

using test::accepted_keys;
using testing::Contains;
using testing::IsEmpty;

const std::string kFolder = SLUICE_CONF_FOLDER;

std::vector<std::string> shipped_files() {
  std::vector<std::string> files{kFolder + "/sluice.toml"};
  for (const auto& entry : std::filesystem::directory_iterator(kFolder + "/examples")) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(ShippedFiles, LoadWithoutMistakes) {
  const auto files = shipped_files();
  ASSERT_GE(files.size(), 2U);
  for (const std::string& file : files) {
    Mistakes mistakes(file);
    (void)load(file, mistakes);
    EXPECT_EQ(mistakes.text(), "");
  }
}

TEST(ShippedFiles, MinimalConfigurationHasAtMostTwelveLines) {
  const std::string text = test::read_file(kFolder + "/examples/minimal.toml");
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 12);
}

TEST(ShippedFiles, FullConfigurationHoldsEveryKeyOfTheCode) {
  Mistakes mistakes("sluice.toml");
  Table root = Table::parse(test::read_file(kFolder + "/sluice.toml"), mistakes);
  ASSERT_TRUE(mistakes.empty());

  auto gateway = root.table("gateway");
  ASSERT_TRUE(gateway);
  const auto gateway_keys = accepted_keys("[gateway]");
  EXPECT_THAT(gateway_keys, Contains("data_dir"));
  for (const std::string& key : gateway_keys) EXPECT_THAT(gateway->keys(), Contains(key));

  for (const std::string kind : {"listener", "destination", "route"}) {
    const auto tables = root.tables(kind);
    ASSERT_FALSE(tables.empty()) << kind;
    const auto keys = accepted_keys("[[" + kind + "]]");
    EXPECT_THAT(keys, Contains("name"));
    for (const std::string& key : keys) {
      // It would name files that are not there, so it stands there as a comment.
      if (key == "tls") continue;
      EXPECT_THAT(tables[0].keys(), Contains(key)) << kind;
    }
  }

  auto audit = root.table("audit");
  ASSERT_TRUE(audit);
  const auto audit_keys = accepted_keys("[audit]");
  EXPECT_THAT(audit_keys, Contains("source_id"));
  for (const std::string& key : audit_keys) EXPECT_THAT(audit->keys(), Contains(key));
  const auto destinations = audit->tables("destination");
  ASSERT_FALSE(destinations.empty());
  for (const std::string& key : accepted_keys("[audit]\n[[audit.destination]]")) {
    if (key == "tls") continue;  // only with another address
    EXPECT_THAT(destinations[0].keys(), Contains(key));
  }

  auto metrics = root.table("metrics");
  ASSERT_TRUE(metrics);
  const auto metrics_keys = accepted_keys("[metrics]");
  EXPECT_THAT(metrics_keys, Contains("port"));
  for (const std::string& key : metrics_keys) EXPECT_THAT(metrics->keys(), Contains(key));
}

TEST(ShippedFiles, FullConfigurationShowsEveryKeyOfTls) {
  const std::string text = test::read_file(kFolder + "/sluice.toml");
  for (const std::string kind : {"listener", "destination"}) {
    const std::string heading = "# [" + kind + ".tls]\n";
    const std::size_t begin = text.find(heading);
    ASSERT_NE(begin, std::string::npos) << kind;
    const std::string section = text.substr(begin, text.find("\n[[", begin) - begin);
    std::string table = "[[";
    table.append(kind).append("]]\n[").append(kind).append(".tls]");
    const auto keys = accepted_keys(table);
    EXPECT_THAT(keys, Contains("ca"));
    for (const std::string& key : keys) {
      std::string own = "\n# [";
      own.append(kind).append(".tls.").append(key).append("]");
      const bool is_there = section.find("\n# " + key + " = ") != std::string::npos ||
                            section.find(own) != std::string::npos;
      EXPECT_TRUE(is_there) << kind << ": " << key;
    }
  }
}

TEST(ShippedFiles, FullConfigurationShowsEveryKeyOfAGroup) {
  const std::string text = test::read_file(kFolder + "/sluice.toml");
  const std::size_t begin = text.find("# [[group]]\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string section = text.substr(begin, text.find("\n[[", begin) - begin);
  const auto keys = accepted_keys("[[group]]");
  EXPECT_THAT(keys, Contains("mode"));
  for (const std::string& key : keys) {
    EXPECT_NE(section.find("\n# " + key + " = "), std::string::npos) << key;
  }
}

// What is a comment only must not be wrong because nobody reads it.
TEST(ShippedFiles, FullConfigurationIsRightWithItsTlsTablesInUse) {
  std::istringstream lines(test::read_file(kFolder + "/sluice.toml"));
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# [listener.tls") || line.starts_with("# [destination.tls"))
      inside = true;
    if (!line.starts_with("#")) inside = false;
    const bool is_entry = line.starts_with("# [") || line.find(" = \"/") != std::string::npos ||
                          line.find(" = [\"") != std::string::npos ||
                          line.starts_with("# client_certificate") || line.starts_with("# name = ");
    text += (inside && is_entry ? line.substr(2) : line) + "\n";
  }
  const std::string plain = "\"dicom://";
  text.replace(text.find("\n"
                         "address = " +
                         plain) +
                   1,
               10 + plain.size(), "address = \"dicoms://");
  Mistakes mistakes("sluice.toml");
  const Config config = parse(text, mistakes);
  EXPECT_EQ(mistakes.text(), "");
  ASSERT_TRUE(config.listeners.at(0).tls);
  EXPECT_EQ(config.listeners[0].tls->client_certificate, "required");
  EXPECT_EQ(config.listeners[0].tls->ae_titles.size(), 1U);
  ASSERT_TRUE(config.destinations.at(0).tls);
  EXPECT_EQ(config.destinations[0].tls->name, "pacs.hospital.example");
}

class FullConfiguration : public testing::Test {
 protected:
  FullConfiguration()
      : mistakes_("sluice.toml"), config_(load(kFolder + "/sluice.toml", mistakes_)) {}
  void SetUp() override { ASSERT_EQ(mistakes_.text(), ""); }

  Mistakes mistakes_;
  Config config_;
};

TEST_F(FullConfiguration, HoldsTheGatewaysDefaults) {
  const Gateway& shown = config_.gateway;
  const Gateway usual;
  EXPECT_EQ(shown.data_dir, usual.data_dir);
  EXPECT_EQ(shown.log_level, usual.log_level);
  EXPECT_EQ(shown.log_format, usual.log_format);
  EXPECT_EQ(shown.max_associations, usual.max_associations);
  EXPECT_EQ(shown.max_associations_per_address, usual.max_associations_per_address);
  EXPECT_EQ(shown.max_instance_size, usual.max_instance_size);
  EXPECT_EQ(shown.drain_timeout, usual.drain_timeout);
  EXPECT_EQ(shown.history, usual.history);
  EXPECT_EQ(shown.unrouted, usual.unrouted);
}

TEST_F(FullConfiguration, HoldsTheListenersDefaults) {
  ASSERT_EQ(config_.listeners.size(), 1U);
  const Listener& shown = config_.listeners[0];
  const Listener usual;
  EXPECT_EQ(shown.name, "listener-" + std::to_string(shown.port));
  EXPECT_EQ(shown.address, usual.address);
  EXPECT_EQ(shown.ae_titles, usual.ae_titles);
  EXPECT_EQ(shown.calling_ae_titles, usual.calling_ae_titles);
  EXPECT_EQ(shown.allow, usual.allow);
  EXPECT_THAT(shown.peers, IsEmpty());
  EXPECT_EQ(shown.user_identity, usual.user_identity);
  EXPECT_EQ(shown.transfer_syntaxes, usual.transfer_syntaxes);
  EXPECT_EQ(shown.max_pdu, usual.max_pdu);
  EXPECT_EQ(shown.request_timeout, usual.request_timeout);
  EXPECT_EQ(shown.idle_timeout, usual.idle_timeout);
  EXPECT_EQ(shown.stall_timeout, usual.stall_timeout);
  EXPECT_EQ(shown.message_timeout, usual.message_timeout);
}

TEST_F(FullConfiguration, HoldsTheDestinationsDefaults) {
  ASSERT_FALSE(config_.destinations.empty());
  const Destination& shown = config_.destinations[0];
  const Destination usual;
  EXPECT_EQ(shown.calling_ae_title, usual.calling_ae_title);
  EXPECT_EQ(shown.user_identity, usual.user_identity);
  EXPECT_EQ(shown.associations, usual.associations);
  EXPECT_EQ(shown.max_pdu, usual.max_pdu);
  EXPECT_EQ(shown.connect_timeout, usual.connect_timeout);
  EXPECT_EQ(shown.response_timeout, usual.response_timeout);
  EXPECT_EQ(shown.idle_timeout, usual.idle_timeout);
  EXPECT_EQ(shown.retry_min, usual.retry_min);
  EXPECT_EQ(shown.retry_max, usual.retry_max);
  EXPECT_EQ(shown.max_failures, usual.max_failures);
}

TEST_F(FullConfiguration, HoldsTheAuditTrailsDefaults) {
  const Audit& shown = config_.audit;
  const Audit usual;
  EXPECT_EQ(shown.source_id, usual.source_id);
  EXPECT_EQ(shown.site_id, usual.site_id);
  EXPECT_EQ(shown.max_size, usual.max_size);
  ASSERT_EQ(shown.destinations.size(), 1U);
  EXPECT_EQ(shown.destinations[0].retry_min, AuditDestination().retry_min);
  EXPECT_EQ(shown.destinations[0].retry_max, AuditDestination().retry_max);
}

TEST_F(FullConfiguration, HoldsTheDefaultsOfMetrics) {
  ASSERT_TRUE(config_.metrics);
  EXPECT_EQ(config_.metrics->address, Metrics().address);
  EXPECT_EQ(config_.metrics->port, Metrics().port);
}

TEST_F(FullConfiguration, HoldsTheRoutesDefaults) {
  ASSERT_FALSE(config_.routes.empty());
  const Route& shown = config_.routes[0];
  EXPECT_EQ(shown.name, "route-1");
  ASSERT_TRUE(shown.when);
  EXPECT_THAT(shown.when->keys(), IsEmpty());
  EXPECT_THAT(shown.filters, IsEmpty());
  EXPECT_EQ(shown.final, Route().final);
}

}  // namespace
}  // namespace sluice::config
