// Why an instance gets the same answer at receipt, at each attempt to send it, and after a
// restart, while the file changes.
//
// Each state of the file that was read counts since a time, `since_`, and the ledger keeps a
// row for each key and each change of its values that was answered, with the `since_` of the
// state that said so; that the key is missing is an answer like any other, with a row. Be T the
// time of receipt. Ledger::value_as_of() answers by the present state if it counts since before
// T, and then sees to it that the latest row says the same. Else it answers by the last row from
// before T, or the first row of all, or, where the key has none, by the present state, of which
// it makes a row.
//
// Two things hold. (1) With each new state `since_` grows, beyond the T of every answer given
// so far: take() holds the lock alone, so no answer is under way. (2) A row has the `since_` of
// the state that was present when it was made. Hence:
// - Answered by the present state (since_ < T): until there is another one, it answers again.
//   Then since_ > T, and the last row from before T says the same: it was there or made then,
//   and rows made later are from after T, by (1).
// - Answered by a row from before T, or else by the first row (since_ >= T): every row made from
//   then on is from since_ or later, so neither from before T nor before the first one.
// - Answered by the present state for want of a row: it is the first row from then on.
//
// A restart begins with the time at which the file was read, or one behind the last of the
// ledger's rows, if the clock was set back; every T answered before is in the past then. In one
// process nothing depends on the clock, since take() counts by the T it saw. What is left is a
// clock that was set back before a restart, by more than what passed since: an instance from
// before it that still waits, and whose values changed meanwhile, is answered by the new ones.
//
// The new state counts from behind the last T that was asked for, not from now on: the image
// that is the first to come for an hour makes us look, and is to have what the file says.
//
// Rows that a failed write took back were answered to nobody: Ledger::commit() says so to each
// thread that saw one, before its instance is acknowledged or sent.
#include "filters/lookup/steady_table.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "gateway/base/counter.h"
#include "gateway/base/log.h"
#include "gateway/config/nearest.h"

namespace sluice {
namespace {

constexpr int kMostFirstReadings = 5;
constexpr std::size_t kMostToldMistakes = 3;

std::string prefix_of(const TableFile& file) {
  std::string prefix;
  for (const std::string& name : file.key_names) append_part(prefix, name);
  return prefix + ";";
}

}  // namespace

SteadyTable::SteadyTable(TableFile file, std::string filter, TableReading first, FileStamp stamp,
                         std::chrono::milliseconds between_looks)
    : file_(std::move(file)),
      filter_(std::move(filter)),
      key_prefix_(prefix_of(file_)),
      between_looks_(between_looks),
      rows_(std::move(first.rows)),
      since_(std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now())),
      taken_(stamp) {}

Result<std::string> SteadyTable::find(const std::string& key, Time received_at, Ledger& ledger) {
  using std::chrono::floor;
  using std::chrono::microseconds;
  std::call_once(joined_, [&] {
    const std::unique_lock alone(mutex_);
    since_ =
        std::max(since_, floor<microseconds>(ledger.latest_value_at_opening()) + microseconds(1));
  });
  look();
  std::shared_lock shared(mutex_, std::defer_lock);
  {
    const std::lock_guard gate(gate_);
    shared.lock();
  }
  note_asked(floor<microseconds>(received_at));
  const auto row = rows_.find(key);
  const FoundValue found{row == rows_.end() ? std::string() : row->second.values, since_};
  return ledger.value_as_of(filter_, key_prefix_ + key, found, received_at);
}

void SteadyTable::note_asked(Microseconds received_at) {
  const auto asked = received_at.time_since_epoch().count();
  auto latest = latest_asked_.load();
  while (latest < asked && !latest_asked_.compare_exchange_weak(latest, asked)) {
  }
}

void SteadyTable::look() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  auto due = next_look_.load();
  if (now.count() < due) return;
  const std::unique_lock looking(looking_, std::try_to_lock);
  if (!looking) return;  // another thread does
  const std::chrono::steady_clock::duration pause = between_looks_;
  if (!next_look_.compare_exchange_strong(due, (now + pause).count())) return;
  const FileStamp stamp = stamp_of(file_);
  if (stamp == taken_) {
    wrong_.reset();
    told_.reset();
    return;
  }
  if (stamp == wrong_) return;
  const bool is_settled = stamp == seen_;
  seen_ = stamp;
  auto reading = read_table(file_, stamp, is_settled);
  if (!reading) return;
  if (!reading->mistakes.empty()) return refuse(*reading, stamp);
  take(std::move(*reading));
  taken_ = stamp;
  wrong_.reset();
  told_.reset();
}

// The rows that go are freed behind the lock.
void SteadyTable::take(TableReading reading) {
  const std::size_t rows = reading.rows.size();
  {
    const std::lock_guard gate(gate_);
    const std::unique_lock alone(mutex_);
    rows_.swap(reading.rows);
    const Microseconds asked{std::chrono::microseconds(latest_asked_.load())};
    since_ = std::max(since_, asked) + std::chrono::microseconds(1);
  }
  count("sluice_lookup_reloads_total", {{"filter", filter_}, {"outcome", "loaded"}});
  log::info("lookup file loaded", {{"filter", filter_}, {"file", file_.path}, {"keys", rows}});
}

void SteadyTable::refuse(const TableReading& reading, const FileStamp& stamp) {
  if (!reading.is_unreadable) wrong_ = stamp;
  if (told_ == stamp) return;
  told_ = stamp;
  count("sluice_lookup_reloads_total", {{"filter", filter_}, {"outcome", "refused"}});
  std::string mistakes;
  for (std::size_t i = 0; i < std::min(reading.mistakes.size(), kMostToldMistakes); ++i) {
    mistakes += (i == 0 ? "" : "; ") + reading.mistakes[i];
  }
  log::warning("lookup file not taken: what was loaded before stays",
               {{"filter", filter_},
                {"file", file_.path},
                {"mistakes", mistakes},
                {"number_of_mistakes", reading.mistakes.size()}});
}

FirstReading read_first(const TableFile& file) {
  std::optional<FileStamp> seen;
  for (int i = 0; i < kMostFirstReadings; ++i) {
    const FileStamp stamp = stamp_of(file);
    if (auto reading = read_table(file, stamp, stamp == seen)) return {std::move(*reading), stamp};
    seen = stamp;
    // Its writer is not done: nothing tells when it is.
    std::this_thread::sleep_for(SteadyTable::kBetweenLooks);
  }
  TableReading none;
  none.mistakes.emplace_back("is being written all the time; replace it as a whole, by a rename");
  return {std::move(none), {}};
}

}  // namespace sluice
