// The memory that must agree everywhere: series numbers, merged studies, UID
// replacements, what a series is. A decision is made once, when a series, study or UID is first
// seen, and kept. Nothing is written per slice, but for instance numbers
// (docs/decisions/0015) and where a filter remembers what it replaced a SOP Instance
// UID with. What is not decided here but found outside, in a file that changes, say, is
// remembered with the time since which it holds.
//
// A decision is visible to every thread at once and durable after commit(), which
// the receiver calls before it answers; commits of concurrent associations are
// grouped. Safe from any thread. Call commit() in the thread that asked for the
// decisions: should a full disk take them back, it is that thread's commit() that says so.
//
// `scope` is the name of the filter that decides: two filters of one type keep
// their decisions apart.
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

namespace sluice {

using Time = std::chrono::system_clock::time_point;

struct SeriesNumberRequest {
  std::string scope;
  std::string study_instance_uid;      // the study it goes to
  std::string series_instance_uid;     // the series it came with
  std::optional<std::int32_t> wanted;  // nullopt: any free number >= base
  std::int32_t base = 10000;
};

struct InstanceNumberRequest {
  std::string scope;
  std::string series_instance_uid;            // the series it goes to
  std::string sop_instance_uid;               // the instance as it came
  std::optional<std::int32_t> wanted;         // nullopt: any free number >= base
  std::optional<std::int32_t> base = 10'000;  // nullopt: none but `wanted`
};

struct MergedStudy {
  std::string study_instance_uid;
  std::map<std::string, std::string>
      attributes;  // by "gggg,eeee" or keyword, of the first instance
};

struct UidReplacement {
  std::string scope;
  std::string before;
  std::string after;
  std::string reason;
  Time recorded_at;
};

// By keyword or path, in UTF-8.
using SeriesAttributes = std::map<std::string, std::string>;

// What should be the same in each instance of a series.
struct SeriesIdentity {
  std::string scope;
  std::string series_instance_uid;  // as it came
  SeriesAttributes attributes;
  std::string sop_instance_uid;  // of the instance that has it so
};

// An instance that does not fit to its series: by what differs, or by their number.
struct SeriesSuspect {
  std::string scope;
  std::string series_instance_uid;  // as it came
  std::string sop_instance_uid;     // of the first that showed it
  SeriesAttributes first;           // what the series has of the attributes that differ
  SeriesAttributes other;           // and what this instance has
  std::int64_t limit = 0;           // of its instances; 0: that is not what is wrong
  std::string outcome;              // what became of it
  Time recorded_at = {};
};

struct SeriesCountRequest {
  std::string scope;
  std::string series_instance_uid;
  std::string modality;    // each is counted by itself
  std::int64_t limit = 0;  // at least 1
  Time received_at;        // by which an instance is known
};

// What a filter found outside: any bytes, and since when it finds that.
struct FoundValue {
  std::string value;
  Time since;
};

class Ledger {
 public:
  virtual ~Ledger() = default;

  // The number of this series in this study: the one given before, else `wanted`
  // if free, else the first free number >= base. Unique per study within
  // its scope. Errors: transient when the store fails, permanent when no number
  // up to 2^31-1 is free.
  [[nodiscard]] virtual Result<std::int32_t> series_number(const SeriesNumberRequest& request) = 0;

  // The same of an instance in its series; nullopt when it has none yet, `wanted` is
  // another's and there is no base, and nothing is recorded then.
  [[nodiscard]] virtual Result<std::optional<std::int32_t>> instance_number(
      const InstanceNumberRequest& request) = 0;

  // The study that instances with this key go to: the one recorded first, or
  // `proposed`, which is then recorded. When `original` differs from the result,
  // original -> result is recorded as a replacement with reason "merged".
  // Errors: transient.
  [[nodiscard]] virtual Result<MergedStudy> merged_study(std::string_view scope,
                                                         std::string_view key,
                                                         std::string_view original,
                                                         const MergedStudy& proposed) = 0;

  // Remembers a replacement; the same one again is no write. Errors: transient.
  [[nodiscard]] virtual Result<void> record_uid(std::string_view scope, std::string_view before,
                                                std::string_view after,
                                                std::string_view reason) = 0;

  // What this scope first replaced `before` with, if that was at or before `as_of`: an
  // answer that stays the same for a given instance, whenever it is sent. `as_of` is the
  // time of receipt: what is recorded after this call counts as later, whatever the
  // clock says. Errors: transient.
  [[nodiscard]] virtual Result<std::optional<std::string>> replacement(std::string_view scope,
                                                                       std::string_view before,
                                                                       Time as_of) = 0;

  // Whether this scope replaces `before` with `after`: false when it is known as what the
  // scope made of another UID, and was not replaced itself before that; else true, and the
  // replacement is recorded as by record_uid(). So the answer is given when the scope first
  // meets the UID, and kept. Errors: transient.
  [[nodiscard]] virtual Result<bool> replaces_uid(std::string_view scope, std::string_view before,
                                                  std::string_view after,
                                                  std::string_view reason) = 0;

  // What this scope replaced with `after`, at or before `as_of`, oldest first: none, one, or
  // the first two of more. As with replacement(), the answer stays the same for a given
  // instance. Errors: transient.
  [[nodiscard]] virtual Result<std::vector<std::string>> originals(std::string_view scope,
                                                                   std::string_view after,
                                                                   Time as_of) = 0;

  // Every replacement with this UID on either side, oldest first. Errors: transient.
  [[nodiscard]] virtual Result<std::vector<UidReplacement>> lookup(std::string_view uid) = 0;

  // The value of `key` for an instance that was received at `as_of`. Found since before then,
  // it is the answer, and is remembered, unless the latest that is remembered says the same.
  // Else the answer is what was remembered last before `as_of`; without such a one, what was
  // remembered first at all; without any, what is found, which is then remembered. Times
  // count in microseconds. The same answer again for the same instance, provided that `since`
  // grows with each other value that is found, beyond every `as_of` that was asked for
  // meanwhile. Errors: transient.
  [[nodiscard]] virtual Result<std::string> value_as_of(std::string_view scope,
                                                        std::string_view key,
                                                        const FoundValue& found, Time as_of) = 0;

  // The attributes of the identity that was first recorded for its series; without any, those
  // of this one, which is then recorded. Errors: transient.
  [[nodiscard]] virtual Result<SeriesAttributes> series_identity(
      const SeriesIdentity& identity) = 0;

  // Remembers a suspect. False when one with the same `other` and `limit` is known for the
  // series. Errors: transient.
  [[nodiscard]] virtual Result<bool> record_suspect(const SeriesSuspect& suspect) = 0;

  // Counts the instance, and tells whether its series had reached the limit before it was
  // received. The count is a lower bound after a crash, and what is received twice counts
  // twice: series_count.h. False for what was once told false, and true for what was told true,
  // whenever it is asked for again. Errors: transient.
  [[nodiscard]] virtual Result<bool> is_beyond_limit(const SeriesCountRequest& request) = 0;

  // The latest `since` that was remembered, in any scope, when the ledger was opened.
  [[nodiscard]] virtual Time latest_value_at_opening() const = 0;

  // Every decision that this thread has seen so far, its own or another's, is durable on
  // return. Errors: transient, when one of them was taken back; ask again then.
  // A failed write takes back the decisions not yet durable. After a full disk or a lock
  // held by another process that is all. After any other failure (an fsync that failed
  // once is not believed) the ledger refuses every new decision until it is opened
  // again: who needs one is refused there. What was durable before is still answered,
  // and commit() succeeds for a thread that has seen nothing else: deliveries go on.
  [[nodiscard]] virtual Result<void> commit() = 0;
};

// Called when the ledger refuses new decisions from now on, a damaged row included, in the
// thread that failed.
using OnFault = std::function<void(const std::string& reason)>;

// A SQLite file, created when absent; several processes may share it. Errors: corrupt,
// configuration, transient, with the path.
[[nodiscard]] Result<std::unique_ptr<Ledger>> open_ledger(const std::string& path,
                                                          OnFault on_fault = {});

// Reads all of a ledger's file beside those who use it, as sqlite::check_file().
[[nodiscard]] Result<void> check_ledger(const std::string& path, const std::atomic<bool>& stop);

// The suspects recorded since then, oldest first, read beside those who use the file. Errors:
// corrupt, transient, with the path.
[[nodiscard]] Result<std::vector<SeriesSuspect>> read_series_suspects(const std::string& path,
                                                                      Time since);

// A copy in memory of the file, or an empty one when it is absent: decisions are
// made and forgotten. For `explain`.
[[nodiscard]] Result<std::unique_ptr<Ledger>> preview_ledger(const std::string& path);

}  // namespace sluice
