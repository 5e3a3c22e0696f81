// What was received and where it still has to go: a row per instance and a row per
// delivery, in SQLite (WAL, synchronous=FULL) beside the spool. Only this folder
// has the SQL of the queue.
//
//   ready -> sending -> delivered
//                    -> deferred -> sending ...   the destination is away: tried again later
//                    -> held                      refused: a person must look
//   quarantined                                   a filter or no route: a person must look
//   dropped, discarded                            ended without delivery, with a reason
//
// A quarantined delivery may be released by a person: it goes on despite the verdict.
// What was refused to its sender rests nowhere; that it was refused is listed.
//
// delivered, dropped and discarded are final. When the last delivery of an instance
// is final its file is removed; the row stays as history.
//
// Whatever has gathered while one commit ran is written with the next: one directory sync
// and one fsync answer many associations. Rows of a new UID go to a journal first. A
// commit that fails faults the queue: its owner is told, and every later write is refused
// until it is opened again. Only a full disk and a lock held too long by another process fault
// nothing: adds are refused then, and outcomes are kept and written later. Nor does a
// failed `before_commit`: it refuses the adds that asked for it, and all else goes on.
//
// An add() that failed must be followed by removing the instance's file: after a
// power cut its rows may be found again, and without a file nothing is sent.
//
// Back-off runs on the monotonic clock; after a restart no delivery waits longer than
// its last back-off, whatever happened to the wall clock. Safe from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/error.h"
#include "gateway/config/priority.h"
#include "gateway/queue/rejection.h"
#include "gateway/queue/same_uid.h"
#include "gateway/queue/sum.h"
#include "gateway/queue/uid_claims.h"

namespace sluice {

using Time = std::chrono::system_clock::time_point;

enum class DeliveryState {
  ready,
  sending,
  delivered,
  deferred,
  held,
  quarantined,
  dropped,
  discarded
};
[[nodiscard]] std::string_view to_string(DeliveryState state);
[[nodiscard]] std::optional<DeliveryState> parse_delivery_state(std::string_view text);

// An instance as received.
struct InstanceRow {
  std::string id = {};
  Time received_at = {};
  std::string calling_ae_title = {};
  std::string called_ae_title = {};
  std::string peer_address = {};
  std::string listener = {};
  std::string sop_class_uid = {};
  std::string sop_instance_uid = {};
  std::string study_instance_uid = {};  // as received; "" when absent
  std::string series_instance_uid = {};
  std::string transfer_syntax_uid = {};
  std::uint64_t data_set_offset = 0;
  std::uint64_t data_set_length = 0;
  std::string digest = {};
  std::string user_name = {};       // that goes on to destinations; "": none
  std::string irregular_tags = {};  // top-level tags twice or out of order, as text; "": none
  bool has_file = true;             // false: delivered before it needed one; not read back
  // Given by the queue, not by the caller of an add:
  std::string other_bytes_of = {};        // id of the one that had this UID first; "": none
  std::string new_sop_instance_uid = {};  // that it is delivered with for that; "": its own
  bool is_damaged = false;                // its file was found damaged or missing
  std::uint64_t sent_again = 0;           // how often the same bytes came again
  Time sent_again_at = {};                // the last time
};

struct DeliveryRow {
  std::string instance_id = {};
  std::string route = {};
  std::string destination = {};  // "" while quarantined or dropped
  config::Priority priority = config::Priority::medium;
  DeliveryState state = DeliveryState::ready;
  std::string reason = {};  // of the last outcome; "" when there was none
  std::string status = {};  // DIMSE status of the last answer, "B000"; or ""
  int attempts = 0;         // in all
  int failures = 0;         // refusals of this instance by the destination
  Time next_attempt = {};   // when deferred
  Time updated_at = {};
  std::string released = {};  // by whom, why, despite what; "": no verdict was overruled
};

struct QueueEntry {
  InstanceRow instance;
  DeliveryRow delivery;
};

// How one attempt ended.
struct Outcome {
  std::string instance_id = {};
  std::string destination = {};
  DeliveryState state = DeliveryState::delivered;  // delivered, deferred or held
  std::string reason = {};
  std::string status = {};
  bool counts_as_failure = false;  // a refusal of this instance, not an absent destination
  std::chrono::milliseconds retry_after{0};              // when deferred
  config::Priority priority = config::Priority::medium;  // for the log
  std::string route = {};   // "" is any: two routes may lead to one destination
  bool is_damaged = false;  // the spooled file is not what was received
};

struct QueueFilter {
  std::string instance_id = {};  // "" is any, in all of these
  std::string destination = {};
  std::string sop_instance_uid = {};
  std::vector<DeliveryState> states = {};
  std::optional<Time> updated_before = {};
  std::size_t limit = 1000;  // of list(); retry() and discard() take all that match
};

// Reads all of a queue's file beside those who use it, as sqlite::check_file().
[[nodiscard]] Result<void> check_queue(const std::string& path, const std::atomic<bool>& stop);

// Every delivery of each instance that has a file and came at `since` or later, in the order of
// receipt, of one moment. Reads beside a running gateway, or one that is down, locks out nobody
// and changes nothing. What a killed gateway had in its journal only is not seen before its next
// start. Errors: configuration, when there is no queue or it has the format of another version;
// transient.
[[nodiscard]] Result<std::vector<QueueEntry>> read_kept(const std::string& path, Time since);

struct QueueRecord;  // queue_record.h

class Queue {
 public:
  // `before_commit` runs in the writing thread before each commit that adds instances:
  // the spool's directory sync. When it fails, those adds fail with its message; the next
  // add calls it again. `before_note` runs instead where the commit also notes that files
  // were removed, so that they stay so; without it, `before_commit` does.
  // `file_done` is called there after a commit that made the last delivery of an
  // instance final: it removes the file. It is called again after a crash, also for
  // files that are gone; after an error, at the next start at the latest. Deliveries
  // found `sending` are ready again. `faulted` is called once, when the queue faults.
  // Errors: configuration, corrupt, with the path and what to do.
  struct Hooks {
    std::function<Result<void>()> before_commit = {};
    std::function<Result<void>()> before_note = {};
    std::function<Result<void>(const std::string& instance_id)> file_done = {};
    std::function<void(const std::string& reason)> faulted = {};
  };
  [[nodiscard]] static Result<std::unique_ptr<Queue>> open(const std::string& path, Hooks hooks);

  // For the command line beside a running gateway: no writing thread, nothing is
  // changed at start; writes are transactions of their own. Errors: as open(), and
  // configuration when there is no file.
  [[nodiscard]] static Result<std::unique_ptr<Queue>> open_beside(const std::string& path);

  virtual ~Queue() = default;

  // Until it ends, nobody else adds an instance under this SOP Instance UID, as long as all
  // who add claim first. Waits for another. Errors: transient, when that one takes too long.
  [[nodiscard]] virtual Result<UidClaims::Claim> claim_uid(const std::string& sop_instance_uid) = 0;
  // So that knows_uid() is told by memory from then on. Takes a second for a million rows, of
  // processor and disk; beside all else. Ends early, without an error, once `stop` is set.
  [[nodiscard]] virtual Result<void> read_history(const std::atomic<bool>& stop) = 0;
  // Whether the history has an instance with this SOP Instance UID. Errors: transient.
  [[nodiscard]] virtual Result<bool> knows_uid(std::string_view sop_instance_uid) = 0;

  // False from the moment the disk is full, or outcomes cannot be written, until they are and
  // there is room again: all adds fail. What room there is belongs to what is waiting, which
  // needs it to end.
  [[nodiscard]] virtual bool has_room() const = 0;

  // Durable on return. A delivery may be `delivered` or `sending` from the beginning. Errors:
  // transient; permanent, when the id is known already or there is no delivery.
  [[nodiscard]] virtual Result<void> add(const InstanceRow& instance,
                                         const std::vector<DeliveryRow>& deliveries) = 0;

  // The same for an instance whose SOP Instance UID may be known, as same_uid.h says.
  // Nothing was added and nothing changed when the answer is a duplicate (but that it is
  // counted with the earlier one) or names files to be looked at first.
  [[nodiscard]] virtual Result<Added> add_unless_known(const InstanceRow& instance,
                                                       const std::vector<DeliveryRow>& deliveries,
                                                       const SameUidRules& rules) = 0;

  // Of an instance whose SOP Instance UID the history does not know. Durable when `done` says
  // so, by the journal; in the queue a moment later, and only then the claim ends. What is added
  // as `sending` its caller has in hand. Errors: transient; then it may be in the queue all the
  // same. `done` is called once, from this thread or another, perhaps before this returns; it
  // must not throw, and others wait behind it.
  using Done = std::function<void(Result<void>)>;
  virtual void add_new(std::shared_ptr<const QueueRecord> rows, UidClaims::Claim claim,
                       Done done) = 0;

  // The history of an instance that was not kept, and is delivered or dropped already. Returns
  // at once, is written with the next commit, and costs no sync of the disk: a power cut may
  // forget the last ones. A queue that cannot write forgets some and counts them.
  virtual void note_passed(const InstanceRow& instance, const DeliveryRow& delivery) = 0;

  // Up to `limit` deliveries that are ready or due, now `sending`: the highest priority first,
  // and of one priority the oldest received first.
  [[nodiscard]] virtual Result<std::vector<QueueEntry>> claim(std::string_view destination,
                                                              std::size_t limit) = 0;

  // Returns at once; written with the next commit. A delivery that is not `sending`
  // (discarded meanwhile) stays as it is. Any state but `sending` may be the outcome.
  virtual void finish(const Outcome& outcome) = 0;

  // `sending` -> `ready` without an attempt: claimed, but not tried.
  virtual void release(const std::string& instance_id, std::string_view destination) = 0;

  // A delivery of a higher priority can be claimed, or may: it came behind the last claim, or is
  // due. Never true of what was claimed last, so that whoever gives back what he has claimed, and
  // claims anew, gets on.
  [[nodiscard]] virtual bool has_more_urgent(std::string_view destination,
                                             config::Priority than) = 0;

  // Something waits for this destination, or may: ready or deferred.
  [[nodiscard]] virtual bool has_work(std::string_view destination) = 0;

  // Blocks until this destination has something to claim, `until` has passed or
  // wake() was called. True if there may be work, of which one thread is told. A wake() while a
  // thread does not wait ends its next wait at once, so that none is missed.
  virtual bool wait_for_work(std::string_view destination,
                             std::chrono::steady_clock::time_point until) = 0;
  virtual void wake() = 0;
  // The same for one thread that waits for this destination, or comes to.
  virtual void nudge(std::string_view destination) = 0;
  // From now on what waits for `group` nudges who waits for these destinations, and nobody else.
  virtual void serve(const std::string& group, std::vector<std::string> destinations) = 0;

  // Waits until everything said so far is committed. Errors: transient.
  [[nodiscard]] virtual Result<void> flush() = 0;

  [[nodiscard]] virtual Result<std::vector<QueueEntry>> list(const QueueFilter& filter) = 0;
  // Deliveries by destination and state.
  struct Count {
    std::string destination;
    DeliveryState state;
    std::uint64_t count;
  };
  [[nodiscard]] virtual Result<std::vector<Count>> counts() = 0;
  // Of all that was ever accepted; of one moment.
  [[nodiscard]] virtual Result<Sums> sums() = 0;
  // By destination, the longest wait of those that are deferred and were never refused:
  // how long it was left alone at last.
  [[nodiscard]] virtual Result<std::map<std::string, std::chrono::milliseconds>>
  longest_waits() = 0;
  // The ids of all instances whose file must exist.
  [[nodiscard]] virtual Result<std::vector<std::string>> unfinished_instances() = 0;

  // held, deferred or quarantined deliveries become ready at once; failures count
  // from 0 again. One that has no destination waits for reroute(). Returns how many.
  [[nodiscard]] virtual Result<std::size_t> retry(const QueueFilter& filter) = 0;

  // Quarantined ones of `retry`: the running gateway takes them up and replaces
  // them by what today's routes say. One that was claimed is not offered again until
  // the next retry() or start.
  [[nodiscard]] virtual Result<std::vector<QueueEntry>> claim_for_reroute(std::size_t limit) = 0;
  // A destination that has a delivery of this instance already keeps that one and gets
  // no second. Of the rules, those for other bytes apply, as long as another instance
  // with this UID goes or went somewhere.
  // Errors: transient; permanent, when nothing of it is quarantined.
  [[nodiscard]] virtual Result<void> reroute(const std::string& instance_id,
                                             const std::vector<DeliveryRow>& deliveries,
                                             const SameUidRules& rules) = 0;

  // Quarantined deliveries that match go to these destinations whatever the verdict
  // was; one for whose route there is none stays. `who` and `why` stay with the rows.
  // Returns how many were released.
  struct Release {
    std::function<std::vector<std::string>(const std::string& route)> destinations;
    std::string who;
    std::string why;
  };
  [[nodiscard]] virtual Result<std::size_t> release_quarantined(const QueueFilter& filter,
                                                                const Release& release) = 0;

  // Ends every delivery that matches and waits or rests; one that is `sending` may be
  // with its destination already, and stays; `who` and `why` stay with the row as
  // its reason.
  // Files are removed by the running gateway, or at its next start.
  [[nodiscard]] virtual Result<std::size_t> discard(const QueueFilter& filter, std::string_view who,
                                                    std::string_view why) = 0;

  // Lists what was refused to its sender. Returns at once, is written with the next
  // commit, and costs no sync of the disk: a power cut may forget the last ones. A queue
  // that cannot write forgets some and counts them.
  virtual void note_rejection(const Rejection& rejection) = 0;
  // Oldest first; of the filter, destination and states are ignored.
  [[nodiscard]] virtual Result<std::vector<Rejection>> rejections(const QueueFilter& filter) = 0;

  // What waits or rests in each of these states, with its oldest instance.
  struct Oldest {
    std::string destination;
    DeliveryState state;
    std::uint64_t count;
    std::string instance_id;
    Time received_at;
  };
  [[nodiscard]] virtual Result<std::vector<Oldest>> oldest() = 0;

  // Removes the history of instances received before this whose file is gone, and of
  // rejections before this. Returns how many of both.
  [[nodiscard]] virtual Result<std::size_t> forget_before(Time time) = 0;

  [[nodiscard]] virtual bool is_faulted() const = 0;
};

}  // namespace sluice
