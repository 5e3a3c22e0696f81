// The file changes while instances wait: what each was given stays.
#include "filters/lookup/steady_table.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "gateway/base/counter.h"
#include "tests/support/fixtures.h"
#include "tests/support/lookup_file.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr dicom::Tag kAccession = dicom::tags::kAccessionNumber;

class SteadyTableTest : public testing::Test {
 protected:
  void SetUp() override { restart(); }

  // A process ends, and another begins.
  void restart() {
    table_.reset();
    ledger_.reset();
    auto ledger = open_ledger(folder_.path("ledger.db"));
    if (!ledger) throw std::runtime_error(ledger.error().message);
    ledger_ = std::move(*ledger);
    FirstReading first = read_first(file_);
    EXPECT_THAT(first.reading.mistakes, IsEmpty());
    table_ = std::make_unique<SteadyTable>(file_, "accessions", std::move(first.reading),
                                           first.stamp, milliseconds(0));
  }
  void put(const std::string& rows) { test::put_file(file_.path, "id,accession\n" + rows); }

  // A time of receipt later than any before.
  Time receive() {
    latest_ =
        std::max(latest_ + microseconds(1), std::chrono::floor<microseconds>(system_clock::now()));
    return latest_;
  }
  // The accession number, or "missing".
  std::string find(const std::string& key, Time received_at) {
    std::string text;
    append_part(text, key);
    const auto found = table_->find(text, received_at, *ledger_);
    if (!found) throw std::runtime_error(found.error().message);
    EXPECT_TRUE(ledger_->commit());
    if (found->empty()) return "missing";
    return decode_values(*found).value().at(0).second;
  }
  static std::uint64_t reloads(const std::string& outcome) {
    return counted("sluice_lookup_reloads_total", {{"filter", "accessions"}, {"outcome", outcome}});
  }

  test::TemporaryFolder folder_;
  const TableFile file_ = [this] {
    const std::string path = folder_.path("accessions.csv");
    test::put_file(path, "id,accession\nP1,A1\nP2,B1\n");
    return TableFile{
        path, "", ',', {"(0010,0020)"}, {"id"}, {{kAccession, dicom::Vr::SH, "accession"}}};
  }();
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<SteadyTable> table_;
  std::chrono::sys_time<microseconds> latest_;
};

TEST_F(SteadyTableTest, NewInstancesHaveWhatTheFileSaysAtOnceAndEarlierOnesWhatTheyWereGiven) {
  const Time first = receive();
  EXPECT_EQ(find("P1", first), "A1");
  put("P1,A2\nP2,B1\n");
  const Time second = receive();
  EXPECT_EQ(find("P1", second), "A2") << "the one that finds the file changed, too";
  EXPECT_EQ(find("P1", first), "A1");
  put("P1,A3\nP2,B1\n");
  const Time third = receive();
  EXPECT_EQ(find("P1", first), "A1");
  EXPECT_EQ(find("P1", second), "A2");
  EXPECT_EQ(find("P1", third), "A3");
  put("P1,A1\nP2,B1\n");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(find("P1", third), "A3");
    EXPECT_EQ(find("P1", second), "A2");
    EXPECT_EQ(find("P1", first), "A1");
    EXPECT_EQ(find("P2", first), "B1");
    EXPECT_EQ(find("P1", receive()), "A1");
    restart();
  }
}

TEST_F(SteadyTableTest, AKeyThatIsAddedOrRemovedCountsForWhatComesAfterwards) {
  const Time before = receive();
  EXPECT_EQ(find("P3", before), "missing");
  EXPECT_EQ(find("P2", before), "B1");
  put("P1,A1\nP3,C1\n");
  const Time after = receive();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(find("P3", after), "C1");
    EXPECT_EQ(find("P2", after), "missing");
    EXPECT_EQ(find("P3", before), "missing");
    EXPECT_EQ(find("P2", before), "B1");
    restart();
  }
}

TEST_F(SteadyTableTest, AFileThatChangesWhileNobodyRunsCountsForWhatComesAfterwards) {
  const Time before = receive();
  EXPECT_EQ(find("P1", before), "A1");
  EXPECT_EQ(find("P3", before), "missing");
  put("P1,A2\nP3,C1\n");
  restart();
  EXPECT_EQ(find("P3", before), "missing") << "it waits from before, and comes first";
  EXPECT_EQ(find("P1", receive()), "A2");
  EXPECT_EQ(find("P3", receive()), "C1");
  EXPECT_EQ(find("P1", before), "A1");
}

TEST_F(SteadyTableTest, AnInstanceThatOvertookAnotherLeavesBothWithWhatTheyWereGiven) {
  const Time slow = receive();
  const Time fast = receive();
  EXPECT_EQ(find("P1", fast), "A1");
  put("P1,A2\nP2,B2\n");
  EXPECT_EQ(find("P1", slow), "A1") << "what was remembered when it came";
  const std::string of_slow = find("P2", slow);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(find("P1", receive()), "A2");
    EXPECT_EQ(find("P2", receive()), "B2");
    EXPECT_EQ(find("P1", fast), "A1");
    EXPECT_EQ(find("P1", slow), "A1");
    EXPECT_EQ(find("P2", slow), of_slow);
    put("P1,A3\nP2,B3\n");
    restart();
    put("P1,A2\nP2,B2\n");
  }
}

TEST_F(SteadyTableTest, AClockThatIsSetBackChangesNoAnswer) {
  const Time ahead = receive() + hours(1);
  EXPECT_EQ(find("P1", ahead), "A1");
  put("P1,A2\nP2,B1\n");
  const Time back = receive();
  EXPECT_EQ(find("P1", back), "A1") << "before the first of the new file: remembered";
  EXPECT_EQ(find("P1", ahead), "A1");
  const Time further = ahead + hours(1);
  EXPECT_EQ(find("P1", further), "A2");
  put("P1,A3\nP2,B1\n");
  restart();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(find("P1", ahead), "A1");
    EXPECT_EQ(find("P1", back), "A1");
    restart();
  }
}

TEST_F(SteadyTableTest, AFileWithAMistakeOrWithoutItselfLeavesWhatWasLoaded) {
  EXPECT_EQ(find("P1", receive()), "A1");
  const auto refused = reloads("refused");
  const auto loaded = reloads("loaded");
  put("P1,A2,more\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(find("P1", receive()), "A1");
  EXPECT_EQ(reloads("refused"), refused + 1) << "told once";
  std::filesystem::remove(file_.path);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(find("P1", receive()), "A1");
  EXPECT_EQ(reloads("refused"), refused + 2);
  EXPECT_EQ(reloads("loaded"), loaded);
  put("P1,A2\n");
  EXPECT_EQ(find("P1", receive()), "A2");
  EXPECT_EQ(reloads("loaded"), loaded + 1);
  std::filesystem::remove(file_.path);
  EXPECT_EQ(find("P1", receive()), "A2");
  EXPECT_EQ(reloads("refused"), refused + 3) << "gone again is told again";
}

TEST_F(SteadyTableTest, TheWarningNamesFileAndMistakesAndNoValue) {
  put("P1,SECRET-ACCESSION-NUMBER\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(find("P1", receive()), "A1");
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, HasSubstr(file_.path));
  EXPECT_THAT(line, HasSubstr("line 2: column 'accession' is no value of VR SH"));
  EXPECT_THAT(line, testing::Not(HasSubstr("SECRET")));
  EXPECT_THAT(line, testing::Not(HasSubstr("P1")));
}

TEST_F(SteadyTableTest, AFileThatIsWrittenInPlaceIsTakenOnceItRests) {
  EXPECT_EQ(find("P1", receive()), "A1");
  std::ofstream(file_.path) << "id,accession\nP1,A2\n";
  EXPECT_FALSE(read_table(file_, stamp_of(file_), false)) << "a second ago it was another";
  EXPECT_TRUE(read_table(file_, stamp_of(file_), true));
  std::ofstream(file_.path, std::ios::app) << "P2,B2\n";
  std::filesystem::last_write_time(
      file_.path, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1));
  EXPECT_EQ(find("P1", receive()), "A2");
  EXPECT_EQ(find("P2", receive()), "B2");
}

TEST_F(SteadyTableTest, AFileThatChangesWhileItIsReadIsNotTaken) {
  const FileStamp before = stamp_of(file_);
  put("P1,A2\n");
  EXPECT_FALSE(read_table(file_, before, true));
}

// From a clock that is ahead: nobody can tell its age but by looking twice.
TEST_F(SteadyTableTest, AFileFromTheFutureIsTakenWhenItWasTheSameTwice) {
  put("P1,A2\n");
  std::filesystem::last_write_time(file_.path,
                                   std::filesystem::file_time_type::clock::now() + hours(2));
  EXPECT_EQ(find("P1", receive()), "A1");
  EXPECT_EQ(find("P1", receive()), "A2");
}

// The property itself, with what a busy gateway does at once.
TEST_F(SteadyTableTest, ThreadsAskWhileTheFileChanges) {
  struct Answer {
    std::string key;
    Time received_at;
    std::string found;
  };
  constexpr std::size_t kThreads = 4;
  std::vector<std::vector<Answer>> answers(kThreads);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::vector<Answer>& mine : answers) {
    threads.emplace_back([&] {
      for (int i = 0; !stop; ++i) {
        const std::string key = "P" + std::to_string(i % 5);
        const Time now = system_clock::now();
        mine.push_back({key, now, find(key, now)});
        const Answer& again = mine.at(static_cast<std::size_t>(i) / 2);
        EXPECT_EQ(find(again.key, again.received_at), again.found);
      }
    });
  }
  for (int version = 2; version < 40; ++version) {
    put("P1,A" + std::to_string(version) + "\nP" + std::to_string(version % 5 + 2) + ",X\n");
    std::this_thread::sleep_for(milliseconds(10));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  restart();
  std::size_t checked = 0;
  for (const std::vector<Answer>& mine : answers) {
    for (const Answer& answer : mine) {
      EXPECT_EQ(find(answer.key, answer.received_at), answer.found);
      ++checked;
    }
  }
  EXPECT_GT(checked, 100U);
}

}  // namespace
}  // namespace sluice
