// A queue that an older version of Sluice left is taken over with all it holds.
#include <atomic>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "gateway/queue/queue_rows.h"
#include "tests/queue/queue_rows_for_test.h"
#include "tests/support/temporary_folder.h"

namespace sluice {
namespace {

// As version 0.1.0 made and filled it: one delivery waits, one is done. And, as a later one
// could have left them, one was replaced and one discarded.
constexpr const char* kVersion1 = R"(
PRAGMA journal_mode = WAL;
CREATE TABLE instances(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,
  calling_ae_title TEXT NOT NULL,
  called_ae_title TEXT NOT NULL,
  peer_address TEXT NOT NULL,
  listener TEXT NOT NULL,
  sop_class_uid TEXT NOT NULL,
  sop_instance_uid TEXT NOT NULL,
  study_instance_uid TEXT NOT NULL,
  series_instance_uid TEXT NOT NULL,
  transfer_syntax_uid TEXT NOT NULL,
  data_set_offset INTEGER NOT NULL,
  data_set_length INTEGER NOT NULL,
  digest TEXT NOT NULL,
  file INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX instances_by_sop_instance_uid ON instances(sop_instance_uid);
CREATE INDEX instances_with_file ON instances(sequence) WHERE file = 1;
CREATE TABLE deliveries(
  delivery INTEGER PRIMARY KEY,
  instance INTEGER NOT NULL REFERENCES instances(sequence) ON DELETE CASCADE,
  route TEXT NOT NULL,
  destination TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('ready', 'sending', 'delivered', 'deferred', 'held',
                                       'quarantined', 'dropped', 'discarded')),
  reason TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  next_attempt INTEGER NOT NULL,
  retry_after_ms INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  reroute INTEGER NOT NULL DEFAULT 0,
  UNIQUE (instance, route, destination)
);
CREATE INDEX deliveries_by_state ON deliveries(state, destination, instance);
INSERT INTO instances VALUES
  (7, 'a', 1700000000123456, 'CT1', 'SLUICE', '192.0.2.1', 'main', '1.2.840.10008.5.1.4.1.1.2',
   '1.2.3.a', '1.2.3', '1.2.3.4', '1.2.840.10008.1.2.1', 300, 5000, 'digest', 1),
  (8, 'done', 1700000000123456, 'CT1', 'SLUICE', '192.0.2.1', 'main', '1.2.840.10008.5.1.4.1.1.2',
   '1.2.3.d', '1.2.3', '1.2.3.4', '1.2.840.10008.1.2.1', 300, 5000, 'digest', 0);
INSERT INTO deliveries VALUES
  (1, 7, 'all', 'pacs', 'sending', '', '', 3, 1, 0, 0, 1700000000123456, 0),
  (2, 7, 'all', 'archive', 'delivered', '', '0000', 1, 0, 0, 0, 1700000000123456, 0),
  (3, 8, 'all', 'pacs', 'discarded', 'sent again as b, which took its place; before: ', '', 1, 0,
   0, 0, 1700000000123456, 0),
  (4, 8, 'all', 'archive', 'discarded', 'discarded by anna: test', '', 1, 0, 0, 0,
   1700000000123456, 0);
PRAGMA application_id = 0x534C5155;
PRAGMA user_version = 1;
)";

void make_version_1(const std::string& path) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, kVersion1, nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
}

TEST(QueueFormat, TakesOverAFileOfVersion1WithItsRows) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("queue.db");
  make_version_1(path);

  const auto queue = test::open_queue(path);
  const auto claimed = queue->claim("pacs", 10);
  ASSERT_TRUE(claimed && claimed->size() == 1) << "recovered from `sending`";
  EXPECT_EQ(claimed->front().instance.digest, "digest");
  EXPECT_EQ(claimed->front().instance.user_name, "");
  EXPECT_EQ(claimed->front().delivery.attempts, 3);
  InstanceRow row = test::instance("b");
  row.user_name = "j\xC3\xBCrgen";
  ASSERT_TRUE(queue->add(row, {test::delivery("pacs")}));
  QueueFilter filter;
  filter.instance_id = "b";
  const auto listed = queue->list(filter);
  ASSERT_TRUE(listed && listed->size() == 1);
  EXPECT_EQ(listed->front().instance.user_name, row.user_name);
}

TEST(QueueFormat, CountsWhatAnOlderFileHasForTheSums) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("queue.db");
  make_version_1(path);
  const auto queue = test::open_queue(path);
  const auto sums = queue->sums();
  ASSERT_TRUE(sums) << sums.error().message;
  EXPECT_TRUE(sums->add_up());
  EXPECT_EQ(sums->instances.accepted, 2U);
  EXPECT_EQ(sums->instances.finished, 1U);
  ASSERT_EQ(sums->deliveries.size(), 2U);
  EXPECT_EQ(sums->deliveries[0].destination, "archive");
  EXPECT_EQ(sums->deliveries[0].delivered, 1U);
  EXPECT_EQ(sums->deliveries[0].discarded, 1U);
  EXPECT_EQ(sums->deliveries[1].ready, 1U);
  EXPECT_EQ(sums->deliveries[1].replaced, 1U);
  EXPECT_EQ(sums->deliveries[1].discarded, 0U);
}

TEST(QueueFormat, TakesAVersion1FileBesideAGatewayToo) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("queue.db");
  make_version_1(path);
  const auto beside = Queue::open_beside(path);
  ASSERT_TRUE(beside) << beside.error().message;
  EXPECT_EQ((*beside)->list({})->size(), 4U);
}

// As version 4 wrote it, and one row of it that has changed since.
void make_version_4(const std::string& path) {
  const sqlite::Format format{rows::kFormat.application_id, rows::kFormat.schema,
                              rows::kFormat.steps.first(3)};
  ASSERT_EQ(format.version(), 4);
  const auto db = sqlite::Connection::open(path, format);
  ASSERT_TRUE(db) << db.error().message;
  const std::string sequences[] = {"1", "2"};
  for (const std::string& sequence : sequences) {
    std::string sql = R"(
INSERT INTO instances VALUES
  (?, 'i?', 1700000000123456, 'CT1', 'SLUICE', '192.0.2.1', 'main', '1.2.840.10008.5.1.4.1.1.2',
   '1.2.3.?', '1.2.3', '1.2.3.4', '1.2.840.10008.1.2.1', 300, 5000, 'digest', 1, 'anna', '', '', 0,
   0, 0, '', 0);
UPDATE instances SET checksum = row_sum(sequence, id, received_at, calling_ae_title, called_ae_title,
  peer_address, listener, sop_class_uid, sop_instance_uid, study_instance_uid,
  series_instance_uid, transfer_syntax_uid, data_set_offset, data_set_length, digest, user_name,
  other_bytes_of, new_sop_instance_uid, irregular_tags) WHERE sequence = ?;
INSERT INTO deliveries VALUES
  (?, ?, 'all', 'pacs', 'ready', '', '', 3, 1, 0, 0, 1700000000123456, 0, 'by anna',
   row_sum(?, 'all', 'pacs', 'by anna'));)";
    for (std::size_t at = 0; (at = sql.find('?', at)) != std::string::npos;) {
      sql.replace(at, 1, sequence);
    }
    ASSERT_TRUE((*db)->run_script(sql));
  }
  ASSERT_TRUE((*db)->run_script("UPDATE deliveries SET route = 'alm' WHERE delivery = 2"));
  ASSERT_TRUE((*db)->run_script(
      "INSERT OR REPLACE INTO totals VALUES ('instances', '', 2), ('accepted', 'pacs', 2)"));
}

TEST(QueueFormat, TakesOverAFileOfVersion4WithMediumPriority) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("queue.db");
  make_version_4(path);
  const auto queue = test::open_queue(path);
  DeliveryRow urgent = test::delivery("pacs");
  urgent.priority = config::Priority::high;
  DeliveryRow patient = urgent;
  patient.priority = config::Priority::low;
  ASSERT_TRUE(queue->add(test::instance("low"), {patient}));
  ASSERT_TRUE(queue->add(test::instance("high"), {urgent}));
  const auto claimed = queue->claim("pacs", 10);
  ASSERT_TRUE(claimed);
  ASSERT_EQ(test::ids_of(*claimed), (std::vector<std::string>{"high", "i1", "low"}));
  const DeliveryRow& old = claimed->at(1).delivery;
  EXPECT_EQ(old.priority, config::Priority::medium);
  EXPECT_EQ(old.released, "by anna");
  EXPECT_EQ(old.attempts, 3);
  EXPECT_EQ(claimed->at(1).instance.user_name, "anna");
  EXPECT_TRUE(check_sums(*queue));
}

// A sum that did not fit is not made to fit.
TEST(QueueFormat, TakesADamagedRowOfVersion4ForWhatItIs) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("queue.db");
  make_version_4(path);
  const auto queue = test::open_queue(path);
  const std::atomic<bool> stop = false;
  EXPECT_FALSE(check_queue(path, stop));
  EXPECT_EQ(test::claimed_ids(*queue, "pacs"), std::vector<std::string>{"i1"});
  EXPECT_EQ(test::only_delivery(*queue, "i2").state, DeliveryState::held);
}

}  // namespace
}  // namespace sluice
