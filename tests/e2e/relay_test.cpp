// The short way: a destination that answers at once gets an instance before its sender is
// answered, and the disk is not waited for. Whatever else it does changes nothing but that.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "tests/crash/generated.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/e2e/gateway_process.h"

namespace sluice::test {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;

constexpr std::size_t kSuccess = 0;

class Relay : public ::testing::Test {
 protected:
  static std::string routing(std::uint16_t port, const std::string& route) {
    return "[[destination]]\nname = \"pacs\"\nassociations = 2\nresponse_timeout = \"20s\"\n"
           "address = \"dicom://PACS@127.0.0.1:" +
           std::to_string(port) +
           "\"\nretry_min = \"50ms\"\nretry_max = \"200ms\"\n[[route]]\nname = \"all\"\n"
           "filters = [\"sanitize_uids\"]\ndestinations = [\"pacs\"]\n" +
           route;
  }
  void start(const std::string& route = "", const std::string& options = "") {
    gateway_.configure(routing(pacs_.port(), route), options);
    gateway_.start();
  }
  // Answers of one association, in order.
  std::vector<std::size_t> send(std::uint64_t first, std::uint64_t count) {
    Sender sender(gateway_.port());
    std::vector<std::size_t> statuses;
    for (std::uint64_t n = first; n < first + count; ++n) {
      statuses.push_back(sender.store(generated_instance(n)).value_or(0xFFFF));
    }
    sender.release();
    return statuses;
  }
  // By whom the sender's answers were decided.
  [[nodiscard]] std::size_t acknowledged_by(const std::string& whom) const {
    const auto lines = gateway_.lines("stored");
    return static_cast<std::size_t>(std::ranges::count_if(
        lines, [&](const auto& line) { return line.at("acknowledged_by") == whom; }));
  }
  // Until one was relayed: a first association is opened by way of the disk.
  std::uint64_t warm_up() {
    std::uint64_t next = 1000;
    EXPECT_TRUE(wait_until(
        [&] {
          EXPECT_THAT(send(next++, 1), Each(kSuccess));
          return acknowledged_by("destination") > 0;
        },
        kDeadline));
    return next - 1000;
  }
  void expect_each_once(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t n = first; n < first + count; ++n) {
      EXPECT_EQ(pacs_.count_of(generated_instance(n).sop_instance_uid), 1U) << n;
    }
  }

  TemporaryFolder folder_;
  std::atomic<int> slow_ms_ = 0;
  std::atomic<std::size_t> status_ = 0;
  std::atomic<int> bad_answers_ = 0;  // so many more times
  ScriptedPacs pacs_{[this](const StoredByPacs&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(slow_ms_));
    Reaction reaction;
    if (bad_answers_.fetch_sub(1) > 0) reaction.status = status_;
    return reaction;
  }};
  GatewayProcess gateway_{folder_.path("gateway"), routing(pacs_.port(), "")};
};

TEST_F(Relay, NeedsNoFileForAPromptDestination) {
  start();
  const std::uint64_t before = warm_up();
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_THAT(send(0, 40), Each(kSuccess));
  EXPECT_THAT(gateway_.spooled(), IsEmpty()) << "all is delivered when the last is answered";
  EXPECT_GE(acknowledged_by("destination"), 30U) << gateway_.log();
  expect_each_once(0, 40);
  for (const StoredByPacs& stored : pacs_.stored()) {
    EXPECT_THAT(stored.data_set, ::testing::HasSubstr("SOAK")) << "a data set";
  }
  const auto sums = gateway_.run({"queue", "sum", "--json"}).json();
  EXPECT_TRUE(sums.at("adds_up"));
  EXPECT_EQ(sums.at("deliveries").at(0).at("delivered"), 40 + before);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, WaitsNoLongerThanItsPatience) {
  start();
  const std::uint64_t before = warm_up();
  slow_ms_ = 2'000;
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_THAT(send(0, 1), Each(kSuccess));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(1'900));
  EXPECT_FALSE(gateway_.spooled().empty()) << "durable when it was answered";
  slow_ms_ = 0;
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", before + 1}})) << gateway_.log();
  expect_each_once(0, 1);
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, LeavesASlowDestinationToTheQueue) {
  start("", "delivery_patience = \"20ms\"\n");
  const std::uint64_t before = warm_up();
  slow_ms_ = 60;
  EXPECT_THAT(send(0, 10), Each(kSuccess));
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", before + 10}})) << gateway_.log();
  expect_each_once(0, 10);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, KeepsWhatIsRefused) {
  start();
  const std::uint64_t before = warm_up();
  status_ = 0xA700;
  bad_answers_ = 1;
  EXPECT_THAT(send(0, 1), Each(kSuccess)) << "it is durable";
  EXPECT_TRUE(gateway_.wait_for_counts({{"delivered", before + 1}})) << gateway_.log();
  EXPECT_EQ(pacs_.count_of(generated_instance(0).sop_instance_uid), 2U);
  EXPECT_TRUE(gateway_.wait_for_lines("deferred", 1));
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, KeepsEverythingWhileTheDestinationIsAway) {
  start();
  warm_up();
  pacs_.greet(Greeting::close);
  status_ = 0x0110;
  bad_answers_ = 1;  // ends the good time
  EXPECT_THAT(send(0, 5), Each(kSuccess));
  EXPECT_GE(gateway_.spooled().size(), 1U);
  gateway_.kill();
  pacs_.greet(Greeting::accept);
  gateway_.start();
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  for (std::uint64_t n = 0; n < 5; ++n) {
    EXPECT_GE(pacs_.count_of(generated_instance(n).sop_instance_uid), 1U) << n;
  }
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, OfTheSameInstanceSentAtOnceGoesOutOnce) {
  start();
  warm_up();
  for (std::uint64_t n = 0; n < 10; ++n) {
    std::vector<std::thread> senders;
    senders.reserve(3);
    for (int i = 0; i < 3; ++i) {
      senders.emplace_back([&] { EXPECT_THAT(send(n, 1), Each(kSuccess)); });
    }
    for (std::thread& sender : senders) sender.join();
  }
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  expect_each_once(0, 10);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

// Both answer within the patience, but not one after the other.
TEST_F(Relay, WaitsForAllDestinationsTogether) {
  ScriptedPacs archive{[this](const StoredByPacs&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(slow_ms_));
    return Reaction{};
  }};
  gateway_.configure("[[destination]]\nname = \"archive\"\naddress = \"dicom://ARCHIVE@127.0.0.1:" +
                         std::to_string(archive.port()) + "\"\n" + routing(pacs_.port(), "") +
                         "[[route]]\nname = \"copy\"\ndestinations = [\"archive\"]\n",
                     "delivery_patience = \"3s\"\n");
  gateway_.start();
  warm_up();
  const std::size_t before = acknowledged_by("destination");
  slow_ms_ = 1'800;
  EXPECT_THAT(send(0, 1), Each(kSuccess));
  EXPECT_EQ(acknowledged_by("destination"), before + 1) << gateway_.log();
  expect_each_once(0, 1);
  EXPECT_EQ(archive.count_of(generated_instance(0).sop_instance_uid), 1U);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, TakesTurnsInABalancedGroupAlsoWithOneSender) {
  ScriptedPacs second;
  const auto destination = [](const char* name, const ScriptedPacs& pacs) {
    return "[[destination]]\nname = \"" + std::string(name) +
           "\"\naddress = \"dicom://PACS@127.0.0.1:" + std::to_string(pacs.port()) + "\"\n";
  };
  gateway_.configure(destination("first", pacs_) + destination("second", second) +
                     "[[group]]\nname = \"both\"\nmode = \"balance\"\n"
                     "destinations = [\"first\", \"second\"]\n"
                     "[[route]]\ndestinations = [\"both\"]\n");
  gateway_.start();
  // Relayed by both: each has an association by then.
  std::uint64_t next = 0;
  EXPECT_TRUE(wait_until(
      [&] {
        EXPECT_THAT(send(next++, 1), Each(kSuccess));
        return !pacs_.stored().empty() && !second.stored().empty() &&
               acknowledged_by("destination") > 1;
      },
      kDeadline))
      << gateway_.log();
  const std::size_t before = second.stored().size();
  EXPECT_THAT(send(next, 100), Each(kSuccess));
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  EXPECT_GE(second.stored().size() - before, 20U);
  EXPECT_LE(second.stored().size() - before, 80U);
  EXPECT_EQ(pacs_.stored().size() + second.stored().size(), next + 100);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

TEST_F(Relay, WaitsForTheDiskWhereARouteSaysSo) {
  start("acknowledge = \"stored\"\n");
  EXPECT_THAT(send(0, 20), Each(kSuccess));
  EXPECT_EQ(acknowledged_by("destination"), 0U);
  EXPECT_TRUE(gateway_.wait_for_empty_spool());
  expect_each_once(0, 20);
  EXPECT_EQ(gateway_.stop(), 0) << gateway_.log();
}

}  // namespace
}  // namespace sluice::test
