// The rows of what was refused to its sender.
#include <limits>
#include <utility>

#include "gateway/queue/queue_entry.h"
#include "gateway/queue/queue_rows.h"

namespace sluice::rows {
namespace {

using sqlite::Value;

// A sender that is refused all the time must not fill the disk.
constexpr std::int64_t kMostRejections = 10'000;
constexpr std::size_t kLongestText = 256;

// What the network said may be longer than any name, UID or reason.
std::string_view clipped(const std::string& text) {
  return std::string_view(text).substr(0, kLongestText);
}

}  // namespace

Result<void> note_rejection(Connection& db, const Rejection& rejection) {
  auto noted = db.run(
      "INSERT INTO rejections(id, received_at, updated_at, times, calling_ae_title, "
      "called_ae_title, peer_address, listener, sop_class_uid, sop_instance_uid, "
      "transfer_syntax_uid, data_set_length, status, reason) VALUES (?,?,?,1,?,?,?,?,?,?,?,?,?,?) "
      "ON CONFLICT (sop_instance_uid, calling_ae_title, status) DO UPDATE SET id = excluded.id, "
      "updated_at = excluded.updated_at, times = times + 1, peer_address = excluded.peer_address, "
      "data_set_length = excluded.data_set_length, reason = excluded.reason",
      {rejection.id, to_microseconds(rejection.received_at), to_microseconds(rejection.updated_at),
       clipped(rejection.calling_ae_title), clipped(rejection.called_ae_title),
       rejection.peer_address, rejection.listener, clipped(rejection.sop_class_uid),
       clipped(rejection.sop_instance_uid), rejection.transfer_syntax_uid,
       static_cast<std::int64_t>(rejection.data_set_length), rejection.status,
       clipped(rejection.reason)});
  if (!noted) return noted;
  return db.run(
      "DELETE FROM rejections WHERE sequence <= (SELECT max(sequence) FROM rejections) - ?",
      {kMostRejections});
}

Result<std::vector<Rejection>> rejections(Connection& db, const QueueFilter& filter) {
  const std::int64_t before = filter.updated_before ? to_microseconds(*filter.updated_before)
                                                    : std::numeric_limits<std::int64_t>::max();
  auto row = db.prepare(
      "SELECT id, received_at, updated_at, times, calling_ae_title, called_ae_title, peer_address, "
      "listener, sop_class_uid, sop_instance_uid, transfer_syntax_uid, data_set_length, status, "
      "reason FROM rejections WHERE (? = '' OR id = ?) AND (? = '' OR sop_instance_uid = ?) "
      "AND updated_at < ? ORDER BY updated_at, sequence LIMIT ?",
      {filter.instance_id, filter.instance_id, filter.sop_instance_uid, filter.sop_instance_uid,
       before, static_cast<std::int64_t>(filter.limit)});
  if (!row) return tl::unexpected(row.error());
  std::vector<Rejection> found;
  for (;;) {
    const auto more = row->step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return found;
    Rejection one;
    one.id = row->text(0);
    one.received_at = to_time(row->integer(1));
    one.updated_at = to_time(row->integer(2));
    one.times = static_cast<std::uint64_t>(row->integer(3));
    one.calling_ae_title = row->text(4);
    one.called_ae_title = row->text(5);
    one.peer_address = row->text(6);
    one.listener = row->text(7);
    one.sop_class_uid = row->text(8);
    one.sop_instance_uid = row->text(9);
    one.transfer_syntax_uid = row->text(10);
    one.data_set_length = static_cast<std::uint64_t>(row->integer(11));
    one.status = row->text(12);
    one.reason = row->text(13);
    found.push_back(std::move(one));
  }
}

Result<std::size_t> forget_rejections(Connection& db, Time before) {
  auto gone = db.run("DELETE FROM rejections WHERE updated_at < ?", {to_microseconds(before)});
  if (!gone) return tl::unexpected(gone.error());
  return static_cast<std::size_t>(db.changed_rows());
}

}  // namespace sluice::rows
