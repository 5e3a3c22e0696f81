// The keys that say what an instance may be: their defaults and bounds.
#include <string>

#include <gmock/gmock.h>

#include "gateway/config/config.h"

namespace sluice::config {
namespace {

using testing::HasSubstr;

struct Read {
  Gateway gateway;
  std::string mistakes;
};

Read with(const std::string& line) {
  Mistakes mistakes("f");
  const Config config = parse("[gateway]\n" + line +
                                  "\n[[listener]]\nport = 104\n[[destination]]\nname = \"d\"\n"
                                  "address = \"file:///d\"\n[[route]]\ndestinations = [\"d\"]\n",
                              mistakes);
  return {config.gateway, mistakes.text()};
}

TEST(IntakeLimits, NestingIsBoundedOnBothSides) {
  EXPECT_EQ(with("").gateway.max_nesting, 64);
  for (const int good : {8, 64, 120}) {
    const Read read = with("max_nesting = " + std::to_string(good));
    EXPECT_EQ(read.mistakes, "");
    EXPECT_EQ(read.gateway.max_nesting, good);
  }
  for (const int bad : {-1, 0, 7, 121}) {
    EXPECT_EQ(with("max_nesting = " + std::to_string(bad)).mistakes,
              "f:2: max_nesting must be from 8 to 120, not " + std::to_string(bad) + "\n");
  }
}

TEST(IntakeLimits, IrregularTagsAreDeliveredUnlessSaidOtherwise) {
  EXPECT_EQ(with("").gateway.irregular_tags, "deliver");
  for (const std::string policy : {"deliver", "quarantine", "reject"}) {
    EXPECT_EQ(with("irregular_tags = \"" + policy + "\"").gateway.irregular_tags, policy);
  }
  EXPECT_THAT(with("irregular_tags = \"accept\"").mistakes,
              HasSubstr("f:2: irregular_tags must be one of deliver, quarantine, reject"));
}

}  // namespace
}  // namespace sluice::config
