// The whole gateway on a disk of its own that fills up: senders are refused, what waits goes
// out, and then there is room again.
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/crash/generated.h"
#include "tests/crash/oracle.h"
#include "tests/deliver/scripted_pacs.h"
#include "tests/e2e/gateway_process.h"
#include "tests/support/small_disk.h"

namespace sluice::test {
namespace {

constexpr std::size_t kDiskIsFull = 0xA700;

class FullDisk : public testing::Test {
 protected:
  [[nodiscard]] std::string routing() const {
    return "[[destination]]\nname = \"pacs\"\naddress = \"dicom://PACS@127.0.0.1:" +
           std::to_string(pacs_.port()) +
           "\"\nretry_min = \"20ms\"\nretry_max = \"200ms\"\n"
           "[[filter]]\ntype = \"remap_series_number\"\nrecord_original = false\n"
           "[[route]]\nfilters = [\"sanitize_uids\", \"merge_studies\", "
           "\"remap_series_number\"]\ndestinations = [\"pacs\"]\n";
  }

  // On one association, until so many were refused. Returns how many were taken.
  std::size_t send_until_refused(const GatewayProcess& gateway, int refusals) {
    constexpr std::uint64_t kMost = 20'000;
    Sender sender(gateway.port());
    std::size_t taken = 0;
    while (refusals > 0 && next_ < kMost) {
      const std::size_t status = send(sender);
      taken += status == 0 ? 1 : 0;
      refusals -= status == 0 ? 0 : 1;
    }
    sender.release();
    return taken;
  }

  std::size_t send(Sender& sender) {
    const Generated instance = generated_instance(next_++);
    const auto status = sender.store(instance);
    if (status) {
      oracle_.answered(instance, *status);
      EXPECT_TRUE(*status == 0 || *status == kDiskIsFull) << std::hex << *status;
    } else {
      oracle_.unanswered(instance);
      ADD_FAILURE() << "no answer";
    }
    return status.value_or(0xFFFF);
  }

  void fill_with_three_senders(const GatewayProcess& gateway) {
    std::vector<std::thread> senders;
    senders.reserve(3);
    for (int n = 0; n < 3; ++n) {
      senders.emplace_back([&] { EXPECT_GT(send_until_refused(gateway, 10), 0U); });
    }
    for (std::thread& sender : senders) sender.join();
  }

  // Not in the moment in which the reserve is given back: who takes that room first leaves none for
  // the queue, which then waits until there is some. It may come later, when nobody is there to.
  void fill_the_rest(const GatewayProcess& gateway) {
    constexpr std::chrono::seconds kMost{2};
    static_cast<void>(wait_until(
        [&] { return !gateway.lines("disk full: reserve given back to the queue").empty(); },
        kMost));
    disk_.fill("ballast");
  }

  void expect_nothing_lost() {
    const Oracle::Table table = oracle_.table();
    EXPECT_GT(table.refused, 30U);
    EXPECT_EQ(table.lost, 0U);
    EXPECT_EQ(table.altered, 0U);
    EXPECT_EQ(table.forwarded, 0U);
  }

  SmallDisk disk_{24 * 1024};
  Oracle oracle_;
  std::atomic<std::uint64_t> next_ = 0;
  ScriptedPacs pacs_{[this](const StoredByPacs& stored, int) {
                       oracle_.delivered(stored);
                       return Reaction{};
                     },
                     ScriptedPacs::Keep::nothing};
};

TEST_F(FullDisk, RefusesThenDrainsThenTakesAgain) {
  if (!disk_.is_mounted()) GTEST_SKIP() << disk_.why_not();
  GatewayProcess gateway(disk_.path("gateway"), routing());
  pacs_.greet(Greeting::reject_transient);
  gateway.start();
  fill_with_three_senders(gateway);
  fill_the_rest(gateway);
  EXPECT_EQ(send_until_refused(gateway, 10), 0U) << "not a byte was left";
  EXPECT_EQ(gateway.run({"fault", "show"}).exit_code, 3) << "a full disk is no fault";

  pacs_.greet(Greeting::accept);
  EXPECT_TRUE(wait_until([&] { return oracle_.is_complete(); }, kDeadline)) << gateway.log();
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  std::filesystem::remove(disk_.path("ballast"));
  Sender sender(gateway.port());
  EXPECT_TRUE(wait_until([&] { return send(sender) == 0; }, kDeadline));
  sender.release();
  EXPECT_TRUE(wait_until([&] { return oracle_.is_complete(); }, kDeadline));
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_TRUE(gateway.wait_for_lines("the queue has its reserve again: images are accepted", 1));
  EXPECT_TRUE(gateway.run({"queue", "sum", "--json"}).json().at("adds_up"));
  EXPECT_EQ(gateway.run({"fault", "show"}).exit_code, 3);
  EXPECT_EQ(gateway.stop(), 0);
  expect_nothing_lost();
}

TEST_F(FullDisk, DrainsAfterARestartToo) {
  if (!disk_.is_mounted()) GTEST_SKIP() << disk_.why_not();
  GatewayProcess gateway(disk_.path("gateway"), routing());
  pacs_.greet(Greeting::reject_transient);
  gateway.start();
  fill_with_three_senders(gateway);
  EXPECT_EQ(gateway.stop(), 0);
  disk_.fill("ballast");
  gateway.start();
  send_until_refused(gateway, 10);
  pacs_.greet(Greeting::accept);
  EXPECT_TRUE(wait_until([&] { return oracle_.is_complete(); }, kDeadline)) << gateway.log();
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_EQ(gateway.run({"fault", "show"}).exit_code, 3);
  EXPECT_EQ(gateway.stop(), 0);
  expect_nothing_lost();
}

// What was closed in order leaves no log to write on in: the start must find room for one.
TEST_F(FullDisk, IsNoHindranceToAStart) {
  if (!disk_.is_mounted()) GTEST_SKIP() << disk_.why_not();
  GatewayProcess gateway(disk_.path("gateway"), routing());
  pacs_.greet(Greeting::reject_transient);
  gateway.start();
  {
    Sender sender(gateway.port());
    for (int n = 0; n < 20; ++n) EXPECT_EQ(send(sender), 0U);
    sender.release();
  }
  EXPECT_EQ(gateway.stop(), 0);
  disk_.fill("ballast");
  gateway.start();
  send_until_refused(gateway, 31);
  pacs_.greet(Greeting::accept);
  EXPECT_TRUE(wait_until([&] { return oracle_.is_complete(); }, kDeadline)) << gateway.log();
  EXPECT_TRUE(gateway.wait_for_empty_spool());
  EXPECT_EQ(gateway.run({"fault", "show"}).exit_code, 3);
  EXPECT_EQ(gateway.stop(), 0);
  expect_nothing_lost();
}

}  // namespace
}  // namespace sluice::test
