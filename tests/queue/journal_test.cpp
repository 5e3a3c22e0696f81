// Rows that are durable before the database has them.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <new>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/queue/journal.h"
#include "gateway/queue/queue_record.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/failing_calls.h"
#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using test::Call;
using test::FailingCall;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::unique_ptr<Journal> open_journal(const std::string& path, Journal::Hooks hooks = {}) {
  auto journal = Journal::open(path, std::move(hooks));
  if (!journal) throw std::runtime_error(journal.error().message);
  return std::move(*journal);
}

// Waits for it.
Result<std::size_t> append(Journal& journal, std::string record, bool needs_names = false) {
  const auto part = std::make_shared<std::promise<Result<std::size_t>>>();
  journal.append(std::move(record), needs_names,
                 [part](const Result<std::size_t>& done) { part->set_value(done); });
  return part->get_future().get();
}

// As long as a row is, and known by its number.
std::string record(int number) {
  return "record " + std::to_string(number) + std::string(500, ' ');
}

TEST(Journal, GivesBackWhatWasAppendedUntilItIsCleared) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("journal");
  {
    const auto journal = open_journal(path);
    EXPECT_THAT(journal->left(), IsEmpty());
    ASSERT_TRUE(append(*journal, "one"));
    ASSERT_TRUE(append(*journal, ""));
    ASSERT_TRUE(append(*journal, "three"));
  }
  {
    const auto journal = open_journal(path);
    EXPECT_THAT(journal->left(), ElementsAre("one", "", "three"));
    journal->clear(0);
    journal->clear(1);
    ASSERT_TRUE(append(*journal, "four")) << "shorter than what was there";
  }
  EXPECT_THAT(open_journal(path)->left(), ElementsAre("four"));
}

// As a power cut leaves it: what was acknowledged is there, and nothing torn is.
TEST(Journal, HasAllThatWasAppendedAfterACut) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("journal");
  for (int number = 0; number < 5; ++number) ASSERT_TRUE(open_journal(path)) << number;
  {
    const auto journal = open_journal(path);
    for (int number = 0; number < 5; ++number) ASSERT_TRUE(append(*journal, record(number)));
  }
  std::ifstream in(path + "-0", std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  const std::size_t each = 20 + record(0).size();
  for (const std::size_t torn : {each - 1, each, 3 * each + 7, 5 * each}) {
    std::string bytes = whole;
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(torn), bytes.end(), '\0');
    std::ofstream(path + "-0", std::ios::binary) << bytes;
    EXPECT_THAT(open_journal(path)->left(), SizeIs(torn / each)) << torn;
  }
}

TEST(Journal, TakesAFlippedBitForItsEnd) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("journal");
  {
    const auto journal = open_journal(path);
    for (int number = 0; number < 3; ++number) ASSERT_TRUE(append(*journal, record(number)));
  }
  std::fstream file(path + "-0", std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(20 + record(0).size() + 30));
  file.put('!');
  file.close();
  EXPECT_THAT(open_journal(path)->left(), ElementsAre(record(0)));
}

TEST(Journal, WritesItsPartsInTurnsAndWaitsForTheirClearing) {
  const test::TemporaryFolder folder;
  std::atomic<int> full = 0;
  Journal* self = nullptr;
  const auto journal = open_journal(folder.path("journal"), {.full =
                                                                 [&](std::size_t part) {
                                                                   ++full;
                                                                   self->clear(part);
                                                                 },
                                                             .faulted = {}});
  self = journal.get();
  constexpr int kThreads = 4;
  constexpr int kEach = 2500;  // some 5 MB in parts of 1
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  std::atomic<int> failed = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        const auto part = append(*journal, record(n));
        failed += part ? 0 : 1;
        if (part) journal->given(*part);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GE(full, 4);
  EXPECT_LE(full, 6);
  ASSERT_TRUE(journal->end_part());
  EXPECT_THAT(open_journal(folder.path("journal"))->left(), IsEmpty()) << "all was cleared";
}

// A journal in which the first record is being written, until it is let go.
struct Held {
  Held() {
    writing = std::thread([this] { first = append(*journal, "first", true); });
    begun.get_future().wait();
  }
  ~Held() {
    if (writing.joinable()) let_go();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  void let_go() {
    held.set_value();
    writing.join();
  }

  test::TemporaryFolder folder;
  std::promise<void> begun;
  std::promise<void> held;
  std::unique_ptr<Journal> journal =
      open_journal(folder.path("journal"), {.sync_names = [this]() -> Result<void> {
                     begun.set_value();
                     held.get_future().wait();
                     return {};
                   }});
  Result<std::size_t> first = failure(ErrorCode::transient, "not written");
  std::thread writing;
};

TEST(Journal, LetsNobodyWaitWhoComesWhileItWrites) {
  Held held;
  std::atomic<int> durable = 0;
  for (const char* record : {"second", "third"}) {
    held.journal->append(record, false, [&](const auto& part) { durable += part ? 1 : 0; });
  }
  EXPECT_EQ(durable, 0);
  held.let_go();
  EXPECT_TRUE(held.first);
  EXPECT_TRUE(test::wait_until([&] { return durable == 2; }));
  EXPECT_THAT(open_journal(held.folder.path("journal"))->left(),
              ElementsAre("first", "second", "third"));
}

TEST(Journal, WritesWhatIsLeftAtItsEnd) {
  Held held;
  std::atomic<bool> is_durable = false;
  held.journal->append("second", false, [&](const auto& part) { is_durable = part.has_value(); });
  held.let_go();
  held.journal.reset();
  EXPECT_TRUE(is_durable);
}

TEST(Journal, TakesNoMoreAtOnceThanAPartHolds) {
  Held held;
  std::atomic<std::size_t> durable = 0;
  std::atomic<std::size_t> refused = 0;
  constexpr std::size_t kRecords = 2500;  // of 520 bytes
  for (std::size_t n = 0; n < kRecords; ++n) {
    held.journal->append(record(0), false, [&](const auto& part) {
      ++(part ? durable : refused);
      if (part) held.journal->given(*part);
    });
  }
  EXPECT_GT(refused, 0U);
  held.let_go();
  EXPECT_TRUE(test::wait_until([&] { return durable + refused == kRecords; }));
  EXPECT_THAT(open_journal(held.folder.path("journal"))->left(), SizeIs(durable + 1));
}

TEST(Journal, FailsForGoodWithItsDisk) {
  const test::TemporaryFolder folder;
  std::string reason;
  const auto journal =
      open_journal(folder.path("journal"),
                   {.full = {}, .faulted = [&](const std::string& why) { reason = why; }});
  ASSERT_TRUE(append(*journal, "good"));
  {
    const FailingCall failing(Call::write, EIO);
    EXPECT_FALSE(append(*journal, "lost"));
    EXPECT_TRUE(failing.fired());
  }
  EXPECT_THAT(reason, ::testing::HasSubstr("Input/output error"));
  EXPECT_FALSE(append(*journal, "not believed")) << "the disk answers again";
}

TEST(Journal, GoesOnWhenMakingNamesDurableThrows) {
  const test::TemporaryFolder folder;
  bool throws = true;
  const auto journal = Journal::open(folder.path("j"), {.sync_names = [&]() -> Result<void> {
                                       if (throws) throw std::bad_alloc();
                                       return {};
                                     }});
  ASSERT_TRUE(journal);
  EXPECT_FALSE(append(**journal, "one", true));
  throws = false;
  EXPECT_TRUE(append(**journal, "two", true));
}

TEST(QueueRecord, SaysWhatARowSays) {
  InstanceRow row = test::instance("a");
  row.user_name = "someone";
  row.irregular_tags = "(0008,0016) twice";
  DeliveryRow delivery = test::delivery("pacs", DeliveryState::delivered);
  delivery.status = "B000";
  delivery.reason = "warning\n\x01";
  delivery.priority = config::Priority::low;
  const std::string bytes = record_of({row, {delivery, test::delivery("archive")}});
  const auto read = record_from(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(record_of(*read), bytes);
  EXPECT_EQ(read->instance.digest, row.digest);
  EXPECT_EQ(read->instance.data_set_length, row.data_set_length);
  EXPECT_EQ(read->instance.received_at, row.received_at);
  ASSERT_THAT(read->deliveries, SizeIs(2));
  EXPECT_EQ(read->deliveries[0].status, "B000");
  EXPECT_EQ(read->deliveries[1].destination, "archive");
  EXPECT_EQ(read->deliveries[0].priority, config::Priority::low);
  EXPECT_EQ(read->deliveries[1].priority, config::Priority::medium);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(record_from(std::string_view(bytes).substr(0, length))) << length;
  }
  EXPECT_FALSE(record_from(bytes + "x"));
  const auto sending = record_from(record_of({row, {test::delivery("a", DeliveryState::sending)}}));
  EXPECT_EQ(sending->deliveries[0].state, DeliveryState::ready) << "whoever sent it is gone";
  EXPECT_TRUE(sending->instance.has_file);
}

// As a version before priorities wrote it: numbers of 64 bits, texts behind their length.
std::string record_without_priorities(const InstanceRow& row,
                                      const std::vector<DeliveryRow>& deliveries) {
  std::string bytes;
  const auto number = [&](std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(value >> shift);
  };
  const auto texts = [&](std::initializer_list<std::string> values) {
    for (const std::string& value : values) {
      number(value.size());
      bytes += value;
    }
  };
  number(1'700'000'000'123'456);
  number(row.data_set_offset);
  number(row.data_set_length);
  texts({row.id, row.calling_ae_title, row.called_ae_title, row.peer_address, row.listener,
         row.sop_class_uid, row.sop_instance_uid, row.study_instance_uid, row.series_instance_uid,
         row.transfer_syntax_uid, row.digest, row.user_name, row.irregular_tags});
  number(row.has_file ? 1 : 0);
  number(deliveries.size());
  for (const DeliveryRow& each : deliveries) {
    texts({std::string(to_string(each.state)), each.route, each.destination, each.reason,
           each.status});
  }
  return bytes;
}

TEST(QueueRecord, OfAnOlderVersionHasMediumPriority) {
  const InstanceRow row = test::instance("a");
  const std::string bytes = record_without_priorities(
      row, {test::delivery("pacs"), test::delivery("archive", DeliveryState::delivered)});
  const auto read = record_from(bytes);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->instance.has_file);
  EXPECT_EQ(read->instance.received_at, row.received_at);
  EXPECT_EQ(read->instance.digest, row.digest);
  ASSERT_THAT(read->deliveries, SizeIs(2));
  EXPECT_EQ(read->deliveries[1].destination, "archive");
  EXPECT_EQ(read->deliveries[1].state, DeliveryState::delivered);
  for (const DeliveryRow& each : read->deliveries) {
    EXPECT_EQ(each.priority, config::Priority::medium);
  }
  EXPECT_FALSE(record_from(bytes.substr(0, bytes.size() - 1)));
  EXPECT_FALSE(record_from(bytes + "x"));
}

TEST(QueueRecord, WithAPriorityThatThereIsNotIsDamaged) {
  std::string bytes = record_of({test::instance("a"), {test::delivery("pacs")}});
  ASSERT_TRUE(record_from(bytes));
  bytes.at(bytes.size() - 8) = 3;
  EXPECT_FALSE(record_from(bytes));
}

UidClaims::Claim claim_of(Queue& queue, const InstanceRow& row) {
  return std::move(*queue.claim_uid(row.sop_instance_uid));
}

InstanceRow without_file(const std::string& id) {
  InstanceRow row = test::instance(id);
  row.has_file = false;
  return row;
}

const std::vector<DeliveryRow>& delivered() {
  static const std::vector<DeliveryRow> rows = {test::delivery("pacs", DeliveryState::delivered)};
  return rows;
}

// Says each id once it is acknowledged, until it is killed.
[[noreturn]] void add_for_ever(const std::string& path, int said) {
  const auto queue = test::open_queue(path);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int n = 0;; ++n) {
        const InstanceRow row = without_file(std::to_string(t) + "-" + std::to_string(n));
        if (!test::add_new(*queue, row, delivered(), claim_of(*queue, row))) ::_exit(1);
        const std::string line = row.id + "\n";
        if (::write(said, line.data(), line.size()) < 0) ::_exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ::_exit(1);
}

TEST(NewRows, AreThereAfterAKill) {
  for (const long lines_before_kill : {1L, 60L, 6000L}) {
    const test::TemporaryFolder folder;
    int said[2] = {-1, -1};
    ASSERT_EQ(::pipe(said), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) add_for_ever(folder.path("q"), said[1]);
    ::close(said[1]);
    std::string text;
    char buffer[4096];
    bool killed = false;
    for (ssize_t got = 1; got > 0;) {
      got = ::read(said[0], buffer, sizeof buffer);
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
      if (!killed && std::count(text.begin(), text.end(), '\n') >= lines_before_kill) {
        killed = ::kill(child, SIGKILL) == 0;
      }
    }
    ::close(said[0]);
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(killed);
    const auto queue = test::open_queue(folder.path("q"));
    QueueFilter all;
    all.limit = 1'000'000;
    const auto entries = queue->list(all);
    ASSERT_TRUE(entries);
    std::set<std::string> known;
    for (const QueueEntry& entry : *entries) known.insert(entry.instance.id);
    EXPECT_THAT(*entries, SizeIs(known.size())) << "each once";
    std::istringstream lines(text.substr(0, text.rfind('\n') + 1));
    for (std::string id; lines >> id;) EXPECT_TRUE(known.contains(id)) << id;
    const auto sums = queue->sums();
    EXPECT_TRUE(sums->add_up());
    EXPECT_EQ(sums->instances.finished, known.size());
  }
}

// The program was replaced behind a kill.
TEST(NewRows, ThatAnOlderVersionLeftInTheJournalAreTakenUp) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(append(*open_journal(folder.path("q-journal")),
                     record_without_priorities(test::instance("old"), {test::delivery("pacs")})));
  const auto queue = test::open_queue(folder.path("q"));
  EXPECT_EQ(test::only_delivery(*queue, "old").priority, config::Priority::medium);
  EXPECT_THAT(test::claimed_ids(*queue, "pacs"), ElementsAre("old"));
}

TEST(NewRows, AreKnownToWhoeverComesWithTheSameUid) {
  const test::TemporaryFolder folder;
  const auto queue = test::open_queue(folder.path("q"));
  for (int n = 0; n < 50; ++n) {
    const InstanceRow row = without_file(std::to_string(n));
    ASSERT_TRUE(test::add_new(*queue, row, delivered(), claim_of(*queue, row)));
    const auto claim = claim_of(*queue, row);  // until the row is in the database
    EXPECT_TRUE(*queue->knows_uid(row.sop_instance_uid));
  }
}

TEST(NewRows, DoNotComeBackOnceTheyAreForgotten) {
  const test::TemporaryFolder folder;
  {
    const auto queue = test::open_queue(folder.path("q"));
    const InstanceRow row = without_file("old");
    ASSERT_TRUE(test::add_new(*queue, row, delivered(), claim_of(*queue, row)));
    EXPECT_EQ(*queue->forget_before(std::chrono::system_clock::now()), 1U);
    // As after a kill: with what the journal has now.
    std::filesystem::create_directory(folder.path("copy"));
    for (const char* file : {"q", "q-wal", "q-journal-0", "q-journal-1"}) {
      std::filesystem::copy_file(folder.path(file), folder.path("copy/" + std::string(file)));
    }
  }
  const auto queue = test::open_queue(folder.path("copy/q"));
  EXPECT_THAT(*queue->list({}), IsEmpty());
  EXPECT_TRUE(queue->sums()->add_up());
}

// The journal never needs room, but the database does: what one took the other must take.
TEST(NewRows, HaveRoomOnAFullDiskOnceTheyAreTaken) {
  const test::SmallDisk disk(14 * 1024);
  if (!disk.is_mounted()) GTEST_SKIP() << disk.why_not();
  auto queue = test::open_queue(disk.path("q"));
  std::size_t added = 0;
  const auto add = [&] {
    const InstanceRow row = test::instance(std::to_string(added));
    auto claim = queue->claim_uid(row.sop_instance_uid);
    return claim && test::add_new(*queue, row, {test::delivery("pacs", DeliveryState::sending)},
                                  std::move(*claim));
  };
  while (added < 20 && add()) ++added;
  disk.fill("ballast");
  while (added < 100'000 && add()) ++added;
  ASSERT_LT(added, 100'000U);
  EXPECT_FALSE(queue->has_room());
  for (std::size_t n = 0; n < added; ++n) {
    queue->finish(test::outcome(std::to_string(n), "pacs"));
  }
  EXPECT_TRUE(test::wait_until([&] { return queue->flush().has_value(); }));
  EXPECT_TRUE(queue->unfinished_instances()->empty());
  EXPECT_FALSE(queue->is_faulted());
  std::filesystem::remove(disk.path("ballast"));
  EXPECT_TRUE(test::wait_until([&] { return queue->has_room(); }));
  EXPECT_TRUE(add());
}

TEST(NewRows, GoTheLongWayWhenTheJournalFails) {
  const test::TemporaryFolder folder;
  const auto queue = test::open_queue(folder.path("q"));
  const FailingCall failing(Call::write, EIO, 1, false, "journal");
  const InstanceRow row = without_file("a");
  EXPECT_TRUE(test::add_new(*queue, row, delivered(), claim_of(*queue, row)));
  EXPECT_TRUE(failing.fired());
  EXPECT_EQ(test::only_delivery(*queue, "a").state, DeliveryState::delivered);
}

}  // namespace
}  // namespace sluice
