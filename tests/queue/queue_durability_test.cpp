// What a queue keeps when many write at once, the disk fails, or the process dies.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/queue/queue.h"
#include "gateway/spool/spool.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/failing_calls.h"
#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using test::Call;
using test::claimed_ids;
using test::delivery;
using test::FailingCall;
using test::instance;
using test::open_queue;
using test::outcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(QueueDurability, ConcurrentAddsShareCommits) {
  const test::TemporaryFolder folder;
  std::atomic<int> syncs = 0;
  std::atomic<int> added = 0;
  constexpr int kThreads = 8;
  constexpr int kAddsEach = 50;
  // The first commit waits until every thread has an add of its own on the way, so that
  // the next one has something to gather however slow the machine is.
  std::promise<void> all_started;
  std::shared_future<void> started = all_started.get_future().share();
  std::atomic<int> begun = 0;
  auto queue = open_queue(folder.path("q"), {.before_commit = [&]() -> Result<void> {
                                               if (++syncs == 1) started.wait();
                                               return {};
                                             },
                                             .file_done = {}});
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kAddsEach; ++i) {
        if (i == 0 && ++begun == kThreads) all_started.set_value();
        const std::string id = std::to_string(t) + "-" + std::to_string(i);
        if (queue->add(instance(id), {delivery("pacs")})) ++added;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(added, kThreads * kAddsEach);
  EXPECT_LT(syncs, kThreads * kAddsEach);
  EXPECT_GT(syncs, 0);
  queue = open_queue(folder.path("q"));
  EXPECT_EQ(queue->unfinished_instances()->size(), 400U);
}

TEST(QueueDurability, NothingIsClaimedTwice) {
  const test::TemporaryFolder folder;
  auto queue = open_queue(folder.path("q"));
  constexpr std::size_t kInstances = 400;
  std::atomic<std::size_t> finished = 0;
  std::vector<std::vector<std::string>> claimed(8);
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (auto& mine : claimed) {
    threads.emplace_back([&] {
      while (finished < kInstances) {
        for (const std::string& id : claimed_ids(*queue, "pacs", 3)) {
          mine.push_back(id);
          queue->finish(outcome(id, "pacs"));
          ++finished;
        }
        queue->wait_for_work("pacs", test::in(std::chrono::milliseconds(20)));
      }
    });
  }
  for (std::size_t i = 0; i < kInstances; ++i) {
    ASSERT_TRUE(queue->add(instance(std::to_string(i)), {delivery("pacs")}));
  }
  for (auto& thread : threads) thread.join();
  std::multiset<std::string> all;
  for (const auto& mine : claimed) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), kInstances);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), kInstances);
  ASSERT_TRUE(queue->flush());
  EXPECT_THAT(*queue->unfinished_instances(), IsEmpty());
}

TEST(QueueDurability, FailedDirectorySyncRefusesAddsAndAllElseGoesOn) {
  const test::TemporaryFolder folder;
  std::atomic<bool> fails = false;
  test::DoneFiles done;
  Queue::Hooks hooks = done.hooks();
  hooks.before_commit = [&]() -> Result<void> {
    if (fails) return failure(ErrorCode::transient, "no sync");
    return {};
  };
  auto queue = open_queue(folder.path("q"), hooks);
  for (const char* id : {"a", "b"}) ASSERT_TRUE(queue->add(instance(id), {delivery("pacs")}));
  fails = true;
  for (const char* id : {"c", "d"}) {
    const auto refused = queue->add(instance(id), {delivery("pacs")});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::transient);
    EXPECT_EQ(refused.error().message, "no sync");
  }
  EXPECT_FALSE(queue->is_faulted());
  EXPECT_THAT(claimed_ids(*queue, "pacs", 1), ElementsAre("a"));
  queue->finish(outcome("a", "pacs"));
  ASSERT_TRUE(queue->flush());
  EXPECT_THAT(done.ids(), ElementsAre("a"));
  EXPECT_FALSE(queue->add(instance("e"), {delivery("pacs")})) << "now with a file to note";
  EXPECT_THAT(claimed_ids(*queue, "pacs", 1), ElementsAre("b"));
  queue->release("b", "pacs");
  queue.reset();
  fails = false;
  queue = open_queue(folder.path("q"), hooks);
  EXPECT_TRUE(test::comes_true([&] { return done.ids().size() == 2; })) << "was not noted";
  EXPECT_EQ(test::only_delivery(*queue, "a").state, DeliveryState::delivered);
  EXPECT_THAT(claimed_ids(*queue, "pacs"), ElementsAre("b"));
  EXPECT_TRUE(queue->add(instance("c"), {delivery("pacs")}));
}

TEST(QueueDurability, NotesThatAFileIsGoneBehindASyncForThat) {
  const test::TemporaryFolder folder;
  test::DoneFiles done;
  std::atomic<bool> fails = true;
  std::atomic<int> asked = 0;
  Queue::Hooks hooks = done.hooks();
  hooks.before_commit = []() -> Result<void> { return {}; };
  hooks.before_note = [&]() -> Result<void> {
    ++asked;
    if (fails) return failure(ErrorCode::transient, "no sync");
    return {};
  };
  auto queue = open_queue(folder.path("q"), hooks);
  ASSERT_TRUE(queue->add(instance("a"), {delivery("pacs")}));
  ASSERT_THAT(claimed_ids(*queue, "pacs"), ElementsAre("a"));
  queue->finish(outcome("a", "pacs"));
  EXPECT_TRUE(test::comes_true([&] { return asked > 0; }));
  queue.reset();
  fails = false;
  queue = open_queue(folder.path("q"), hooks);
  EXPECT_TRUE(test::comes_true([&] { return done.ids().size() == 2; })) << "was not noted";
  queue.reset();
  queue = open_queue(folder.path("q"), hooks);
  ASSERT_TRUE(queue->flush());
  EXPECT_THAT(done.ids(), ElementsAre("a", "a")) << "noted, at the latest at the end";
}

// In one batch, gathered while the commit before runs: those that need the directory and
// those that do not.
TEST(QueueDurability, FailedDirectorySyncLeavesTheRestOfItsBatch) {
  const test::TemporaryFolder folder;
  std::promise<void> entered;
  std::promise<void> go_on;
  std::atomic<int> calls = 0;
  auto queue = open_queue(folder.path("q"), {.before_commit = [&]() -> Result<void> {
                                               switch (++calls) {
                                                 case 1:
                                                   return {};
                                                 case 2:
                                                   entered.set_value();
                                                   go_on.get_future().wait();
                                                   return {};
                                                 default:
                                                   throw std::runtime_error("no sync");
                                               }
                                             },
                                             .file_done = {}});
  ASSERT_TRUE(queue->add(instance("a"), {delivery("pacs")}));
  ASSERT_THAT(claimed_ids(*queue, "pacs"), ElementsAre("a"));
  auto slow = std::async([&] { return queue->add(instance("b"), {delivery("pacs")}); });
  entered.get_future().wait();
  queue->finish(outcome("a", "pacs", DeliveryState::held));
  auto refused = std::async([&] { return queue->add(instance("c"), {delivery("pacs")}); });
  go_on.set_value();
  EXPECT_TRUE(slow.get());
  EXPECT_FALSE(refused.get());
  ASSERT_TRUE(queue->flush());
  EXPECT_FALSE(queue->is_faulted());
  EXPECT_EQ(test::only_delivery(*queue, "a").state, DeliveryState::held);
  EXPECT_EQ(test::only_delivery(*queue, "a").attempts, 1) << "written once";
  EXPECT_THAT(queue->list({.instance_id = "c"}).value(), IsEmpty());
}

// The nth sync or write of SQLite fails, for every n until none is left to fail. What
// was acknowledged is there after a restart.
TEST(QueueDurability, FailedCommitIsNotAcknowledgedAndFaults) {
  for (const Call call : {Call::fdatasync, Call::write}) {
    bool fired = true;
    for (int nth = 1; fired && nth < 100; ++nth) {
      const test::TemporaryFolder folder;
      auto queue = open_queue(folder.path("q"));
      ASSERT_TRUE(queue->add(instance("before"), {delivery("pacs")}));
      std::set<std::string> acknowledged{"before"};
      {
        const FailingCall failing(call, EIO, nth, true);
        for (const char* id : {"b", "c", "d"}) {
          const auto added = queue->add(instance(id), {delivery("pacs")});
          if (added) acknowledged.insert(id);
          EXPECT_EQ(!added, FailingCall::fired());
        }
        fired = FailingCall::fired();
      }
      EXPECT_EQ(queue->is_faulted(), fired);
      EXPECT_EQ(!queue->add(instance("later"), {delivery("pacs")}), fired);
      queue = open_queue(folder.path("q"));
      const auto found = claimed_ids(*queue, "pacs");
      for (const std::string& id : acknowledged) EXPECT_THAT(found, ::testing::Contains(id));
    }
    EXPECT_FALSE(fired);
  }
}

TEST(QueueDurability, FullDiskRefusesAddsKeepsOutcomesAndRecovers) {
  const test::TemporaryFolder folder;
  test::DoneFiles done;
  auto queue = open_queue(folder.path("q"), done.hooks());
  ASSERT_TRUE(queue->add(instance("a"), {delivery("pacs")}));
  ASSERT_THAT(claimed_ids(*queue, "pacs"), ElementsAre("a"));
  {
    const FailingCall failing(Call::write, ENOSPC, 1, true);
    queue->finish(outcome("a", "pacs"));
    EXPECT_FALSE(queue->flush());
    const auto refused = queue->add(instance("b"), {delivery("pacs")});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::transient);
    EXPECT_FALSE(queue->is_faulted());
    EXPECT_THAT(done.ids(), IsEmpty());
  }
  ASSERT_TRUE(queue->flush());
  EXPECT_THAT(done.ids(), ElementsAre("a"));
  EXPECT_EQ(test::only_delivery(*queue, "a").state, DeliveryState::delivered);
  EXPECT_EQ(test::only_delivery(*queue, "a").attempts, 1) << "kept, and written once";
  EXPECT_TRUE(test::wait_until([&] { return queue->has_room(); }));
  EXPECT_TRUE(queue->add(instance("b"), {delivery("pacs")}));
}

// Also while nothing has made room yet: what is waiting can be sent and written down.
TEST(QueueDurability, ReallyFullDiskStillDrains) {
  const test::SmallDisk disk(12 * 1024);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  test::DoneFiles done;
  auto queue = open_queue(disk.path("q"), done.hooks());
  std::size_t added = 0;
  const auto add = [&] {
    return queue->add(instance(std::to_string(added)), {delivery("pacs")}).has_value();
  };
  while (added < 20 && add()) ++added;
  disk.fill("ballast");
  while (added < 10'000 && add()) ++added;
  ASSERT_LT(added, 10'000U);
  EXPECT_FALSE(queue->is_faulted());
  std::size_t finished = 0;
  for (const std::string& id : claimed_ids(*queue, "pacs", 10'000)) {
    queue->finish(outcome(id, "pacs"));
    ++finished;
  }
  EXPECT_EQ(finished, added);
  ASSERT_TRUE(queue->flush());
  EXPECT_EQ(done.ids().size(), added);
  EXPECT_FALSE(queue->is_faulted());
  EXPECT_FALSE(queue->has_room());
  std::filesystem::remove(disk.path("ballast"));
  EXPECT_TRUE(test::wait_until([&] { return queue->has_room(); }));
  EXPECT_TRUE(queue->add(instance("last"), {delivery("pacs")}));
}

// Receives with spool and queue in four threads, and tells each acknowledged id, until killed.
[[noreturn]] void receive_for_ever(const test::TemporaryFolder& folder, int told) {
  auto spool = Spool::open(folder.path("spool"));
  if (!spool) ::_exit(1);
  auto queue =
      Queue::open(folder.path("q"),
                  {.before_commit = [&] { return (*spool)->sync_directory(); }, .file_done = {}});
  if (!queue) ::_exit(1);
  const auto receive = [&] {
    const std::string data(20'000, 'd');
    for (;;) {
      auto incoming = (*spool)->create({"1.2", "1.3", "1.2.840.10008.1.2", "CT"});
      if (!incoming || !incoming->append(std::as_bytes(std::span(data)))) ::_exit(1);
      const auto stored = incoming->close();
      if (!stored) ::_exit(1);
      InstanceRow row = instance(stored->id);
      row.data_set_offset = stored->data_set_offset;
      row.data_set_length = stored->data_set_length;
      row.digest = stored->digest;
      if (!(*queue)->add(row, {delivery("pacs")})) ::_exit(1);
      const std::string line = row.id + "\n";
      if (::write(told, line.data(), line.size()) < 0) ::_exit(1);
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) threads.emplace_back(receive);
  for (auto& thread : threads) thread.join();
  ::_exit(1);
}

TEST(QueueDurability, EverythingAcknowledgedIsThereAfterAKill) {
  for (int round = 0; round < 3; ++round) {
    const test::TemporaryFolder folder;
    int said[2] = {-1, -1};
    ASSERT_EQ(::pipe(said), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) receive_for_ever(folder, said[1]);
    ::close(said[1]);
    std::string text;
    char buffer[4096];
    bool killed = false;
    for (ssize_t got = 1; got > 0;) {
      got = ::read(said[0], buffer, sizeof buffer);
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
      if (!killed && std::count(text.begin(), text.end(), '\n') >= 40 + 37 * round) {
        killed = ::kill(child, SIGKILL) == 0;
      }
    }
    ::close(said[0]);
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(killed);

    auto spool = Spool::open(folder.path("spool"));
    ASSERT_TRUE(spool);
    auto queue = open_queue(folder.path("q"));
    std::istringstream lines(text);
    for (std::string id; lines >> id;) {
      const auto entries = queue->list({.instance_id = id});
      ASSERT_EQ(entries->size(), 1U) << id;
      const InstanceRow& row = entries->front().instance;
      const auto reader =
          (*spool)->read({row.id, row.data_set_offset, row.data_set_length, row.digest});
      ASSERT_TRUE(reader) << reader.error().message;
      EXPECT_TRUE(reader->verify(row.digest));
    }
    const auto unfinished = queue->unfinished_instances();
    for (const std::string& id : *unfinished) {
      EXPECT_TRUE(std::filesystem::exists((*spool)->path(id))) << "no row without its file";
    }
  }
}

}  // namespace
}  // namespace sluice
