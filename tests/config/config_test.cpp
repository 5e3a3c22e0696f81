#include "gateway/config/config.h"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace sluice::config {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kListener = "[[listener]]\nport = 11112\n";
constexpr const char* kDestination =
    "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:11113\"\n";
constexpr const char* kRoute = "[[route]]\ndestinations = [\"pacs\"]\n";

std::string mistakes_of(const std::string& toml) {
  Mistakes mistakes("f");
  (void)parse(toml, mistakes);
  return mistakes.text();
}

// The mistakes that one more line in each kind of table makes. The line is the
// third of the file.
std::string in_gateway(const std::string& line) {
  return mistakes_of("# the tables\n[gateway]\n" + line + "\n" + kListener + kDestination + kRoute);
}
std::string in_listener(const std::string& line) {
  return mistakes_of(std::string(kListener) + line + "\n" + kDestination + kRoute);
}
std::string in_destination(const std::string& line) {
  return mistakes_of("[[destination]]\nname = \"pacs\"\n" + line + "\n" + kListener + kRoute);
}
std::string in_dicom_destination(const std::string& line) {
  return in_destination("address = \"dicom://PACS@127.0.0.1:11113\"\n" + line);
}
std::string in_route(const std::string& line) {
  return mistakes_of(std::string(kRoute) + line + "\n" + kListener + kDestination);
}

TEST(Config, NeedsOnlyAListenerADestinationAndARoute) {
  Mistakes mistakes("f");
  const Config config = parse(std::string(kListener) + kDestination + kRoute, mistakes);
  EXPECT_EQ(mistakes.text(), "");
  EXPECT_EQ(config.gateway.data_dir, "var");
  EXPECT_EQ(config.gateway.log_level, log::Level::info);
  EXPECT_EQ(config.gateway.duplicate_window, hours(24));
  EXPECT_EQ(config.gateway.other_bytes, "quarantine");
  EXPECT_EQ(config.gateway.discard_quarantined_after, hours(0)) << "never";
  ASSERT_EQ(config.listeners.size(), 1U);
  EXPECT_EQ(config.listeners[0].name, "listener-11112");
  EXPECT_EQ(config.listeners[0].address, "::");
  EXPECT_EQ(config.listeners[0].port, 11112);
  EXPECT_THAT(config.listeners[0].ae_titles, IsEmpty());
  ASSERT_EQ(config.destinations.size(), 1U);
  EXPECT_EQ(config.destinations[0].scheme, "dicom");
  EXPECT_EQ(config.destinations[0].called_ae_title, "PACS");
  EXPECT_EQ(config.destinations[0].host, "127.0.0.1");
  EXPECT_EQ(config.destinations[0].port, 11113);
  EXPECT_EQ(config.destinations[0].calling_ae_title, "SLUICE");
  ASSERT_EQ(config.routes.size(), 1U);
  EXPECT_EQ(config.routes[0].name, "route-1");
  EXPECT_FALSE(config.routes[0].when);
  EXPECT_THAT(config.routes[0].filters, IsEmpty());
  EXPECT_THAT(config.routes[0].destinations, ElementsAre("pacs"));
  EXPECT_FALSE(config.routes[0].final);
  EXPECT_EQ(config.routes[0].priority, Priority::medium);
}

// Every key, with a value that is not its default.
constexpr const char* kEveryKey = R"([gateway]
data_dir = "/srv/sluice"
log_level = "warning"
log_format = "json"
max_associations = 7
max_associations_per_address = 3
max_instance_size = "1 GiB"
min_free_space = "2 GiB"
drain_timeout = "5s"
history = "1d"
unrouted = "reject"
duplicate_window = "2h"
other_bytes = "new_uid"
irregular_tags = "reject"
max_nesting = 120
alarm_waiting = "10min"
alarm_held = "3h"
alarm_quarantined = "4h"
discard_quarantined_after = "90d"
[[listener]]
name = "north"
address = "127.0.0.1"
port = 104
ae_titles = ["SLUICE", "OLD PACS"]
calling_ae_titles = "CT*"
transfer_syntaxes = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]
max_pdu = "16 KiB"
request_timeout = "1s"
idle_timeout = "2s"
stall_timeout = "3s"
message_timeout = "4s"
[[filter]]
name = "renumber"
type = "remap_series_number"
base = 10000
[[destination]]
name = "pacs"
address = "dicom://PACS@[::1]:104"
calling_ae_title = "GATE"
associations = 4
max_pdu = "32 KiB"
connect_timeout = "1s"
response_timeout = "2s"
idle_timeout = "3s"
retry_min = "4s"
retry_max = "5s"
max_failures = 6
[[destination]]
name = "folder"
address = "file:///srv/images"
[[route]]
name = "ct"
when = { Modality = ["CT", "MR"], calling_ae_title = "CT*" }
filters = ["sanitize_uids", "renumber"]
destinations = ["pacs", "folder"]
final = true
priority = "high"
)";

class ConfigWithEveryKey : public testing::Test {
 protected:
  ConfigWithEveryKey() : mistakes_("f"), config_(parse(kEveryKey, mistakes_)) {}
  void SetUp() override { ASSERT_EQ(mistakes_.text(), ""); }

  Mistakes mistakes_;
  Config config_;
};

TEST_F(ConfigWithEveryKey, ReadsTheGateway) {
  EXPECT_EQ(config_.gateway.data_dir, "/srv/sluice");
  EXPECT_EQ(config_.gateway.log_level, log::Level::warning);
  EXPECT_EQ(config_.gateway.log_format, log::Format::json);
  EXPECT_EQ(config_.gateway.max_associations, 7);
  EXPECT_EQ(config_.gateway.max_associations_per_address, 3);
  EXPECT_EQ(config_.gateway.max_instance_size, 1ULL << 30U);
  EXPECT_EQ(config_.gateway.min_free_space, 2ULL << 30U);
  EXPECT_EQ(config_.gateway.drain_timeout, seconds(5));
  EXPECT_EQ(config_.gateway.history, hours(24));
  EXPECT_EQ(config_.gateway.unrouted, "reject");
  EXPECT_EQ(config_.gateway.duplicate_window, hours(2));
  EXPECT_EQ(config_.gateway.other_bytes, "new_uid");
  EXPECT_EQ(config_.gateway.irregular_tags, "reject");
  EXPECT_EQ(config_.gateway.max_nesting, 120);
  EXPECT_EQ(config_.gateway.alarm_waiting, minutes(10));
  EXPECT_EQ(config_.gateway.alarm_held, hours(3));
  EXPECT_EQ(config_.gateway.alarm_quarantined, hours(4));
  EXPECT_EQ(config_.gateway.discard_quarantined_after, hours(24 * 90));
}

TEST_F(ConfigWithEveryKey, ReadsListeners) {
  ASSERT_EQ(config_.listeners.size(), 1U);
  const Listener& listener = config_.listeners[0];
  EXPECT_EQ(listener.name, "north");
  EXPECT_EQ(listener.address, "127.0.0.1");
  EXPECT_EQ(listener.port, 104);
  EXPECT_THAT(listener.ae_titles, ElementsAre("SLUICE", "OLD PACS"));
  EXPECT_THAT(listener.calling_ae_titles, ElementsAre("CT*"));
  EXPECT_THAT(listener.transfer_syntaxes, ElementsAre("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"));
  EXPECT_EQ(listener.max_pdu, 16384U);
  EXPECT_EQ(listener.request_timeout, seconds(1));
  EXPECT_EQ(listener.idle_timeout, seconds(2));
  EXPECT_EQ(listener.stall_timeout, seconds(3));
  EXPECT_EQ(listener.message_timeout, seconds(4));
}

TEST_F(ConfigWithEveryKey, ReadsFilters) {
  ASSERT_EQ(config_.filters.size(), 1U);
  EXPECT_EQ(config_.filters[0].name, "renumber");
  EXPECT_EQ(config_.filters[0].type, "remap_series_number");
}

TEST_F(ConfigWithEveryKey, ReadsDestinations) {
  ASSERT_EQ(config_.destinations.size(), 2U);
  const Destination& pacs = config_.destinations[0];
  EXPECT_EQ(pacs.host, "::1");
  EXPECT_EQ(pacs.calling_ae_title, "GATE");
  EXPECT_EQ(pacs.associations, 4);
  EXPECT_EQ(pacs.max_pdu, 32768U);
  EXPECT_EQ(pacs.connect_timeout, seconds(1));
  EXPECT_EQ(pacs.response_timeout, seconds(2));
  EXPECT_EQ(pacs.idle_timeout, seconds(3));
  EXPECT_EQ(pacs.retry_min, seconds(4));
  EXPECT_EQ(pacs.retry_max, seconds(5));
  EXPECT_EQ(pacs.max_failures, 6);
  EXPECT_EQ(config_.destinations[1].scheme, "file");
  EXPECT_EQ(config_.destinations[1].folder, "/srv/images");
}

TEST_F(ConfigWithEveryKey, ReadsRoutes) {
  ASSERT_EQ(config_.routes.size(), 1U);
  const Route& route = config_.routes[0];
  EXPECT_EQ(route.name, "ct");
  EXPECT_EQ(route.filters_line, 54);
  ASSERT_TRUE(route.when);
  EXPECT_THAT(route.when->keys(), ElementsAre("Modality", "calling_ae_title"));
  EXPECT_THAT(route.filters, ElementsAre("sanitize_uids", "renumber"));
  EXPECT_THAT(route.destinations, ElementsAre("pacs", "folder"));
  EXPECT_TRUE(route.final);
  EXPECT_EQ(route.priority, Priority::high);
}

TEST(Config, TellsAllMistakesAtOnceWithTheirLines) {
  EXPECT_EQ(mistakes_of(R"([gateway]
log_levle = "info"
[[listener]]
prot = 11112
[[destination]]
name = "pacs"
address = "dicom://PACS@127.0.0.1:99999"
[[route]]
destinations = ["pcas"]
[[rute]]
)"),
            "f:2: unknown key 'log_levle'; did you mean 'log_level'?\n"
            "f:3: port is missing\n"
            "f:4: unknown key 'prot'; did you mean 'port'?\n"
            "f:7: address has a bad port, which must be from 1 to 65535: "
            "'dicom://PACS@127.0.0.1:99999'; write dicom://AET@host:port\n"
            "f:9: unknown destination 'pcas'; did you mean 'pacs'?\n"
            "f:10: unknown key 'rute'; did you mean 'route'?\n");
}

TEST(Config, TellsWhatAnEmptyFileLacks) {
  EXPECT_EQ(mistakes_of(""),
            "f: no [[listener]]: nothing could be received\n"
            "f: no [[destination]]: nothing could be delivered\n"
            "f: no [[route]]: nothing would be delivered\n");
  EXPECT_EQ(mistakes_of(std::string("listener = []\n") + kDestination + kRoute),
            "f:1: no [[listener]]: nothing could be received\n");
}

TEST(Config, TellsATableThatShouldBeAnArrayOnce) {
  EXPECT_EQ(mistakes_of(std::string("[listener]\nport = 104\n") + kDestination + kRoute),
            "f:1: listener must be an array of tables, not a table; write [[listener]]\n");
}

TEST(Config, TellsASyntaxErrorAndNothingElse) {
  Mistakes mistakes("f");
  (void)parse("[gateway]\ndata_dir = \"var\n", mistakes);
  ASSERT_EQ(mistakes.list().size(), 1U);
  EXPECT_EQ(mistakes.list()[0].line, 2);
}

TEST(Config, TellsAKeyGivenTwice) {
  const std::string text = in_listener("port = 104");
  EXPECT_THAT(text, HasSubstr("f:3: "));
  EXPECT_THAT(text, HasSubstr("port"));
}

TEST(Config, TellsWrongGatewayValues) {
  EXPECT_EQ(in_gateway("data_dir = \"\""), "f:3: data_dir must be a path\n");
  EXPECT_EQ(in_gateway("data_dir = \"a\\u0000b\""), "f:3: data_dir must be a path\n");
  EXPECT_EQ(in_gateway("log_level = \"warn\""),
            "f:3: log_level must be one of debug, info, warning, error, not 'warn'\n");
  EXPECT_EQ(in_gateway("log_format = \"jsn\""),
            "f:3: log_format must be one of human, json, not 'jsn'; did you mean 'json'?\n");
  EXPECT_THAT(in_gateway("duplicate_window = 0"), HasSubstr("f:3: duplicate_window"));
  EXPECT_EQ(in_gateway("other_bytes = \"new-uid\""),
            "f:3: other_bytes must be one of quarantine, deliver, new_uid, not 'new-uid'; did you "
            "mean 'new_uid'?\n");
  EXPECT_THAT(in_gateway("alarm_age = \"1h\""), HasSubstr("f:3: unknown key 'alarm_age'"));
  EXPECT_EQ(in_gateway("unrouted = \"quarantene\""),
            "f:3: unrouted must be one of quarantine, reject, drop, not 'quarantene'; did you "
            "mean 'quarantine'?\n");
  EXPECT_EQ(in_gateway("max_associations = 0"),
            "f:3: max_associations must be from 1 to 10000, not 0\n");
  EXPECT_EQ(in_gateway("max_associations_per_address = 10001"),
            "f:3: max_associations_per_address must be from 1 to 10000, not 10001\n");
  EXPECT_EQ(in_gateway("max_instance_size = \"0 B\""),
            "f:3: max_instance_size must be more than 0\n");
  EXPECT_EQ(in_gateway("drain_timeout = 30"),
            "f:3: drain_timeout must be a duration such as \"30s\", not an integer; units are ms, "
            "s, min, h, d\n");
  EXPECT_THAT(in_gateway("history = \"1 month\""),
              HasSubstr("f:3: history must be a whole number"));
}

TEST(Config, TellsWrongListenerValues) {
  EXPECT_EQ(mistakes_of(std::string("[[listener]]\nport = \"104\"\n") + kDestination + kRoute),
            "f:2: port must be an integer, not a string\n");
  EXPECT_EQ(mistakes_of(std::string("[[listener]]\nport = 65536\n") + kDestination + kRoute),
            "f:2: port must be from 0 to 65535, not 65536\n");
  EXPECT_EQ(in_listener("name = \"two words\""),
            "f:3: name must be 1 to 64 letters, digits, '-', '_' or '.', not 'two words'\n");
  EXPECT_EQ(in_listener("address = \"localhost\""),
            "f:3: address must be an IP address of this machine, \"0.0.0.0\" or \"::\", not "
            "'localhost'\n");
  EXPECT_EQ(in_listener("ae_titles = [\"A\", \"B\\\\C\", \"SEVENTEEN-LETTERS\"]"),
            "f:3: AE title 'B\\\\C' holds a backslash\n"
            "f:3: AE title 'SEVENTEEN-LETTERS' is longer than 16 characters\n");
  EXPECT_EQ(in_listener("calling_ae_titles = [\"\"]"), "f:3: AE title '' is empty\n");
  EXPECT_EQ(
      in_listener("transfer_syntaxes = [\"1.2.840.10008.1.2\", \"explicit\", \"1.02\"]"),
      "f:3: transfer_syntaxes must hold UIDs such as \"1.2.840.10008.1.2.1\", not 'explicit'\n"
      "f:3: transfer_syntaxes must hold UIDs such as \"1.2.840.10008.1.2.1\", not '1.02'\n");
  EXPECT_EQ(in_listener("max_pdu = \"1 MiB\""), "f:3: max_pdu must be from 4 KiB to 128 KiB\n");
  EXPECT_EQ(in_listener("max_pdu = \"4095 B\""), "f:3: max_pdu must be from 4 KiB to 128 KiB\n");
  for (const std::string key :
       {"request_timeout", "idle_timeout", "stall_timeout", "message_timeout"}) {
    EXPECT_EQ(in_listener(key + " = \"0s\""), "f:3: " + key + " must be longer than 0\n");
  }
}

TEST(Config, TakesAnyFreePort) {
  Mistakes mistakes("f");
  const Config config =
      parse(std::string("[[listener]]\nport = 0\n[[listener]]\nport = 0\n") + kDestination + kRoute,
            mistakes);
  EXPECT_EQ(mistakes.text(), "");
  ASSERT_EQ(config.listeners.size(), 2U);
  EXPECT_EQ(config.listeners[0].name, "listener-0");
  EXPECT_EQ(config.listeners[1].name, "listener-0-2");
}

TEST(Config, TellsTwoListenersOnOnePort) {
  const auto two = [](const std::string& one, const std::string& other) {
    return mistakes_of("[[listener]]\nport = 104\naddress = \"" + one +
                       "\"\n[[listener]]\nport = 104\naddress = \"" + other + "\"\n" +
                       kDestination + kRoute);
  };
  EXPECT_EQ(two("127.0.0.1", "127.0.0.1"),
            "f:5: port 104 of 127.0.0.1 is taken by the listener at line 1 (127.0.0.1)\n");
  EXPECT_EQ(two("::", "0.0.0.0"),
            "f:5: port 104 of 0.0.0.0 is taken by the listener at line 1 (::)\n");
  EXPECT_EQ(two("127.0.0.1", "::1"), "");
}

TEST(Config, TellsNamesUsedTwice) {
  EXPECT_EQ(mistakes_of(std::string(kListener) + kDestination + kDestination + kRoute),
            "f:7: name 'pacs' is used twice; the first is at line 3\n");
  EXPECT_EQ(mistakes_of(std::string(kListener) + "name = \"a\"\n[[listener]]\nname = \"a\"\n" +
                        "port = 104\n" + kDestination + kRoute),
            "f:5: name 'a' is used twice; the first is at line 1\n");
  EXPECT_EQ(in_route("name = \"a\"\n[[route]]\nname = \"a\"\ndestinations = \"pacs\""),
            "f:5: name 'a' is used twice; the first is at line 1\n");
  EXPECT_EQ(mistakes_of(std::string("[[filter]]\ntype = \"sanitize_uids\"\n[[filter]]\ntype = "
                                    "\"sanitize_uids\"\n") +
                        kListener + kDestination + kRoute),
            "f:3: name 'sanitize_uids' is used twice; the first is at line 1\n");
}

TEST(Config, TellsWrongDestinationValues) {
  EXPECT_EQ(mistakes_of(std::string("[[destination]]\n") + kListener + kDestination + kRoute),
            "f:1: name is missing\nf:1: address is missing\n");
  EXPECT_EQ(in_destination("address = \"PACS@127.0.0.1:104\""),
            "f:3: address has no scheme: 'PACS@127.0.0.1:104'; write dicom://AET@host:port, "
            "dicoms://AET@host:port (TLS) or file:///absolute/folder\n");
  EXPECT_EQ(in_destination("address = \"ftp://PACS@127.0.0.1:104\""),
            "f:3: address has the unknown scheme 'ftp': 'ftp://PACS@127.0.0.1:104'; write "
            "dicom://AET@host:port, dicoms://AET@host:port (TLS) or file:///absolute/folder\n");
  EXPECT_EQ(in_destination("address = \"file://images\""),
            "f:3: address must hold an absolute path: 'file://images'; write "
            "file:///absolute/folder\n");
  EXPECT_EQ(in_destination("address = 104"),
            "f:3: address must be a string, not an integer; write \"104\"\n");
  EXPECT_EQ(in_dicom_destination("calling_ae_title = \"A\\\\B\""),
            "f:4: AE title 'A\\\\B' holds a backslash\n");
  EXPECT_EQ(in_dicom_destination("associations = 65"),
            "f:4: associations must be from 1 to 64, not 65\n");
  EXPECT_EQ(in_dicom_destination("max_failures = 0"),
            "f:4: max_failures must be from 1 to 1000, not 0\n");
  EXPECT_EQ(in_dicom_destination("max_pdu = \"1 KiB\""),
            "f:4: max_pdu must be from 4 KiB to 128 KiB\n");
  for (const std::string key :
       {"connect_timeout", "response_timeout", "idle_timeout", "retry_min", "retry_max"}) {
    EXPECT_THAT(in_dicom_destination(key + " = \"0ms\""),
                HasSubstr("f:4: " + key + " must be longer than 0\n"));
  }
}

TEST(Config, WantsTheShortestPauseBelowTheLongest) {
  EXPECT_EQ(in_dicom_destination("retry_min = \"10s\"\nretry_max = \"9s\""),
            "f:4: retry_min must not be longer than retry_max\n");
  EXPECT_EQ(in_dicom_destination("retry_max = \"1s\""),
            "f:4: retry_min must not be longer than retry_max\n");
  EXPECT_EQ(in_dicom_destination("retry_min = \"9s\"\nretry_max = \"9s\""), "");
}

TEST(Config, RefusesKeysOfAnAssociationForAFolder) {
  EXPECT_EQ(in_destination("address = \"file:///srv\"\nassociations = 2\nmax_failures = 5"),
            "f:4: associations means nothing for a file: destination; leave it out\n");
}

TEST(Config, TellsWrongRouteValues) {
  EXPECT_EQ(mistakes_of(std::string("[[route]]\n") + kListener + kDestination),
            "f:1: the route names no destinations, and no filters that would say "
            "something; known here: pacs\n");
  EXPECT_EQ(mistakes_of(std::string("[[route]]\ndestinations = []\n") + kListener + kDestination),
            "f:2: the route names no destinations, and no filters that would say "
            "something; known here: pacs\n");
  EXPECT_EQ(mistakes_of(std::string("[[route]]\ndestinations = 7\n") + kListener + kDestination),
            "f:2: destinations must be a string or an array of strings, not an integer; write "
            "\"7\"\n");
  EXPECT_EQ(
      mistakes_of(std::string("[[route]]\ndestinations = [\"archive\", \"pacs\", \"pacs\"]\n") +
                  kListener + kDestination),
      "f:2: unknown destination 'archive'; known here: pacs\n"
      "f:2: destination 'pacs' is named twice\n");
  EXPECT_EQ(in_route("final = \"yes\""), "f:3: final must be true or false, not a string\n");
  EXPECT_EQ(in_route("priority = \"urgent\""),
            "f:3: priority must be one of high, medium, low, not 'urgent'\n");
  EXPECT_EQ(in_route("priority = 1"),
            "f:3: priority must be a string, not an integer; write \"1\"\n");
  EXPECT_EQ(in_route("filters = [1]"),
            "f:3: filters must hold strings, not an integer; write \"1\"\n");
  EXPECT_EQ(in_route("name = \"\""),
            "f:3: name must be 1 to 64 letters, digits, '-', '_' or '.', not ''\n");
}

TEST(Config, WantsConditionsAsStrings) {
  EXPECT_EQ(in_route("when = \"CT\""), "f:3: when must be a table, not a string\n");
}

TEST(Config, LeavesFilterTypesAndOptionsToTheirReaders) {
  Mistakes mistakes("f");
  Config config = parse(std::string(kListener) + kDestination + kRoute +
                            "filters = [\"a_type_of_its_own\", \"renumber\"]\n[[filter]]\nname = "
                            "\"renumber\"\ntype = \"remap_series_number\"\nbase = 7\nbsae = 8\n",
                        mistakes);
  EXPECT_EQ(mistakes.text(), "");
  ASSERT_EQ(config.filters.size(), 1U);
  Table& options = config.filters[0].options;
  EXPECT_EQ(options.integer("base", 0, 0, 10), 7);
  options.finish();
  EXPECT_EQ(mistakes.text(), "f:13: unknown key 'bsae'; did you mean 'base'?\n");
}

TEST(Config, TellsAFilterWithoutAType) {
  EXPECT_EQ(
      mistakes_of(std::string("[[filter]]\nname = \"a\"\n") + kListener + kDestination + kRoute),
      "f:1: type is missing\n");
}

TEST(Config, TellsWhyAFileCannotBeRead) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("absent.toml");
  Mistakes mistakes(path);
  (void)load(path, mistakes);
  EXPECT_EQ(mistakes.text(), path + ": cannot read " + path + ": No such file or directory\n");

  Mistakes of_folder("f");
  (void)load(folder.path(), of_folder);
  EXPECT_EQ(of_folder.text(), "f: cannot read " + folder.path() + ": it is a folder\n");
}

TEST(Config, LoadsAFileWhole) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("sluice.toml");
  // Longer than one block of reading.
  std::ofstream(path) << kListener << kDestination << "#" << std::string(100'000, '-') << "\n"
                      << kRoute << "final = true\n";
  Mistakes mistakes(path);
  const Config config = load(path, mistakes);
  EXPECT_EQ(mistakes.text(), "");
  ASSERT_EQ(config.routes.size(), 1U);
  EXPECT_TRUE(config.routes[0].final);
}

}  // namespace
}  // namespace sluice::config
