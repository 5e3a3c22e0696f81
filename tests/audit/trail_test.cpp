// Messages on their way from the list in memory over the file to a collector.
#include "gateway/audit/trail.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/base/counter.h"
#include "tests/audit/collector.h"
#include "tests/support/failing_calls.h"
#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace sluice::audit {
namespace {

using namespace sluice::test;
using std::chrono::steady_clock;
using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

Message numbered(int number) {
  return {"<85>1 - host sluice 1 -", "<?xml?><n>" + std::to_string(number) + "</n>"};
}

Message lost_message(std::uint64_t count, const std::string& reason) {
  return {"<84>1 - host sluice 1 -", "<?xml?>lost " + std::to_string(count) + " " + reason};
}

config::Audit to(const std::vector<std::string>& addresses, std::uint64_t max_size = 1 << 20) {
  config::Audit audit;
  for (const std::string& address : addresses) {
    config::Mistakes mistakes("test");
    const config::Config config =
        config::parse("[audit]\n[[audit.destination]]\naddress = \"" + address +
                          "\"\nretry_min = \"20ms\"\nretry_max = \"100ms\"\n"
                          "[[listener]]\nport = 1\n[[destination]]\nname = \"a\"\n"
                          "address = \"file:///a\"\n[[route]]\ndestinations = [\"a\"]\n",
                      mistakes);
    EXPECT_EQ(mistakes.text(), "");
    audit.destinations.push_back(config.audit.destinations.at(0));
  }
  audit.max_size = max_size;
  return audit;
}

class Trails : public testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<Trail> open(const config::Audit& audit) const {
    auto trail = Trail::open(file_, audit, lost_message);
    if (!trail) throw std::runtime_error(trail.error().message);
    return std::move(*trail);
  }
  static void add(Trail& trail, int from, int count) {
    for (int i = 0; i < count; ++i) trail.add(numbered(from + i));
  }
  static bool stop(Trail& trail, std::chrono::seconds within = std::chrono::seconds(20)) {
    return trail.stop(steady_clock::now() + within);
  }
  // What waits in the file.
  [[nodiscard]] std::size_t waiting() const { return stored().size(); }
  [[nodiscard]] std::vector<StoredMessage> stored(const std::string& file = "") const {
    auto db = sqlite::Connection::open(file.empty() ? file_ : file, store::kFormat);
    if (!db) throw std::runtime_error(db.error().message);
    auto messages = store::read_behind(**db, 0, 1'000'000);
    if (!messages) throw std::runtime_error(messages.error().message);
    return *messages;
  }

  TemporaryFolder folder_;
  std::string file_ = folder_.path("audit.db");
};

// The numbers in their order.
std::vector<int> numbers(const std::vector<std::string>& messages) {
  std::vector<int> found;
  for (const std::string& message : messages) {
    const std::size_t at = message.find("<n>");
    if (at != std::string::npos) found.push_back(std::stoi(message.substr(at + 3)));
  }
  return found;
}

std::vector<int> up_to(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Without what came twice: the first of each, in order.
std::vector<int> without_repeats(const std::vector<int>& all) {
  std::vector<int> once;
  std::set<int> seen;
  for (const int each : all) {
    if (seen.insert(each).second) once.push_back(each);
  }
  return once;
}

TEST_F(Trails, BringsMessagesInOrderAndKeepsNone) {
  const Collector collector;
  const auto trail = open(to({collector.address()}));
  add(*trail, 0, 500);
  EXPECT_TRUE(collector.wait_for(500));
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(numbers(collector.messages()), up_to(500));
  EXPECT_EQ(waiting(), 0U);
  EXPECT_THAT(collector.messages()[0],
              HasSubstr("<85>1 - host sluice 1 - [meta sequenceId=\"1\"] \xEF\xBB\xBF<?xml"));
}

TEST_F(Trails, RemovesWhatIsTakenWhileItRuns) {
  const Collector collector;
  const auto trail = open(to({collector.address()}));
  add(*trail, 0, 10);
  EXPECT_TRUE(collector.wait_for(10));
  EXPECT_TRUE(wait_until([&] { return waiting() == 0; }));
  EXPECT_TRUE(stop(*trail));
}

TEST_F(Trails, WaitsForACollectorThatIsAway) {
  std::uint16_t port = 0;
  {
    const Collector gone;
    port = gone.port();
  }
  const auto trail = open(to({"syslog://127.0.0.1:" + std::to_string(port)}));
  add(*trail, 0, 100);
  EXPECT_TRUE(wait_until([&] { return waiting() == 100; }));
  const Collector collector(port);
  EXPECT_TRUE(collector.wait_for(100));
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(numbers(collector.messages()), up_to(100));
}

TEST_F(Trails, SendsAgainWhatAResetMayHaveLost) {
  Collector collector;
  collector.resets_after = 100;
  const auto trail = open(to({collector.address()}));
  add(*trail, 0, 500);
  EXPECT_TRUE(
      wait_until([&] { return without_repeats(numbers(collector.messages())).size() == 500; }));
  EXPECT_GE(collector.connections(), 2U);
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(without_repeats(numbers(collector.messages())), up_to(500));
}

TEST_F(Trails, SendsAgainWhatACollectorLeftUnread) {
  auto first = std::make_unique<Collector>();
  const std::uint16_t port = first->port();
  first->reads = false;
  const auto trail = open(to({first->address()}));
  add(*trail, 0, 20);
  EXPECT_TRUE(wait_until([&] { return first->connections() == 1; }));
  // Its system has acknowledged them; it dies without having read one.
  first.reset();
  const Collector second(port);
  EXPECT_TRUE(second.wait_for(20));
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(without_repeats(numbers(second.messages())), up_to(20));
}

TEST_F(Trails, DoesNotWaitForASlowCollector) {
  Collector collector;
  collector.reads = false;
  const auto trail = open(to({collector.address()}));
  const auto begun = steady_clock::now();
  add(*trail, 0, 5000);
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(2));
  EXPECT_TRUE(wait_until([&] { return waiting() == 5000; }));
  collector.reads = true;
  EXPECT_TRUE(collector.wait_for(5000));
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(numbers(collector.messages()), up_to(5000));
}

TEST_F(Trails, GoesOnAfterARestart) {
  std::uint16_t port = 0;
  {
    const Collector gone;
    port = gone.port();
  }
  const std::string address = "syslog://127.0.0.1:" + std::to_string(port);
  {
    const auto trail = open(to({address}));
    add(*trail, 0, 50);
    EXPECT_TRUE(stop(*trail, std::chrono::seconds(0)));
  }
  EXPECT_EQ(waiting(), 50U);
  const Collector collector(port);
  const auto trail = open(to({address}));
  EXPECT_TRUE(collector.wait_for(50));
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(numbers(collector.messages()), up_to(50));
}

TEST_F(Trails, KeepsWhatOneOfTwoCollectorsHasNotGot) {
  const Collector here;
  std::uint16_t port = 0;
  {
    const Collector gone;
    port = gone.port();
  }
  const auto trail = open(to({here.address(), "syslog://127.0.0.1:" + std::to_string(port)}));
  add(*trail, 0, 10);
  EXPECT_TRUE(here.wait_for(10));
  const Collector late(port);
  EXPECT_TRUE(late.wait_for(10));
  EXPECT_TRUE(wait_until([&] { return waiting() == 0; }));
  EXPECT_TRUE(stop(*trail));
  EXPECT_EQ(numbers(late.messages()), up_to(10));
}

TEST_F(Trails, TakesWhatAnotherProcessAdds) {
  const Collector collector;
  const auto trail = open(to({collector.address()}));
  ASSERT_TRUE(Trail::add_beside(file_, {numbered(1), numbered(2)}));
  EXPECT_TRUE(collector.wait_for(2));
  EXPECT_TRUE(stop(*trail));
}

TEST_F(Trails, DropsTheOldestAboveItsSizeAndSaysHowMany) {
  const auto audit = to({"unix:" + folder_.path("nobody")});
  const auto trail = open(audit);
  const std::string filler(1000, 'x');
  int added = 0;
  const Labels label{{"reason", "size limit"}};
  const auto before = counted("sluice_audit_lost_total", label);
  EXPECT_TRUE(wait_until([&] {
    for (int i = 0; i < 200; ++i) {
      Message message = numbered(added++);
      message.xml += filler;
      trail->add(std::move(message));
    }
    return counted("sluice_audit_lost_total", label) > before;
  }));
  EXPECT_TRUE(stop(*trail, std::chrono::seconds(0)));
  const auto left = stored();
  std::vector<std::string> texts;
  texts.reserve(left.size());
  for (const StoredMessage& each : left) texts.push_back(each.message.xml);
  EXPECT_THAT(texts, Contains(HasSubstr("size limit")));
  // The last is there; the first went; what is there has no hole.
  const auto kept = numbers(texts);
  ASSERT_FALSE(kept.empty());
  EXPECT_EQ(kept.back(), added - 1);
  EXPECT_GT(kept.front(), 0);
  EXPECT_THAT(kept, SizeIs(static_cast<std::size_t>(kept.back() - kept.front() + 1)));
}

TEST_F(Trails, CountsWhatTheListCannotHoldAndTellsItLater) {
  const SmallDisk disk(8192);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  file_ = disk.path("audit.db");
  const Collector collector;
  const auto trail = open(to({collector.address()}));
  add(*trail, 0, 1);
  EXPECT_TRUE(collector.wait_for(1));
  disk.fill("filler");
  const Labels label{{"reason", "list full"}};
  const auto before = counted("sluice_audit_lost_total", label);
  add(*trail, 1, 12'000);
  EXPECT_TRUE(wait_until([&] { return counted("sluice_audit_lost_total", label) > before; }));
  std::filesystem::remove(disk.path("filler"));
  EXPECT_TRUE(wait_until([&] {
    return std::ranges::any_of(collector.messages(), [](const std::string& message) {
      return message.find("list full") != std::string::npos;
    });
  }));
  EXPECT_TRUE(stop(*trail));
  const auto brought = without_repeats(numbers(collector.messages()));
  const auto lost = counted("sluice_audit_lost_total", label) - before;
  EXPECT_EQ(brought.size() + lost, 12'001U);
  EXPECT_EQ(brought, up_to(static_cast<int>(brought.size())));
}

TEST_F(Trails, DoesNotBelieveADiskThatFailed) {
  const Collector collector;
  const auto trail = open(to({collector.address()}));
  const Labels label{{"reason", "store failed"}};
  const auto before = counted("sluice_audit_lost_total", label);
  {
    const FailingCall failing(Call::fdatasync, EIO, 1, true);
    add(*trail, 0, 1);
    EXPECT_TRUE(wait_until([&] { return FailingCall::fired(); }));
    EXPECT_TRUE(wait_until([&] { return counted("sluice_audit_lost_total", label) > before; }));
  }
  EXPECT_TRUE(stop(*trail, std::chrono::seconds(1)));
}

}  // namespace
}  // namespace sluice::audit
