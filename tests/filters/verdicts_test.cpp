// The filters that say one thing on a condition: reject, drop, quarantine, label.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/filter_runner.h"

namespace sluice {
namespace {

using test::Case;
using testing::HasSubstr;

const std::string kWhen = "when = { SeriesNumber = '9*' }\n";

class Verdicts : public testing::Test {
 protected:
  Verdict say(const std::string& type, const std::string& options, const char* series_number) {
    const auto filter = test::make_filter(type, options, "rule");
    Case one(test::image("1.2.3", "1.2", "1.2.1", series_number));
    Verdict verdict = one.apply(*filter, *ledger_);
    labels_ = one.instance.labels();
    EXPECT_TRUE(one.instance.changes().empty());
    return verdict;
  }
  static std::string mistakes(const std::string& type, const std::string& options) {
    try {
      (void)test::make_filter(type, options);
    } catch (const std::invalid_argument& found) {
      return found.what();
    }
    return "";
  }
  std::vector<std::string> labels_;
  std::unique_ptr<Ledger> ledger_ = test::memory_ledger();
};

TEST_F(Verdicts, PassWhatTheirConditionsDoNotMean) {
  for (const char* const type : {"reject", "drop", "quarantine"}) {
    EXPECT_TRUE(test::is_pass(say(type, kWhen, "1"))) << type;
    EXPECT_FALSE(test::is_pass(say(type, kWhen, "901"))) << type;
    EXPECT_FALSE(test::is_pass(say(type, "", "1"))) << type;
  }
}

TEST_F(Verdicts, RejectWithStatusAndReason) {
  const Verdict usual = say("reject", kWhen, "9");
  EXPECT_EQ(std::get<Reject>(usual).status, 0xC000);
  EXPECT_EQ(std::get<Reject>(usual).reason, "refused by rule");
  const Verdict own = say("reject", kWhen + "status = 0xA701\nreason = 'later'", "9");
  EXPECT_EQ(std::get<Reject>(own).status, 0xA701);
  EXPECT_EQ(std::get<Reject>(own).reason, "later");
}

TEST_F(Verdicts, DropAndQuarantineWithAReason) {
  EXPECT_EQ(std::get<Drop>(say("drop", kWhen, "9")).reason, "as rule says");
  EXPECT_EQ(std::get<Drop>(say("drop", kWhen + "reason = 'phantom'", "9")).reason, "phantom");
  EXPECT_EQ(std::get<Quarantine>(say("quarantine", kWhen + "reason = 'odd'", "9")).reason, "odd");
}

TEST_F(Verdicts, LabelGivesItsWords) {
  EXPECT_TRUE(test::is_pass(say("label", kWhen, "9")));
  EXPECT_THAT(labels_, testing::ElementsAre("rule"));
  EXPECT_TRUE(test::is_pass(say("label", kWhen + "label = ['a', 'b']", "9")));
  EXPECT_THAT(labels_, testing::ElementsAre("a", "b"));
  EXPECT_TRUE(test::is_pass(say("label", kWhen, "1")));
  EXPECT_THAT(labels_, testing::IsEmpty());
  EXPECT_THAT(test::make_filter("label", "label = ['a', 'b']")->effects().labels,
              testing::ElementsAre("a", "b"));
}

TEST_F(Verdicts, TellMistakes) {
  EXPECT_THAT(mistakes("reject", "status = 0"), HasSubstr("0xA700"));
  EXPECT_THAT(mistakes("reject", "status = 0xB000"), HasSubstr("refusal"));
  EXPECT_THAT(mistakes("reject", "reason = '" + std::string(65, 'x') + "'"), HasSubstr("64"));
  EXPECT_THAT(mistakes("drop", "when = { Modalty = 'CT' }"), HasSubstr("Modality"));
  EXPECT_THAT(mistakes("label", "label = []"), HasSubstr("no label"));
  EXPECT_THAT(mistakes("label", "label = ''"), HasSubstr("empty"));
}

}  // namespace
}  // namespace sluice
