// A bit that changes in the queue's file: found, or without harm; what it says is never
// sent, and what it hides is never lost in silence.
#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "gateway/queue/queue_rows.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/bit_flips.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

using test::delivery;
using test::instance;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::vector<std::string> kDestinations = {"pacs", "archive", "folder"};

class DamagedRows : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.path("queue.db"); }
  void change_file(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  [[nodiscard]] Result<void> check() const { return check_queue(path(), stop_); }
  static std::vector<QueueEntry> claim(Queue& queue, const std::string& destination) {
    auto claimed = queue.claim(destination, 10);
    EXPECT_TRUE(claimed);
    return claimed.value_or(std::vector<QueueEntry>());
  }

  test::TemporaryFolder folder_;
  const std::atomic<bool> stop_ = false;
};

TEST_F(DamagedRows, AreHeldAndTheOthersAreSent) {
  for (const char* change : {"UPDATE deliveries SET destination = 'pacs' WHERE delivery = 1",
                             "UPDATE deliveries SET route = 'alm' WHERE delivery = 1",
                             "UPDATE deliveries SET released = 'x' WHERE delivery = 1",
                             "UPDATE deliveries SET instance = 3 WHERE delivery = 1",
                             "UPDATE deliveries SET priority = 0 WHERE delivery = 1",
                             "UPDATE instances SET transfer_syntax_uid = '1.2' WHERE sequence = 1",
                             "UPDATE instances SET new_sop_instance_uid = '9' WHERE sequence = 1",
                             "UPDATE instances SET digest = '' WHERE sequence = 1"}) {
    SCOPED_TRACE(change);
    std::filesystem::remove(path());
    {
      const auto queue = test::open_queue(path());
      ASSERT_TRUE(queue->add(instance("a"), {delivery("pbcs")}));
      ASSERT_TRUE(queue->add(instance("b"), {delivery("pacs"), delivery("pbcs")}));
      ASSERT_TRUE(queue->add(instance("c"), {delivery("archive")}));
    }
    EXPECT_TRUE(check());
    change_file(change);
    const auto found = check();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::corrupt);
    EXPECT_THAT(found.error().message, HasSubstr("changed on disk"));

    const auto queue = test::open_queue(path());
    std::vector<std::string> sent;
    for (const char* destination : {"pacs", "pbcs", "archive"}) {
      for (const QueueEntry& entry : claim(*queue, destination)) {
        sent.push_back(entry.instance.id + " " + destination);
      }
    }
    EXPECT_THAT(sent, testing::ElementsAre("b pacs", "b pbcs", "c archive"));
    QueueFilter held;
    held.states = {DeliveryState::held};
    ASSERT_THAT(*queue->list(held), SizeIs(1));
    EXPECT_THAT(queue->list(held)->front().delivery.reason, HasSubstr("not what was written"));
    ASSERT_TRUE(queue->retry(held));
    EXPECT_THAT(claim(*queue, "pacs"), IsEmpty());
    EXPECT_THAT(claim(*queue, "pbcs"), IsEmpty());
  }
}

TEST_F(DamagedRows, InQuarantineAreNeitherReleasedNorRouted) {
  {
    const auto queue = test::open_queue(path());
    ASSERT_TRUE(queue->add(instance("a"), {delivery("", DeliveryState::quarantined)}));
  }
  change_file("UPDATE instances SET calling_ae_title = 'CT2'");
  const auto queue = test::open_queue(path());
  const auto to_pacs = [](const std::string&) { return std::vector<std::string>{"pacs"}; };
  EXPECT_EQ(queue->release_quarantined({}, {to_pacs, "me", "test"}), 0U);
  EXPECT_EQ(queue->retry({}), 1U);
  EXPECT_THAT(*queue->claim_for_reroute(10), IsEmpty());
  const auto listed = queue->list({});
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_EQ(listed->front().delivery.state, DeliveryState::quarantined);
  EXPECT_THAT(listed->front().delivery.reason, HasSubstr("not what was written"));
}

// That an instance was delivered somewhere else by mistake makes none a duplicate.
TEST_F(DamagedRows, MakeNoDuplicate) {
  {
    const auto queue = test::open_queue(path());
    ASSERT_TRUE(queue->add(instance("a"), {delivery("pbcs", DeliveryState::delivered)}));
  }
  change_file("UPDATE deliveries SET destination = 'pacs', updated_at = 9000000000000000");
  const auto queue = test::open_queue(path());
  InstanceRow again = instance("b");
  again.sop_instance_uid = instance("a").sop_instance_uid;
  SameUidRules rules;
  rules.window = std::chrono::hours(24);
  const auto added = queue->add_unless_known(again, {delivery("pacs")}, rules);
  ASSERT_TRUE(added);
  EXPECT_FALSE(added->is_duplicate);
  EXPECT_THAT(claim(*queue, "pacs"), SizeIs(1));
}

// A delivery in a state that nobody knows is not final: its image stays.
TEST_F(DamagedRows, OfAnUnknownStateKeepTheFile) {
  std::vector<std::string> removed;
  const auto open = [&] {
    Queue::Hooks hooks;
    hooks.file_done = [&](const std::string& id) -> Result<void> {
      removed.push_back(id);
      return {};
    };
    return test::open_queue(path(), std::move(hooks));
  };
  {
    const auto queue = open();
    ASSERT_TRUE(queue->add(instance("a"), {delivery("pacs"), delivery("archive")}));
  }
  change_file(
      "PRAGMA ignore_check_constraints = 1; UPDATE deliveries SET state = 'reedy' "
      "WHERE destination = 'archive'");
  EXPECT_FALSE(check());
  {
    const auto queue = open();
    ASSERT_THAT(claim(*queue, "pacs"), SizeIs(1));
    queue->finish(test::outcome("a", "pacs"));
    ASSERT_TRUE(queue->flush());
  }
  open();
  EXPECT_THAT(removed, IsEmpty());
}

// What is sent, and where to.
std::string identity(const QueueEntry& entry) {
  const InstanceRow& row = entry.instance;
  std::string text;
  for (const std::string& each : {row.id,
                                  row.calling_ae_title,
                                  row.called_ae_title,
                                  row.peer_address,
                                  row.listener,
                                  row.sop_class_uid,
                                  row.sop_instance_uid,
                                  row.study_instance_uid,
                                  row.series_instance_uid,
                                  row.transfer_syntax_uid,
                                  row.digest,
                                  row.user_name,
                                  row.other_bytes_of,
                                  row.new_sop_instance_uid,
                                  std::to_string(row.data_set_offset),
                                  std::to_string(row.data_set_length),
                                  std::to_string(rows::to_microseconds(row.received_at)),
                                  entry.delivery.route,
                                  entry.delivery.destination,
                                  entry.delivery.released}) {
    text += each + "|";
  }
  return text;
}

// In one transaction that is taken back. Nothing: an error was told.
std::optional<std::set<std::string>> claimed_in(const std::string& path) {
  auto db = sqlite::Connection::open(path, rows::kFormat);
  if (!db || !(*db)->run("BEGIN IMMEDIATE")) return std::nullopt;
  std::set<std::string> all;
  for (const std::string& destination : kDestinations) {
    const auto claimed = rows::claim(**db, destination, 1000, Time());
    if (!claimed) return std::nullopt;
    for (const QueueEntry& entry : *claimed) all.insert(identity(entry));
  }
  return all;
}

void fill_with_rows(Queue& queue) {
  for (int i = 0; i < 30; ++i) {
    InstanceRow row = instance("20261125T220000.000000-" + std::to_string(1000 + i));
    if (i % 5 == 0) row.new_sop_instance_uid = "2.25.1234567890" + std::to_string(i);
    std::vector<DeliveryRow> deliveries;
    deliveries.reserve(kDestinations.size());
    for (const std::string& destination : kDestinations) {
      deliveries.push_back(delivery(destination,
                                    i % 3 == 0 ? DeliveryState::delivered : DeliveryState::ready,
                                    "route-" + std::to_string(i % 2)));
    }
    ASSERT_TRUE(queue.add(row, deliveries));
  }
}

TEST_F(DamagedRows, OfAnySingleBitAreNeverSentNorLostInSilence) {
  constexpr std::size_t kStep = 463;  // bits; among them some that break the order of an index
  fill_with_rows(*test::open_queue(path()));
  const std::string whole = test::read_file(path());
  const auto sound = claimed_in(path());
  ASSERT_TRUE(sound);
  ASSERT_THAT(*sound, SizeIs(60));
  const std::string flipped = folder_.path("flipped.db");
  std::map<std::string, int> ends;
  test::for_each_flip(flipped, whole, kStep, [&](std::size_t bit) {
    const bool is_found = !check_queue(flipped, stop_);
    const auto claimed = claimed_in(flipped);
    for (const std::string& each : claimed.value_or(std::set<std::string>())) {
      EXPECT_TRUE(sound->contains(each)) << "bit " << bit << ": would be sent: " << each;
    }
    const bool is_told = is_found || !claimed;
    EXPECT_TRUE(is_told || *claimed == *sound) << "bit " << bit << ": lost in silence";
    ++ends[is_found ? "found" : !claimed ? "told" : "harmless"];
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(flipped + end);
  });
  for (const auto& [end, count] : ends) RecordProperty(end, count);
  EXPECT_GT(ends["found"], 50);
  EXPECT_GT(ends["harmless"], 0);
}

}  // namespace
}  // namespace sluice
