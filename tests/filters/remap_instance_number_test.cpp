#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/filter_runner.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {
namespace {

namespace tags = dicom::tags;

DataSet numbered(const std::string& instance, const std::string& number,
                 const std::string& series = "1.1") {
  return image(instance, "1.2.1", series, "1").text(tags::kInstanceNumber, dicom::Vr::IS, number);
}

class RemapInstanceNumber : public testing::Test {
 protected:
  std::string number_of(const std::string& instance, const std::string& number,
                        const std::string& series = "1.1") {
    Case one(numbered(instance, number, series));
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    return one.instance.text(tags::kInstanceNumber);
  }
  void use(std::string_view options) { filter_ = make_filter("remap_instance_number", options); }

  std::unique_ptr<Filter> filter_ = make_filter("remap_instance_number", "");
  std::unique_ptr<Ledger> ledger_ = memory_ledger();
};

TEST_F(RemapInstanceNumber, LetsTheFirstInstanceKeepItsNumberAndMovesTheNext) {
  EXPECT_EQ(number_of("2.1", "7"), "7");
  EXPECT_EQ(number_of("2.2", "7"), "10000");
  EXPECT_EQ(number_of("2.3", "7"), "10001");
  EXPECT_EQ(number_of("2.4", "8"), "8");
  EXPECT_EQ(number_of("2.2", "7"), "10000") << "sent again";
  EXPECT_EQ(number_of("2.1", "7"), "7");
  EXPECT_EQ(number_of("2.1", "9"), "7") << "sent again with another number";
}

TEST_F(RemapInstanceNumber, CountsEachSeriesByItself) {
  EXPECT_EQ(number_of("2.1", "7", "1.1"), "7");
  EXPECT_EQ(number_of("2.2", "7", "1.2"), "7");
}

TEST_F(RemapInstanceNumber, SkipsNumbersThatAnInstanceBrought) {
  use("base = 500");
  EXPECT_EQ(number_of("2.1", "500"), "500");
  EXPECT_EQ(number_of("2.2", "501"), "501");
  EXPECT_EQ(number_of("2.3", "500"), "502");
}

TEST_F(RemapInstanceNumber, TakesOneNumberWrittenInTwoWaysForOne) {
  EXPECT_EQ(number_of("2.1", "3"), "3");
  EXPECT_EQ(number_of("2.2", " +03 "), "10000");
  EXPECT_EQ(number_of("2.3", "000000052637"), "000000052637") << "left as it was written";
  EXPECT_EQ(number_of("2.4", "-5"), "-5");
}

// The series that counts is that in which the PACS shows it.
TEST_F(RemapInstanceNumber, IsUniqueInTheSeriesAsItGoesOut) {
  EXPECT_EQ(number_of("2.1", "7", "1.1"), "7");
  Case moved(numbered("2.2", "7", "1.9"));
  ASSERT_TRUE(moved.instance.change(tags::kSeriesInstanceUid, "1.1", "moved", Record::none));
  EXPECT_TRUE(is_pass(moved.apply(*filter_, *ledger_)));
  EXPECT_EQ(moved.instance.text(tags::kInstanceNumber), "10000");
}

TEST_F(RemapInstanceNumber, KnowsAnInstanceByTheUidItCameWith) {
  EXPECT_EQ(number_of("2.1", "7"), "7");
  EXPECT_EQ(number_of("2.2", "7"), "10000");
  Case renamed(numbered("2.2", "7"));
  ASSERT_TRUE(renamed.instance.change(tags::kSopInstanceUid, "2.25.9", "hash", Record::none));
  EXPECT_TRUE(is_pass(renamed.apply(*filter_, *ledger_)));
  EXPECT_EQ(renamed.instance.text(tags::kInstanceNumber), "10000");
}

// Two go out then: they must not have one number.
TEST_F(RemapInstanceNumber, TakesWhatGetsAUidForItsOtherBytesForAnotherInstance) {
  EXPECT_EQ(number_of("2.1", "7"), "7");
  const std::string bytes = numbered("2.1", "7").bytes();
  const dicom::Header header = header_of(bytes);
  Provenance provenance = provenance_for(header);
  provenance.new_sop_instance_uid = "2.25.9";
  for (int attempt = 0; attempt < 2; ++attempt) {
    Instance instance(provenance, header);
    EXPECT_TRUE(is_pass(*filter_->apply(instance, *ledger_)));
    EXPECT_EQ(instance.text(tags::kInstanceNumber), "10000");
  }
}

TEST_F(RemapInstanceNumber, RejectsOrQuarantinesACollisionUntilTheNumberIsAnother) {
  EXPECT_EQ(number_of("2.1", "7"), "7");
  for (const char* policy : {"reject", "quarantine"}) {
    use("collision = \"" + std::string(policy) + "\"");
    const std::string again = std::string("2.") + policy;
    for (int attempt = 0; attempt < 2; ++attempt) {
      Case one(numbered(again, "7"));
      const Verdict verdict = one.apply(*filter_, *ledger_);
      EXPECT_EQ(is_reject(verdict), std::string_view(policy) == "reject");
      EXPECT_EQ(is_quarantine(verdict), std::string_view(policy) == "quarantine");
      EXPECT_EQ(reason_of(verdict), "Instance Number of another instance");
      EXPECT_TRUE(one.instance.patch().empty());
    }
    const std::string free = std::string_view(policy) == "reject" ? "8" : "9";
    EXPECT_EQ(number_of(again, free), free) << "mended at the modality";
    EXPECT_EQ(number_of("2.1", "7"), "7") << "its own number";
    EXPECT_EQ(number_of(again + ".1", ""), again == "2.reject" ? "10000" : "10001");
  }
}

TEST_F(RemapInstanceNumber, LeavesEveryNumberWhereCollisionsPass) {
  use("collision = \"pass\"\nbase = 7");
  EXPECT_EQ(number_of("2.1", "7"), "7");
  EXPECT_EQ(number_of("2.2", "7"), "7");
  EXPECT_EQ(number_of("2.2", "8"), "8") << "the same instance with other bytes";
  EXPECT_EQ(number_of("2.2", "7"), "7") << "the first of them, tried again";
  EXPECT_EQ(number_of("2.3", ""), "9") << "what gets a number collides with none";
}

TEST_F(RemapInstanceNumber, GivesBothOfTwoElementsTheSameNumber) {
  for (const char* policy : {"assign", "pass"}) {
    use("collision = \"" + std::string(policy) + "\"");
    Case one(numbered("2.1", "3").text(tags::kInstanceNumber, dicom::Vr::IS, "77"));
    EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    EXPECT_EQ(one.instance.texts(tags::kInstanceNumber), (std::vector<std::string>{"3", "3"}));
    EXPECT_EQ(one.instance.changes().front().reason, "comes twice");
  }
}

TEST_F(RemapInstanceNumber, LooksAtBothOfTwoElements) {
  const auto two = [](const std::string& first, const std::string& second) {
    return numbered("2.1", first).text(tags::kInstanceNumber, dicom::Vr::IS, second);
  };
  for (const bool is_bad_first : {false, true}) {
    Case one(is_bad_first ? two("12abc", "3") : two("3", "12abc"));
    for (const char* policy : {"reject", "quarantine", "assign", "pass"}) {
      use("not_integer = \"" + std::string(policy) + "\"");
      const Verdict verdict = one.apply(*filter_, *ledger_);
      EXPECT_EQ(is_reject(verdict), std::string_view(policy) == "reject");
      EXPECT_EQ(is_quarantine(verdict), std::string_view(policy) == "quarantine");
    }
    EXPECT_EQ(one.instance.texts(tags::kInstanceNumber), (std::vector<std::string>{"3", "3"}));
  }
}

TEST_F(RemapInstanceNumber, QuarantinesWhatCannotBeToldApart) {
  for (const dicom::Tag tag : {tags::kSeriesInstanceUid, tags::kSopInstanceUid}) {
    DataSet data = numbered("2.1", "3");
    data.uid(tag, "1.5");
    Case two(data);
    EXPECT_TRUE(is_quarantine(two.apply(*filter_, *ledger_)));
  }
  DataSet same = numbered("2.1", "3");
  same.uid(tags::kSopInstanceUid, "2.1");
  Case one(same);
  EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  for (const DataSet& data : {numbered("", "3"), numbered("2.1", "3", "")}) {
    Case unknown(data);
    EXPECT_TRUE(is_quarantine(unknown.apply(*filter_, *ledger_)));
  }
}

struct BadInstanceNumber {
  const char* name;
  const char* value;
  const char* option;
};
class RemapInstanceNumberBad : public RemapInstanceNumber,
                               public testing::WithParamInterface<BadInstanceNumber> {};

TEST_P(RemapInstanceNumberBad, IsAssignedPassedRejectedOrQuarantined) {
  use("collision = \"reject\"");
  EXPECT_EQ(number_of("2.1", GetParam().value), "10000");
  const std::string option = GetParam().option;
  use(option + " = \"pass\"");
  Case one(numbered("2.9", GetParam().value));
  EXPECT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_TRUE(one.instance.patch().empty());
  use(option + " = \"reject\"");
  EXPECT_TRUE(is_reject(one.apply(*filter_, *ledger_)));
  use(option + " = \"quarantine\"");
  EXPECT_TRUE(is_quarantine(one.apply(*filter_, *ledger_)));
}

INSTANTIATE_TEST_SUITE_P(
    All, RemapInstanceNumberBad,
    testing::Values(BadInstanceNumber{"empty", "", "empty"},
                    BadInstanceNumber{"blank", "  ", "empty"},
                    BadInstanceNumber{"letters", "12abc", "not_integer"},
                    BadInstanceNumber{"decimal", "1.5", "not_integer"},
                    BadInstanceNumber{"beyond_32_bits", "2147483648", "out_of_range"},
                    BadInstanceNumber{"beyond_64_bits", "99999999999999999999", "out_of_range"},
                    BadInstanceNumber{"two_values", "1\\2", "multi_valued"}),
    [](const auto& test) { return test.param.name; });

TEST_F(RemapInstanceNumber, AssignsWhereTheAttributeIsAbsent) {
  Case one(image("2.1", "1.2", "1.3", "1"));
  ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
  EXPECT_EQ(one.instance.text(tags::kInstanceNumber), "10000");
  EXPECT_EQ(one.instance.changes().front().reason, "absent");
}

TEST_F(RemapInstanceNumber, RecordsTheOldNumberUnlessToldNotTo) {
  for (const bool records : {true, false}) {
    use(records ? "" : "record_original = false");
    Case one(numbered("2.1", "12abc"));
    ASSERT_TRUE(is_pass(one.apply(*filter_, *ledger_)));
    ASSERT_TRUE(one.instance.record_original_attributes());
    const std::string output = one.output();
    const dicom::Header header = header_of(output);
    EXPECT_EQ(header.find(tags::kOriginalAttributesSequence).has_value(), records);
    EXPECT_EQ(output.find("12abc") != std::string::npos, records);
  }
}

TEST_F(RemapInstanceNumber, GivesTheSameAgainOverARestart) {
  TemporaryFolder folder;
  const std::string path = folder.path("ledger.db");
  for (int start = 0; start < 2; ++start) {
    ledger_ = std::move(*open_ledger(path));
    for (const char* instance :
         start == 0 ? std::vector{"2.1", "2.2"} : std::vector{"2.2", "2.1"}) {
      EXPECT_EQ(number_of(instance, "7"), std::string_view(instance) == "2.1" ? "7" : "10000");
    }
    EXPECT_TRUE(ledger_->commit());
    ledger_.reset();
  }
}

TEST_F(RemapInstanceNumber, GivesConcurrentInstancesDifferentNumbers) {
  constexpr int kThreads = 8;
  std::vector<std::string> numbers(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { numbers[i] = number_of("2." + std::to_string(i), "1"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(numbers.begin(), numbers.end()).size(), numbers.size());
  EXPECT_EQ(std::ranges::count(numbers, "1"), 1);
}

TEST_F(RemapInstanceNumber, RefusesOptionsThatMakeNoSense) {
  EXPECT_THROW(use("base = 0"), std::invalid_argument);
  EXPECT_THROW(use("collision = \"offset\""), std::invalid_argument);
  EXPECT_THROW(use("mode = \"collision\""), std::invalid_argument);
}

}  // namespace
}  // namespace sluice::test
