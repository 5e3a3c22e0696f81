#include "gateway/ledger/ledger.h"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/ledger/bounded_cache.h"
#include "gateway/ledger/ledger_rows.h"
#include "gateway/ledger/ledger_store.h"
#include "gateway/ledger/series_count.h"
#include "gateway/ledger/series_rows.h"

namespace sluice {
namespace {

using sqlite::Connection;

constexpr std::size_t kCacheLimit = 100'000;
// There are many, each asked for when it comes and soon after, when it goes; 5 MB of them.
constexpr std::size_t kInstanceCacheLimit = 20'000;
// What is kept of a series is large; few are under way at a time.
constexpr std::size_t kSeriesCacheLimit = 10'000;

// Texts come from the network and may hold any separator, so lengths go before them.
std::string key_of(std::initializer_list<std::string_view> parts) {
  std::string key;
  for (const std::string_view part : parts) {
    key += std::to_string(part.size());
    key += ':';
    key += part;
  }
  return key;
}

std::string key_of_suspect(const SeriesSuspect& suspect) {
  std::string key =
      key_of({suspect.scope, suspect.series_instance_uid, std::to_string(suspect.limit)});
  for (const auto& [name, value] : suspect.other) key += key_of({name, value});
  return key;
}

// What the file said when it was asked for the originals of a UID, up to a time.
struct Originals {
  std::int64_t as_of = 0;
  std::vector<rows::Original> first;

  [[nodiscard]] std::vector<std::string> up_to(std::int64_t limit) const {
    std::vector<std::string> found;
    for (const rows::Original& each : first) {
      if (each.recorded_at <= limit) found.push_back(each.before);
    }
    return found;
  }
};

// nullopt: the number that was asked for is another's.
struct Number {
  std::optional<std::int32_t> value;
};

// That it is another's is looked up each time: the instance may yet come with one that is
// free.
bool lasts(const Number& number) {
  return number.value.has_value();
}

class SqliteLedger final : public LedgerStore {
 public:
  // `last_recorded` is the latest time that stands in the file, `latest_value` that of a
  // value found outside.
  SqliteLedger(std::unique_ptr<Connection> db, std::int64_t last_recorded,
               std::int64_t latest_value, bool is_file, OnFault on_fault)
      : LedgerStore(std::move(db), last_recorded, std::move(on_fault)),
        latest_value_at_opening_(latest_value) {
    if (is_file) begin_thread();
  }
  ~SqliteLedger() override { close(); }
  SqliteLedger(const SqliteLedger&) = delete;
  SqliteLedger& operator=(const SqliteLedger&) = delete;

  Result<std::int32_t> series_number(const SeriesNumberRequest& request) override {
    const auto given = decide_number(numbers_, request, request.wanted, request.base);
    if (!given) return tl::unexpected(given.error());
    return given->value.value();  // there is one, with a base
  }

  Result<std::optional<std::int32_t>> instance_number(
      const InstanceNumberRequest& request) override {
    const auto given = decide_number(instance_numbers_, request, request.wanted, request.base);
    if (!given) return tl::unexpected(given.error());
    return given->value;
  }

  Result<MergedStudy> merged_study(std::string_view scope, std::string_view key,
                                   std::string_view original,
                                   const MergedStudy& proposed) override {
    auto study = decide_study(scope, key, proposed);
    if (study && study->study_instance_uid != original) {
      auto recorded = record_uid(scope, original, study->study_instance_uid, "merged");
      if (!recorded) return tl::unexpected(recorded.error());
    }
    return study;
  }

  Result<void> record_uid(std::string_view scope, std::string_view before, std::string_view after,
                          std::string_view reason) override {
    const std::string key = key_of({scope, before, after});
    if (find_in(recorded_, key)) return {};
    const std::lock_guard lock(db_mutex_);
    if (find_in(recorded_, key)) return {};
    auto decided = decide<bool>(
        recorded_, key,
        [&]() -> Result<std::optional<bool>> {
          const auto known = rows::has_replacement(*db_, scope, before, after);
          if (!known) return tl::unexpected(known.error());
          return *known ? std::optional(true) : std::nullopt;
        },
        [&] { return insert_uid(scope, before, after, reason); });
    if (!decided) return tl::unexpected(decided.error());
    return {};
  }

  Result<bool> replaces_uid(std::string_view scope, std::string_view before, std::string_view after,
                            std::string_view reason) override {
    const std::string key = key_of({scope, before, after});
    if (auto known = find_in(replaces_, key)) return *known;
    const std::lock_guard lock(db_mutex_);
    if (auto known = find_in(replaces_, key)) return *known;
    return decide<bool>(
        replaces_, key, [&] { return rows::find_replaces(*db_, scope, before, after); },
        [&] { return insert_uid(scope, before, after, reason); });
  }

  Result<std::optional<std::string>> replacement(std::string_view scope, std::string_view before,
                                                 Time as_of) override {
    const std::string key = key_of({scope, before});
    const std::int64_t limit = to_microseconds(as_of);
    const auto answer = [&](const rows::FirstReplacement& first) {
      return first.recorded_at <= limit ? std::optional(first.after) : std::nullopt;
    };
    note_asked(limit);
    if (auto known = find_in(replacements_, key)) return answer(*known);
    const std::lock_guard lock(db_mutex_);
    auto first = checked(rows::find_first_replacement(*db_, scope, before));
    if (!first) return tl::unexpected(first.error());
    // That there is none is not remembered: another process may record one.
    if (!*first) return std::nullopt;
    const std::lock_guard state(state_mutex_);
    replacements_.set(key, **first);
    return answer(**first);
  }

  Result<std::vector<std::string>> originals(std::string_view scope, std::string_view after,
                                             Time as_of) override {
    const std::string key = key_of({scope, after});
    const std::int64_t limit = to_microseconds(as_of);
    note_asked(limit);
    // What was read of the file holds for the times up to the one it was read for: what is
    // recorded since is later.
    if (auto known = find_in(originals_, key); known && limit <= known->as_of) {
      return known->up_to(limit);
    }
    const std::lock_guard lock(db_mutex_);
    auto found = checked(rows::find_originals(*db_, scope, after));
    if (!found) return tl::unexpected(found.error());
    const Originals read{limit, std::move(*found)};
    const std::lock_guard state(state_mutex_);
    originals_.set(key, read);
    return read.up_to(limit);
  }

  Result<std::vector<UidReplacement>> lookup(std::string_view uid) override {
    const std::lock_guard lock(db_mutex_);
    return checked(rows::lookup(*db_, uid));
  }

  Result<std::string> value_as_of(std::string_view scope, std::string_view key,
                                  const FoundValue& found, Time as_of) override {
    const std::string cache_key = key_of({scope, key});
    const std::int64_t limit = to_microseconds(as_of);
    const std::int64_t since = to_microseconds(found.since);
    const bool counts = since < limit;
    if (const auto latest = find_in(values_, cache_key)) {
      if (counts ? latest->value == found.value : latest->since < limit) return latest->value;
    }
    const std::lock_guard lock(db_mutex_);
    if (!counts) {
      auto before = checked(rows::find_value_before(*db_, scope, key, limit));
      if (!before) return tl::unexpected(before.error());
      if (*before) return std::move((*before)->value);
    }
    std::int64_t free_from = 0;  // behind the latest, though the caller's clock says otherwise
    auto decided = decide<rows::RememberedValue>(
        values_, cache_key,
        [&]() -> Result<std::optional<rows::RememberedValue>> {
          auto latest = rows::find_latest_value(*db_, scope, key);
          if (!latest || !*latest || (*latest)->value == found.value) return latest;
          free_from = (*latest)->since + 1;
          return std::nullopt;
        },
        [&]() -> Result<rows::RememberedValue> {
          rows::RememberedValue made{found.value, std::max(since, free_from)};
          auto inserted = rows::insert_value(*db_, scope, key, made);
          if (!inserted) return tl::unexpected(inserted.error());
          return made;
        });
    if (!decided) return tl::unexpected(decided.error());
    return std::move(decided->value);
  }

  Result<SeriesAttributes> series_identity(const SeriesIdentity& identity) override {
    const std::string key = key_of({identity.scope, identity.series_instance_uid});
    if (auto known = find_in(series_identities_, key)) return std::move(*known);
    const std::lock_guard lock(db_mutex_);
    if (auto known = find_in(series_identities_, key)) return std::move(*known);
    return decide<SeriesAttributes>(
        series_identities_, key,
        [&] {
          return rows::find_series_identity(*db_, identity.scope, identity.series_instance_uid);
        },
        [&]() -> Result<SeriesAttributes> {
          auto inserted = rows::insert_series_identity(*db_, identity, next_record_time());
          if (!inserted) return tl::unexpected(inserted.error());
          return identity.attributes;
        });
  }

  Result<bool> record_suspect(const SeriesSuspect& suspect) override {
    const std::string key = key_of_suspect(suspect);
    if (find_in(series_suspects_, key)) return false;
    const std::lock_guard lock(db_mutex_);
    if (find_in(series_suspects_, key)) return false;
    bool is_new = false;
    auto decided = decide<bool>(
        series_suspects_, key,
        [&]() -> Result<std::optional<bool>> {
          const auto known = rows::has_series_suspect(*db_, suspect);
          if (!known) return tl::unexpected(known.error());
          return *known ? std::optional(true) : std::nullopt;
        },
        [&]() -> Result<bool> {
          auto inserted = rows::insert_series_suspect(*db_, suspect, next_record_time());
          if (!inserted) return tl::unexpected(inserted.error());
          is_new = true;
          return true;
        });
    if (!decided) return tl::unexpected(decided.error());
    return is_new;
  }

  Result<bool> is_beyond_limit(const SeriesCountRequest& request) override {
    const std::string key = key_of({request.scope, request.series_instance_uid, request.modality});
    for (;;) {
      if (const auto counted = count_in_memory(key, request)) {
        if (!counted->to_write || write_count(request, *counted->to_write)) {
          return counted->is_beyond;
        }
        // The file cannot be written. Its count is taken up again, and is too small then:
        // no reason to refuse an instance.
        const std::lock_guard state(state_mutex_);
        series_counts_.clear();
        return counted->is_beyond;
      }
      const std::lock_guard lock(db_mutex_);
      if (find_in(series_counts_, key)) continue;
      const auto stored = checked(rows::find_series_count(*db_, request));
      if (!stored) return tl::unexpected(stored.error());
      const std::lock_guard state(state_mutex_);
      series_counts_.set(key, SeriesCount(stored->value_or(StoredSeriesCount())));
    }
  }

  [[nodiscard]] Time latest_value_at_opening() const override {
    return Time(std::chrono::duration_cast<Time::duration>(
        std::chrono::microseconds(latest_value_at_opening_)));
  }

 private:
  Result<bool> insert_uid(std::string_view scope, std::string_view before, std::string_view after,
                          std::string_view reason) {
    const UidReplacement replacement{
        std::string(scope), std::string(before), std::string(after), std::string(reason), {}};
    auto inserted = rows::insert_replacement(*db_, replacement, next_record_time());
    if (!inserted) return tl::unexpected(inserted.error());
    return true;
  }

  struct Counted {
    bool is_beyond = false;
    std::optional<StoredSeriesCount> to_write;
  };
  // nullopt: what the file has is to be read first. That the limit is reached, and when, shows
  // at once to every thread: one that was told before that it is not has said so of an instance
  // received earlier.
  std::optional<Counted> count_in_memory(const std::string& key,
                                         const SeriesCountRequest& request) {
    const std::int64_t received_at = to_microseconds(request.received_at);
    const std::lock_guard lock(state_mutex_);
    note_epoch();
    keep_asked(received_at);
    SeriesCount* const count = series_counts_.find(key);
    if (count == nullptr) return std::nullopt;
    Counted counted;
    if (!count->has_reached(request.limit)) {
      count->add(received_at);
      if (count->instances() >= request.limit) {
        counted.to_write = count->reach(request.limit, take_record_time());
      } else if (count->is_step()) {
        counted.to_write = count->store();
      }
    }
    counted.is_beyond = count->is_beyond(request.limit, received_at);
    return counted;
  }

  bool write_count(const SeriesCountRequest& request, const StoredSeriesCount& stored) {
    const std::lock_guard lock(db_mutex_);
    BoundedCache<bool> nothing_kept{1};
    return decide<bool>(
               nothing_kept, "", [] { return Result<std::optional<bool>>(std::nullopt); },
               [&]() -> Result<bool> {
                 auto written = rows::write_series_count(*db_, request, stored);
                 if (!written) return tl::unexpected(written.error());
                 return true;
               })
        .has_value();
  }

  Result<MergedStudy> decide_study(std::string_view scope, std::string_view key,
                                   const MergedStudy& proposed) {
    const std::string cache_key = key_of({scope, key});
    if (auto known = find_in(studies_, cache_key)) return *known;
    const std::lock_guard lock(db_mutex_);
    if (auto known = find_in(studies_, cache_key)) return *known;
    return decide<MergedStudy>(
        studies_, cache_key, [&] { return rows::find_study(*db_, scope, key); },
        [&]() -> Result<MergedStudy> {
          auto inserted = rows::insert_study(*db_, scope, key, proposed, next_record_time());
          if (!inserted) return tl::unexpected(inserted.error());
          return proposed;
        });
  }

  Result<Number> decide_number(BoundedCache<Number>& cache, const rows::Numbered& one,
                               std::optional<std::int32_t> wanted,
                               std::optional<std::int32_t> base) {
    const std::string key = key_of({one.scope, one.group, one.member});
    if (auto known = find_in(cache, key)) return *known;
    const std::lock_guard lock(db_mutex_);
    if (auto known = find_in(cache, key)) return *known;
    return decide<Number>(
        cache, key, [&] { return find_number(one, base ? std::nullopt : wanted); },
        [&]() -> Result<Number> {
          const auto number = choose_number(one, wanted, base);
          if (!number) return tl::unexpected(number.error());
          auto inserted = rows::insert_number(*db_, one, *number, next_record_time());
          if (!inserted) return tl::unexpected(inserted.error());
          return Number{*number};
        });
  }

  // The number that stands in the file, or that `only` is another's.
  Result<std::optional<Number>> find_number(const rows::Numbered& one,
                                            std::optional<std::int32_t> only) {
    const auto number = rows::find_number(*db_, one);
    if (!number) return tl::unexpected(number.error());
    if (*number) return Number{*number};
    if (!only) return std::nullopt;
    const auto taken = rows::is_taken(*db_, one, *only);
    if (!taken) return tl::unexpected(taken.error());
    return *taken ? std::optional(Number{}) : std::nullopt;
  }

  // Numbers are never given back, so the first free one only grows: the search begins
  // where the last one ended.
  Result<std::int32_t> choose_number(const rows::Numbered& one, std::optional<std::int32_t> wanted,
                                     std::optional<std::int32_t> base) {
    if (wanted) {
      const auto taken = rows::is_taken(*db_, one, *wanted);
      if (!taken) return tl::unexpected(taken.error());
      if (!*taken) return *wanted;
    }
    // Not reached with a number wanted: find_number() has just found it free.
    if (!base) return failure(ErrorCode::permanent, "no number is wanted, and there is no base");
    const std::string from = std::to_string(*base);
    const std::string key = key_of({one.table.name, one.scope, one.group, from});
    const std::int32_t* known = first_free_.find(key);
    const auto free = rows::first_free(*db_, one, known == nullptr ? *base : *known);
    if (!free) return tl::unexpected(free.error());
    if (!*free) {
      return failure(ErrorCode::permanent, "no " + std::string(one.table.number) + " from " + from +
                                               " on is free in " + std::string(one.table.group) +
                                               " " + log::escape(one.group));
    }
    first_free_.set(key, **free);
    return **free;
  }

  void forget_decisions() override {
    first_free_.clear();
    numbers_.clear();
    instance_numbers_.clear();
    studies_.clear();
    recorded_.clear();
    replacements_.clear();
    replaces_.clear();
    originals_.clear();
    values_.clear();
    series_identities_.clear();
    series_suspects_.clear();
    series_counts_.clear();
  }

  const std::int64_t latest_value_at_opening_;
  BoundedCache<std::int32_t> first_free_{kCacheLimit};  // under db_mutex_
  BoundedCache<Number> numbers_{kCacheLimit};
  BoundedCache<Number> instance_numbers_{kInstanceCacheLimit};
  BoundedCache<MergedStudy> studies_{kCacheLimit};
  BoundedCache<bool> recorded_{kCacheLimit};
  BoundedCache<rows::FirstReplacement> replacements_{kCacheLimit};
  BoundedCache<bool> replaces_{kCacheLimit};
  BoundedCache<Originals> originals_{kCacheLimit};
  BoundedCache<rows::RememberedValue> values_{kCacheLimit};  // the latest of each key
  BoundedCache<SeriesAttributes> series_identities_{kSeriesCacheLimit};
  BoundedCache<bool> series_suspects_{kSeriesCacheLimit};
  BoundedCache<SeriesCount> series_counts_{kSeriesCacheLimit};
};

Result<std::unique_ptr<Ledger>> make_ledger(std::unique_ptr<Connection> db, bool is_file,
                                            OnFault on_fault) {
  const auto last_recorded = rows::last_recorded(*db);
  if (!last_recorded) return tl::unexpected(last_recorded.error());
  const auto latest_value = rows::latest_value(*db);
  if (!latest_value) return tl::unexpected(latest_value.error());
  return std::make_unique<SqliteLedger>(std::move(db), *last_recorded, *latest_value, is_file,
                                        std::move(on_fault));
}

}  // namespace

Result<void> check_ledger(const std::string& path, const std::atomic<bool>& stop) {
  return sqlite::check_file(path, rows::damaged_ledger_rows(), stop);
}

Result<std::unique_ptr<Ledger>> open_ledger(const std::string& path, OnFault on_fault) {
  auto db = Connection::open(path, rows::kLedgerFormat);
  if (!db) return tl::unexpected(db.error());
  return make_ledger(std::move(*db), true, std::move(on_fault));
}

// With a -wal file a gateway is running, or was killed, and SQLite's locks are needed. Without
// one, reading it as at rest leaves no files behind; should a gateway start meanwhile, it is read
// again.
Result<std::vector<SeriesSuspect>> read_series_suspects(const std::string& path, Time since) {
  const auto is_in_use = [&] {
    std::error_code error;
    return std::filesystem::exists(path + "-wal", error) || error;
  };
  for (bool at_rest = !is_in_use();; at_rest = false) {
    auto db = Connection::open_foreign(path, at_rest);
    if (!db) return tl::unexpected(db.error());
    auto found = rows::series_suspects(**db, to_microseconds(since));
    if (!at_rest || !is_in_use()) return found;
  }
}

Result<std::unique_ptr<Ledger>> preview_ledger(const std::string& path) {
  auto db = Connection::copy_to_memory(path, rows::kLedgerFormat);
  if (!db) return tl::unexpected(db.error());
  return make_ledger(std::move(*db), false, {});
}

}  // namespace sluice
