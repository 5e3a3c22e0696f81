// [[group]], and what a route may not be combined with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/config/config.h"

namespace sluice::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kOneListener = "[[listener]]\nport = 104\n";
constexpr const char* kOneDestination =
    "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:104\"\n";

std::string group_mistakes_in(const std::string& toml) {
  Mistakes mistakes("f");
  (void)parse(toml, mistakes);
  return mistakes.text();
}

constexpr const char* kTwoDestinations =
    "[[destination]]\nname = \"a\"\naddress = \"dicom://A@127.0.0.1:104\"\n"
    "[[destination]]\nname = \"b\"\naddress = \"dicom://B@127.0.0.1:104\"\n"
    "filters = [\"sanitize_uids\"]\n";

TEST(Config, ReadsGroups) {
  Mistakes mistakes("f");
  const Config config =
      parse(std::string(kOneListener) +
                "[[destination]]\nname = \"a\"\naddress = \"dicom://A@127.0.0.1:104\"\n"
                "[[destination]]\nname = \"b\"\naddress = \"dicom://B@127.0.0.1:104\"\n"
                "[[group]]\nname = \"both\"\ndestinations = [\"a\", \"b\"]\nmode = \"balance\"\n"
                "[[route]]\ndestinations = [\"both\"]\n",
            mistakes);
  EXPECT_EQ(mistakes.text(), "");
  ASSERT_EQ(config.groups.size(), 1U);
  EXPECT_THAT(config.groups[0].destinations, ElementsAre("a", "b"));
  EXPECT_TRUE(config.groups[0].is_balanced);
}

TEST(Config, TellsWhatIsWrongWithAGroup) {
  const auto in_group = [](const std::string& keys) {
    return group_mistakes_in(std::string("[[group]]\n") + keys + "\n" + kOneListener +
                             kTwoDestinations + "[[route]]\ndestinations = [\"a\"]\n");
  };
  EXPECT_THAT(in_group("name = \"a\"\ndestinations = [\"a\", \"c\"]"),
              AllOf(HasSubstr("used twice"), HasSubstr("unknown destination 'c'")));
  EXPECT_THAT(in_group("name = \"g\"\ndestinations = [\"a\"]"), HasSubstr("two destinations"));
  EXPECT_THAT(in_group("name = \"g\"\ndestinations = [\"a\", \"a\"]"), HasSubstr("twice"));
  EXPECT_THAT(in_group("name = \"g\"\ndestinations = [\"a\", \"b\"]"),
              HasSubstr("'b' has filters of its own"));
  EXPECT_THAT(in_group("name = \"g\"\ndestinations = [\"a\", \"b\"]\nmode = \"fail\""),
              HasSubstr("failover"));
}

TEST(Config, RefusesToPassOnToADestinationThatMayHaveToWait) {
  for (const char* const key : {"max_rate = 1", "max_bandwidth = \"1 MB\"", "required = false",
                                "schedule = [ { from = \"22:00\" } ]"}) {
    EXPECT_THAT(group_mistakes_in(std::string(kOneListener) + kOneDestination + key +
                                  "\n[[route]]\nacknowledge = \"delivered\"\n"
                                  "destinations = [\"pacs\"]\n"),
                HasSubstr("nothing is kept that could wait"))
        << key;
  }
}

}  // namespace
}  // namespace sluice::config
