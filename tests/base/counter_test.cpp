#include "gateway/base/counter.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/metric_families.h"

namespace sluice {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Counter, CountsByNameAndLabels) {
  count("sluice_test_total", {{"outcome", "a"}});
  count("sluice_test_total", {{"outcome", "a"}}, 2);
  count("sluice_test_total", {{"outcome", "b"}});
  EXPECT_EQ(counted("sluice_test_total", {{"outcome", "a"}}), 3U);
  EXPECT_EQ(counted("sluice_test_total", {{"outcome", "b"}}), 1U);
  EXPECT_NE(counters_text().find(R"(sluice_test_total{outcome="a"} 3)"), std::string::npos);
}

TEST(Counter, LabelsInAnotherOrderAreTheSameSeries) {
  count("sluice_test_order_total", {{"one", "1"}, {"two", "2"}});
  count("sluice_test_order_total", {{"two", "2"}, {"one", "1"}});
  // Other pairs of the same words are not.
  count("sluice_test_order_total", {{"one", "2"}, {"two", "1"}});
  count("sluice_test_order_total", {{"one", "1"}});
  EXPECT_EQ(counted("sluice_test_order_total", {{"one", "1"}, {"two", "2"}}), 2U);
  EXPECT_EQ(counted("sluice_test_order_total", {{"one", "2"}, {"two", "1"}}), 1U);
  EXPECT_EQ(counted("sluice_test_order_total", {{"one", "1"}}), 1U);
}

TEST(Counter, ThatIsKeptCountsWithTheOthers) {
  const Counter kept("sluice_test_kept_total", {{"outcome", "a"}});
  kept.add();
  count("sluice_test_kept_total", {{"outcome", "a"}}, 5);
  kept.add(10);
  EXPECT_EQ(counted("sluice_test_kept_total", {{"outcome", "a"}}), 16U);
  // Shown from the beginning, so that a rate has something to begin with.
  const Counter never("sluice_test_never_total");
  EXPECT_THAT(counters_text(), HasSubstr("\nsluice_test_never_total 0\n"));
  EXPECT_EQ(counted("sluice_test_asked_for_total"), 0U);
  EXPECT_THAT(counters_text(), Not(HasSubstr("sluice_test_asked_for_total")));
}

// So many that each finds others where it is looked for.
TEST(Counter, TellsThousandsOfSeriesApart) {
  constexpr int kMany = 4000;
  const auto for_each = [](auto use) {
    for (int i = 0; i < kMany; ++i) {
      const std::string one = std::to_string(i);
      const std::string other = one + "x";
      use("sluice_test_many_total", Labels{{"a", one}}, 1);
      use("sluice_test_many_total", Labels{{"b", one}}, 2);
      use("sluice_test_many_total", Labels{{"a", one}, {"b", one}}, 3);
      use("sluice_test_many_total", Labels{{"a", one}, {"b", other}}, 4);
      use("sluice_test_many_total", Labels{{"a", other}, {"b", one}}, 5);
      use("sluice_test_more_total", Labels{{"a", one}}, 6);
    }
  };
  for_each([](const char* name, Labels labels, std::uint64_t by) { count(name, labels, by); });
  for_each([](const char* name, Labels labels, std::uint64_t by) {
    EXPECT_EQ(counted(name, labels), by) << labels.begin()->value;
  });
}

// Series are made while others are looked for.
TEST(Counter, LosesNothingToOtherThreads) {
  constexpr int kThreads = 4;
  constexpr int kSeries = 200;
  constexpr int kRounds = 100;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([] {
      for (int round = 0; round < kRounds; ++round) {
        for (int series = 0; series < kSeries; ++series) {
          count("sluice_test_threads_total", {{"series", std::to_string(series)}});
          count("sluice_test_threads_together_total");
        }
      }
      EXPECT_THAT(counters_text(), HasSubstr("sluice_test_threads_total{series=\"0\"}"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int series = 0; series < kSeries; ++series) {
    EXPECT_EQ(counted("sluice_test_threads_total", {{"series", std::to_string(series)}}),
              kThreads * kRounds);
  }
  EXPECT_EQ(counted("sluice_test_threads_together_total"), kThreads * kRounds * kSeries);
}

TEST(Counter, EscapesWhatALabelMayHold) {
  count("sluice_test_escapes_total", {{"path", "a\\b\"c\nd"}});
  EXPECT_THAT(counters_text(), HasSubstr(R"(sluice_test_escapes_total{path="a\\b\"c\nd"} 1)"));
}

TEST(Gauge, HoldsTheLastValueAndStandsBesideTheCounters) {
  set_gauge("sluice_test_seconds", {{"name", "a"}}, 7);
  set_gauge("sluice_test_seconds", {{"name", "a"}}, -2.5);
  EXPECT_EQ(gauge("sluice_test_seconds", {{"name", "a"}}), -2.5);
  EXPECT_EQ(gauge("sluice_test_seconds", {{"name", "b"}}), 0);
  EXPECT_NE(counters_text().find(R"(sluice_test_seconds{name="a"} -2.5)"), std::string::npos);
}

TEST(Presence, IsOneMoreWhileItLives) {
  std::optional<Presence> first;
  first.emplace("sluice_test_open", Labels{{"name", "a"}});
  {
    const Presence second("sluice_test_open", {{"name", "a"}});
    EXPECT_EQ(gauge("sluice_test_open", {{"name", "a"}}), 2);
  }
  EXPECT_EQ(gauge("sluice_test_open", {{"name", "a"}}), 1);
  first.reset();
  EXPECT_EQ(gauge("sluice_test_open", {{"name", "a"}}), 0);
}

// The value of a line of the text; "" when there is none.
std::string shown(const std::string& series) {
  const std::string text = "\n" + counters_text();
  const std::size_t at = text.find("\n" + series + " ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + series.size() + 2;
  return text.substr(begin, text.find('\n', begin) - begin);
}

TEST(Histogram, PutsADurationIntoEachBucketFromItsOwnOn) {
  const Histogram histogram("sluice_test_bucket_seconds", {{"what", "a"}});
  const auto bucket = [](const std::string& bound) {
    return shown("sluice_test_bucket_seconds_bucket{what=\"a\",le=\"" + bound + "\"}");
  };
  histogram.observe(microseconds(100));  // a bound belongs to its bucket
  histogram.observe(microseconds(101));
  histogram.observe(milliseconds(30));
  histogram.observe(seconds(60));
  histogram.observe(seconds(3600));
  EXPECT_EQ(bucket("0.0001"), "1");
  EXPECT_EQ(bucket("0.0002"), "2");
  EXPECT_EQ(bucket("0.02"), "2");
  EXPECT_EQ(bucket("0.05"), "3");
  EXPECT_EQ(bucket("20"), "3");
  EXPECT_EQ(bucket("60"), "4");
  EXPECT_EQ(bucket("+Inf"), "5");
  EXPECT_EQ(shown("sluice_test_bucket_seconds_count{what=\"a\"}"), "5");
  EXPECT_NEAR(std::stod(shown("sluice_test_bucket_seconds_sum{what=\"a\"}")), 3660.030201, 1e-3);
  EXPECT_EQ(histogram.observed(), 5U);
}

TEST(Histogram, TakesATimeThatRanBackwardsAsNone) {
  const Histogram histogram("sluice_test_backwards_seconds");
  histogram.observe(seconds(-5));
  EXPECT_EQ(shown("sluice_test_backwards_seconds_bucket{le=\"0.0001\"}"), "1");
  EXPECT_EQ(shown("sluice_test_backwards_seconds_sum"), "0");
}

TEST(Histogram, TimesAScope) {
  const Histogram histogram("sluice_test_scope_seconds");
  {
    const Timing timing(histogram);
    EXPECT_EQ(histogram.observed(), 0U);
    std::this_thread::sleep_for(milliseconds(3));
  }
  EXPECT_EQ(histogram.observed(), 1U);
  EXPECT_GE(std::stod(shown("sluice_test_scope_seconds_sum")), 0.003);
}

TEST(GaugesOnDemand, AreReadWhenSomebodyLooksAndGoWithTheirOwner) {
  int reads = 0;
  double depth = 3;
  auto owner = std::make_unique<GaugesOnDemand>([&] {
    ++reads;
    return std::vector<GaugesOnDemand::Reading>{
        {"sluice_test_depth", {{"destination", "pacs"}}, depth}};
  });
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(shown("sluice_test_depth{destination=\"pacs\"}"), "3");
  depth = 4;
  EXPECT_EQ(shown("sluice_test_depth{destination=\"pacs\"}"), "4");
  EXPECT_EQ(reads, 2);
  owner.reset();
  EXPECT_THAT(counters_text(), Not(HasSubstr("sluice_test_depth")));
  EXPECT_EQ(reads, 2);
}

TEST(GaugesOnDemand, OfTwoOwnersStandInOneFamily) {
  const auto read = [](const std::string& name) {
    return [name] {
      return std::vector<GaugesOnDemand::Reading>{{"sluice_test_owners", {{"name", name}}, 1}};
    };
  };
  const GaugesOnDemand one(read("one"));
  const GaugesOnDemand two(read("two"));
  const std::string text = counters_text();
  EXPECT_THAT(text, HasSubstr("# TYPE sluice_test_owners gauge\n"
                              "sluice_test_owners{name=\"one\"} 1\n"
                              "sluice_test_owners{name=\"two\"} 1\n"));
}

TEST(GaugesOnDemand, ThatCannotBeReadFailTheOneWhoLooks) {
  const GaugesOnDemand broken(
      []() -> std::vector<GaugesOnDemand::Reading> { throw std::runtime_error("no memory"); });
  EXPECT_THROW((void)counters_text(), std::runtime_error);
}

TEST(MetricFamilies, StandByNameWithTheirHelp) {
  const auto families = metric_families();
  EXPECT_TRUE(std::ranges::is_sorted(families, {}, &MetricFamily::name));
  EXPECT_EQ(std::ranges::adjacent_find(families, {}, &MetricFamily::name), families.end());
  const std::string text = counters_text();
  for (const MetricFamily& family : families) {
    EXPECT_THAT(text, HasSubstr("# HELP " + std::string(family.name) + " " +
                                std::string(family.help) + "\n"));
    // What Prometheus' own linter asks of names.
    EXPECT_EQ(family.kind == MetricKind::counter, family.name.ends_with("_total")) << family.name;
    EXPECT_TRUE(family.kind != MetricKind::histogram || family.name.ends_with("_seconds"))
        << family.name;
  }
}

}  // namespace
}  // namespace sluice
