#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/filter_runner.h"

namespace sluice::test {
namespace {

namespace tags = dicom::tags;

class RemapSeriesNumber : public testing::Test {
 protected:
  std::string number_of(const std::string& series, const std::string& number,
                        const std::string& study = "1.2.1") {
    Case one(image("1.2.3", study, series, number));
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    return one.instance.text(tags::kSeriesNumber);
  }
  void use(std::string_view options) { filter_ = make_filter("remap_series_number", options); }

  std::unique_ptr<Filter> filter_ = make_filter("remap_series_number", "");
  std::unique_ptr<Ledger> ledger_ = memory_ledger();
};

TEST_F(RemapSeriesNumber, LetsTheFirstSeriesKeepItsNumberAndMovesTheNext) {
  EXPECT_EQ(number_of("1.1", "3"), "3");
  EXPECT_EQ(number_of("1.2", "3"), "10000");
  EXPECT_EQ(number_of("1.3", "3"), "10001");
  EXPECT_EQ(number_of("1.2", "3"), "10000");
  EXPECT_EQ(number_of("1.1", "3"), "3");
}

TEST_F(RemapSeriesNumber, KeepsTheChoiceWhateverNumberALaterSliceBears) {
  EXPECT_EQ(number_of("1.1", "3"), "3");
  EXPECT_EQ(number_of("1.1", "4"), "3");
}

TEST_F(RemapSeriesNumber, CountsEachStudyByItself) {
  EXPECT_EQ(number_of("1.1", "3", "1.2.1"), "3");
  EXPECT_EQ(number_of("1.2", "3", "1.2.2"), "3");
}

TEST_F(RemapSeriesNumber, SkipsNumbersThatASeriesBrought) {
  EXPECT_EQ(number_of("1.1", "10000"), "10000");
  EXPECT_EQ(number_of("1.2", "10000"), "10001");
}

TEST_F(RemapSeriesNumber, TakesOneNumberWrittenInTwoWaysForOne) {
  EXPECT_EQ(number_of("1.1", "3"), "3");
  EXPECT_EQ(number_of("1.2", " +03 "), "10000");
  EXPECT_EQ(number_of("1.3", "000000052637"), "000000052637");
  EXPECT_EQ(number_of("1.4", "-5"), "-5");
}

// Whichever of the two a PACS reads, it reads the number that the ledger knows.
TEST_F(RemapSeriesNumber, GivesBothOfTwoElementsTheSameNumber) {
  for (const char* first : {"3", "4"}) {
    DataSet data = image("1.2.3", "1.2.1", "1.1", first);
    data.text(tags::kSeriesNumber, dicom::Vr::IS, "77");
    Case one(data);
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    const std::string output = one.output();
    const dicom::Header header = header_of(output);
    int found = 0;
    for (dicom::ElementIndex i = 0; i < header.elements().size(); ++i) {
      if (header[i].tag != tags::kSeriesNumber || header[i].parent != dicom::kRoot) continue;
      EXPECT_EQ(header.value(i), "3 ");
      ++found;
    }
    EXPECT_EQ(found, 2);
  }
}

// What is to be refused is refused though a good number stands before it; what is to be
// left alone, or to get a number, gets that of the other.
TEST_F(RemapSeriesNumber, LooksAtBothOfTwoElements) {
  const auto two = [](const std::string& first, const std::string& second) {
    DataSet data = image("1.2.3", "1.2.1", "1.1", first);
    data.text(tags::kSeriesNumber, dicom::Vr::IS, second);
    return data;
  };
  for (const bool is_bad_first : {false, true}) {
    Case one(is_bad_first ? two("12abc", "3") : two("3", "12abc"));
    for (const char* policy : {"reject", "quarantine", "assign", "pass"}) {
      use("not_integer = \"" + std::string(policy) + "\"");
      const Verdict verdict = one.apply(*filter_, *ledger_);
      EXPECT_EQ(is_reject(verdict), std::string_view(policy) == "reject");
      EXPECT_EQ(is_quarantine(verdict), std::string_view(policy) == "quarantine");
    }
    EXPECT_EQ(one.instance.texts(tags::kSeriesNumber), (std::vector<std::string>{"3", "3"}));
  }
}

TEST_F(RemapSeriesNumber, NumbersWhatStandsOutOfOrder) {
  EXPECT_EQ(number_of("1.9", "3"), "3");
  const DataSet number = DataSet().text(tags::kSeriesNumber, dicom::Vr::IS, "3");
  DataSet data;
  data.uid(tags::kSeriesInstanceUid, "1.1").uid(tags::kStudyInstanceUid, "1.2.1");
  for (const std::string& bytes : {data.bytes() + number.bytes(), number.bytes() + data.bytes()}) {
    Case one(bytes);
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    EXPECT_EQ(one.instance.text(tags::kSeriesNumber), "10000");
  }
}

TEST_F(RemapSeriesNumber, QuarantinesWhatNamesTwoSeriesOrStudies) {
  for (const dicom::Tag tag : {tags::kStudyInstanceUid, tags::kSeriesInstanceUid}) {
    DataSet data = image("1.2.3", "1.2.1", "1.1", "3");
    data.uid(tag, "1.5");
    Case one(data);
    EXPECT_TRUE(is_quarantine(one.apply(*filter_, *ledger_)));
  }
  DataSet same = image("1.2.3", "1.2.1", "1.1", "3");
  same.uid(tags::kSeriesInstanceUid, "1.1");
  Case one(same);
  EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
}

struct Bad {
  const char* name;
  const char* value;
  const char* option;
};
class RemapSeriesNumberBad : public RemapSeriesNumber, public testing::WithParamInterface<Bad> {};

TEST_P(RemapSeriesNumberBad, IsAssignedPassedRejectedOrQuarantined) {
  EXPECT_EQ(number_of("1.1", GetParam().value), "10000");
  const std::string option = GetParam().option;
  use(option + " = \"pass\"");
  Case one(image("1.2.3", "1.2.9", "1.9", GetParam().value));
  EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_TRUE(one.instance.patch().empty());
  use(option + " = \"reject\"");
  EXPECT_TRUE(is_reject(one.apply(*filter_, *ledger_)));
  use(option + " = \"quarantine\"");
  EXPECT_TRUE(is_quarantine(one.apply(*filter_, *ledger_)));
}

INSTANTIATE_TEST_SUITE_P(
    All, RemapSeriesNumberBad,
    testing::Values(Bad{"empty", "", "empty"}, Bad{"blank", "  ", "empty"},
                    Bad{"letters", "12abc", "not_integer"}, Bad{"decimal", "1.5", "not_integer"},
                    Bad{"lone_sign", "+", "not_integer"}, Bad{"two_signs", "+-3", "not_integer"},
                    Bad{"longer_than_is", "00000000000003", "not_integer"},
                    Bad{"beyond_32_bits", "2147483648", "out_of_range"},
                    Bad{"fourteen_digits", "01160501010100", "out_of_range"},
                    Bad{"beyond_64_bits", "99999999999999999999", "out_of_range"},
                    Bad{"two_values", "1\\2", "multi_valued"}),
    [](const auto& test) { return test.param.name; });

TEST_F(RemapSeriesNumber, AssignsWhereTheAttributeIsAbsent) {
  DataSet made;
  made.uid(tags::kSopInstanceUid, "1.2.3")
      .uid(tags::kStudyInstanceUid, "1.2")
      .uid(tags::kSeriesInstanceUid, "1.3");
  Case one(made);
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_EQ(one.instance.text(tags::kSeriesNumber), "10000");
  EXPECT_EQ(one.instance.changes().front().reason, "absent");
}

TEST_F(RemapSeriesNumber, AddsTheOffsetInOffsetMode) {
  use("mode = \"offset\"\noffset = 500");
  EXPECT_EQ(number_of("1.1", "3"), "503");
  EXPECT_EQ(number_of("1.2", "3"), "10000");
  EXPECT_EQ(number_of("1.3", "2147483647"), "10001");
}

TEST_F(RemapSeriesNumber, QuarantinesWhatHasNoSeries) {
  Case one(image("1.2.3", "1.2.1", "", "3"));
  EXPECT_TRUE(is_quarantine(one.apply(*filter_, *ledger_)));
}

TEST_F(RemapSeriesNumber, GivesConcurrentSeriesDifferentNumbers) {
  constexpr int kThreads = 8;
  std::vector<std::string> numbers(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { numbers[i] = number_of("1." + std::to_string(i), "1"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(numbers.begin(), numbers.end()).size(), numbers.size());
  EXPECT_EQ(std::ranges::count(numbers, "1"), 1);
}

TEST_F(RemapSeriesNumber, RefusesOptionsThatMakeNoSense) {
  EXPECT_THROW(use("mode = \"offset\""), std::invalid_argument);
  EXPECT_THROW(use("offset = 5"), std::invalid_argument);
  EXPECT_THROW(use("base = 0"), std::invalid_argument);
  EXPECT_THROW(use("bases = 1"), std::invalid_argument);
}

}  // namespace
}  // namespace sluice::test
