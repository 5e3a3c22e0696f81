#include "gateway/base/counter.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Counter, CountsByNameAndLabels) {
  count("sluice_test_total", {{"outcome", "a"}});
  count("sluice_test_total", {{"outcome", "a"}}, 2);
  count("sluice_test_total", {{"outcome", "b"}});
  EXPECT_EQ(counted("sluice_test_total", {{"outcome", "a"}}), 3U);
  EXPECT_EQ(counted("sluice_test_total", {{"outcome", "b"}}), 1U);
  EXPECT_NE(counters_text().find(R"(sluice_test_total{outcome="a"} 3)"), std::string::npos);
}

TEST(Gauge, HoldsTheLastValueAndStandsBesideTheCounters) {
  set_gauge("sluice_test_seconds", {{"name", "a"}}, 7);
  set_gauge("sluice_test_seconds", {{"name", "a"}}, -2.5);
  EXPECT_EQ(gauge("sluice_test_seconds", {{"name", "a"}}), -2.5);
  EXPECT_EQ(gauge("sluice_test_seconds", {{"name", "b"}}), 0);
  EXPECT_NE(counters_text().find(R"(sluice_test_seconds{name="a"} -2.5)"), std::string::npos);
}

}  // namespace
}  // namespace sluice
