// What stands for which UID, and the way back.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>

#include "gateway/ledger/ledger.h"
#include "tests/support/failing_calls.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;
using test::Call;
using test::FailingCall;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class UidReplacements : public ::testing::Test {
 protected:
  void reopen() {
    ledger_.reset();
    ledger_ = another();
  }
  [[nodiscard]] std::unique_ptr<Ledger> another() const {
    auto ledger = open_ledger(folder_.path("ledger.db"));
    if (!ledger) throw std::runtime_error(ledger.error().message);
    return std::move(*ledger);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_ = another();
};

// "2.1" is what the scope made of "1.1"; of another scope's it knows nothing.
TEST_F(UidReplacements, LeavesAsItIsWhatTheScopeItselfMade) {
  EXPECT_EQ(*ledger_->replaces_uid("copy", "1.1", "2.1", "remapped"), true);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.1", "remapped"), false);
    EXPECT_EQ(*ledger_->replaces_uid("copy", "1.1", "2.1", "remapped"), true);
    EXPECT_EQ(*ledger_->replaces_uid("other", "2.1", "4.1", "remapped"), true);
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
  EXPECT_EQ(ledger_->lookup("1.1")->size(), 1U);
  EXPECT_THAT(*ledger_->lookup("3.1"), IsEmpty());
  EXPECT_EQ(ledger_->lookup("2.1")->size(), 2U) << "by copy, and of other";
}

// A copy that came here before its original did was replaced, and is so each time.
TEST_F(UidReplacements, GoesOnReplacingWhatItReplacedBeforeItMadeTheSame) {
  EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.1", "remapped"), true);
  EXPECT_EQ(*ledger_->replaces_uid("copy", "1.1", "2.1", "remapped"), true);
  EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.1", "remapped"), true);
  ASSERT_TRUE(ledger_->commit());
  reopen();
  EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.1", "remapped"), true);
  EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.2", "remapped"), true) << "with another key";
}

TEST_F(UidReplacements, TwoGatewaysOnOneFileKnowEachOthersReplacements) {
  const auto other = another();
  EXPECT_EQ(*ledger_->replaces_uid("copy", "1.1", "2.1", "remapped"), true);
  ASSERT_TRUE(ledger_->commit());
  EXPECT_EQ(*other->replaces_uid("copy", "2.1", "3.1", "remapped"), false);
  EXPECT_EQ(*other->replaces_uid("copy", "1.1", "2.1", "remapped"), true);
  EXPECT_THAT(*other->originals("copy", "2.1", system_clock::now()), ElementsAre("1.1"));
}

TEST_F(UidReplacements, FullDiskTakesBackThatAUidIsReplaced) {
  {
    const FailingCall failing(Call::write, ENOSPC, 1, true);
    EXPECT_EQ(*ledger_->replaces_uid("copy", "1.1", "2.1", "remapped"), true);
    EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.1", "remapped"), false);
    EXPECT_FALSE(ledger_->commit());
  }
  EXPECT_EQ(*ledger_->replaces_uid("copy", "2.1", "3.1", "remapped"), true) << "nothing made it";
}

TEST_F(UidReplacements, OriginalsStayWhatTheyWereAtReceipt) {
  const Time early = system_clock::now();
  EXPECT_THAT(*ledger_->originals("copy", "2.1", early), IsEmpty());
  ASSERT_TRUE(ledger_->record_uid("copy", "1.1", "2.1", "remapped"));
  ASSERT_TRUE(ledger_->record_uid("other", "1.9", "2.1", "remapped"));
  const Time later = system_clock::now() + hours(1);
  EXPECT_THAT(*ledger_->originals("copy", "2.1", later), ElementsAre("1.1"));
  ASSERT_TRUE(ledger_->record_uid("copy", "1.2", "2.1", "merged"));
  ASSERT_TRUE(ledger_->record_uid("copy", "1.3", "2.1", "merged"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(*ledger_->originals("copy", "2.1", early), IsEmpty());
    EXPECT_THAT(*ledger_->originals("copy", "2.1", later), ElementsAre("1.1"));
    EXPECT_THAT(*ledger_->originals("copy", "2.1", later + hours(1)), ElementsAre("1.1", "1.2"));
    EXPECT_THAT(*ledger_->originals("copy", "2.1", later), ElementsAre("1.1")) << "from memory";
    ASSERT_TRUE(ledger_->commit());
    reopen();
  }
}

}  // namespace
}  // namespace sluice
