// A queue and a ledger in memory, which fail when told to, and filters that say what
// the test wants.
#pragma once

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/ledger/ledger.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/queue/queue_record.h"
#include "gateway/receive/server.h"
#include "gateway/spool/spool.h"
#include "tests/support/temporary_folder.h"

namespace sluice::test {

class FakeQueue : public Queue {
 public:
  struct NewRows {
    InstanceRow instance;
    std::vector<DeliveryRow> deliveries;
  };

  Result<void> add(const InstanceRow& instance,
                   const std::vector<DeliveryRow>& deliveries) override {
    if (failing) return failure(ErrorCode::transient, "Out of resources: queue");
    const std::lock_guard lock(mutex_);
    added_.push_back({instance, deliveries});
    return {};
  }
  Result<Added> add_unless_known(const InstanceRow& instance,
                                 const std::vector<DeliveryRow>& deliveries,
                                 const SameUidRules& given) override {
    {
      const std::lock_guard lock(mutex_);
      rules_.push_back(given);
      if (!answers_.empty()) {
        const Added answer = answers_.front();
        answers_.erase(answers_.begin());
        if (answer.is_duplicate || !answer.to_check.empty()) return answer;
      }
    }
    if (const auto done = add(instance, deliveries); !done) return tl::unexpected(done.error());
    return Added{};
  }
  bool room = true;
  UidClaims claims;
  Result<UidClaims::Claim> claim_uid(const std::string& uid) override {
    return std::move(*claims.claim(uid, std::chrono::steady_clock::time_point::max()));
  }
  Result<void> read_history(const std::atomic<bool>&) override { return {}; }
  // What has an answer, or a policy, is asked by add_unless_known().
  Result<bool> knows_uid(std::string_view) override { return !answers_later; }
  bool has_room() const override { return room; }
  bool has_more_urgent(std::string_view, config::Priority) override { return false; }
  bool has_work(std::string_view) override { return true; }
  void nudge(std::string_view) override {}
  void serve(const std::string&, std::vector<std::string>) override {}
  Result<std::vector<QueueEntry>> claim(std::string_view, std::size_t) override { return unused(); }
  // Of new ones: answered by answer_next().
  std::atomic<bool> answers_later = false;
  void add_new(std::shared_ptr<const QueueRecord> rows, UidClaims::Claim, Done done) override {
    auto added = add(rows->instance, rows->deliveries);
    if (!answers_later) return done(std::move(added));
    const std::lock_guard lock(mutex_);
    unanswered_.push_back(std::move(done));
  }
  [[nodiscard]] std::size_t unanswered() const {
    const std::lock_guard lock(mutex_);
    return unanswered_.size();
  }
  void answer_next(const Result<void>& answer = {}) {
    std::unique_lock lock(mutex_);
    const Done done = std::move(unanswered_.front());
    unanswered_.erase(unanswered_.begin());
    lock.unlock();
    done(answer);
  }
  void note_passed(const InstanceRow&, const DeliveryRow&) override {}
  void finish(const Outcome&) override {}
  void release(const std::string&, std::string_view) override {}
  bool wait_for_work(std::string_view, std::chrono::steady_clock::time_point) override {
    return false;
  }
  void wake() override {}
  Result<void> flush() override { return {}; }
  Result<std::vector<QueueEntry>> list(const QueueFilter& filter) override {
    const std::lock_guard lock(mutex_);
    std::vector<QueueEntry> found;
    for (const NewRows& each : added_) {
      if (each.instance.id == filter.instance_id) found.push_back({each.instance, {}});
    }
    return found;
  }
  Result<std::vector<Count>> counts() override { return std::vector<Count>(); }
  Result<Sums> sums() override { return Sums{}; }
  Result<std::map<std::string, std::chrono::milliseconds>> longest_waits() override {
    return std::map<std::string, std::chrono::milliseconds>();
  }
  Result<std::vector<std::string>> unfinished_instances() override {
    return std::vector<std::string>();
  }
  Result<std::size_t> retry(const QueueFilter&) override { return std::size_t{0}; }
  Result<std::vector<QueueEntry>> claim_for_reroute(std::size_t) override { return unused(); }
  Result<void> reroute(const std::string&, const std::vector<DeliveryRow>&,
                       const SameUidRules&) override {
    return {};
  }
  Result<std::size_t> release_quarantined(const QueueFilter&, const Release&) override {
    return std::size_t{0};
  }
  void note_rejection(const Rejection& rejection) override {
    const std::lock_guard lock(mutex_);
    rejections_.push_back(rejection);
  }
  Result<std::vector<Rejection>> rejections(const QueueFilter&) override {
    const std::lock_guard lock(mutex_);
    return rejections_;
  }
  Result<std::vector<Oldest>> oldest() override { return std::vector<Oldest>(); }
  Result<std::size_t> discard(const QueueFilter&, std::string_view, std::string_view) override {
    return std::size_t{0};
  }
  Result<std::size_t> forget_before(Time) override { return std::size_t{0}; }
  bool is_faulted() const override { return failing; }

  [[nodiscard]] std::vector<NewRows> added() const {
    const std::lock_guard lock(mutex_);
    return added_;
  }
  // What add_unless_known() was given, call by call, and is to answer, once each.
  [[nodiscard]] std::vector<SameUidRules> rules() const {
    const std::lock_guard lock(mutex_);
    return rules_;
  }
  void will_answer(const std::vector<Added>& answers) {
    const std::lock_guard lock(mutex_);
    answers_ = answers;
  }

  std::atomic<bool> failing = false;

 private:
  static std::vector<QueueEntry> unused() { return {}; }
  mutable std::mutex mutex_;
  std::vector<NewRows> added_;
  std::vector<SameUidRules> rules_;
  std::vector<Added> answers_;
  std::vector<Rejection> rejections_;
  std::vector<Done> unanswered_;
};

class FakeLedger : public Ledger {
 public:
  Result<std::int32_t> series_number(const SeriesNumberRequest& request) override {
    return request.wanted.value_or(request.base);
  }
  Result<std::optional<std::int32_t>> instance_number(
      const InstanceNumberRequest& request) override {
    return request.wanted ? request.wanted : request.base;
  }
  Result<MergedStudy> merged_study(std::string_view, std::string_view, std::string_view,
                                   const MergedStudy& proposed) override {
    return proposed;
  }
  Result<void> record_uid(std::string_view, std::string_view, std::string_view,
                          std::string_view) override {
    return {};
  }
  Result<std::optional<std::string>> replacement(std::string_view, std::string_view,
                                                 Time) override {
    return std::optional<std::string>();
  }
  Result<bool> replaces_uid(std::string_view, std::string_view, std::string_view,
                            std::string_view) override {
    return true;
  }
  Result<std::vector<std::string>> originals(std::string_view, std::string_view, Time) override {
    return std::vector<std::string>();
  }
  Result<std::vector<UidReplacement>> lookup(std::string_view) override {
    return std::vector<UidReplacement>();
  }
  Result<std::string> value_as_of(std::string_view, std::string_view, const FoundValue& found,
                                  Time) override {
    return found.value;
  }
  Result<SeriesAttributes> series_identity(const SeriesIdentity& identity) override {
    return identity.attributes;
  }
  Result<bool> record_suspect(const SeriesSuspect&) override { return true; }
  Result<bool> is_beyond_limit(const SeriesCountRequest&) override { return false; }
  [[nodiscard]] Time latest_value_at_opening() const override { return {}; }
  Result<void> commit() override {
    if (failing) return failure(ErrorCode::transient, "Out of resources: ledger");
    ++commits;
    return {};
  }

  std::atomic<bool> failing = false;
  std::atomic<int> commits = 0;
};

// A filter whose type is its verdict.
class SaysFilter : public Filter {
 public:
  explicit SaysFilter(Result<Verdict> verdict) : verdict_(std::move(verdict)) {}
  Result<Verdict> apply(Instance& /*instance*/, Ledger& /*ledger*/) const override {
    return verdict_;
  }

 private:
  Result<Verdict> verdict_;
};

inline std::vector<FilterType> verdict_filters() {
  using Made = std::unique_ptr<Filter>;
  return {
      {"drops",
       [](config::Table&, const FilterContext&) -> Made {
         return std::make_unique<SaysFilter>(Verdict(Drop{"not wanted"}));
       }},
      {"rejects",
       [](config::Table&, const FilterContext&) -> Made {
         return std::make_unique<SaysFilter>(Verdict(Reject{0xC123, "not taken: bad UID"}));
       }},
      {"quarantines",
       [](config::Table&, const FilterContext&) -> Made {
         return std::make_unique<SaysFilter>(Verdict(Quarantine{"looks odd"}));
       }},
      {"fails",
       [](config::Table&, const FilterContext&) -> Made {
         return std::make_unique<SaysFilter>(failure(ErrorCode::transient, "the ledger is away"));
       }},
      {"breaks",
       [](config::Table&, const FilterContext&) -> Made {
         return std::make_unique<SaysFilter>(failure(ErrorCode::permanent, "cannot be edited"));
       }},
  };
}

// The two destinations and one listener that every test configuration has.
inline std::string configuration(const std::string& more) {
  return R"(
    [[listener]]
    address = "127.0.0.1"
    port = 104
    [[destination]]
    name = "pacs"
    address = "dicom://PACS@127.0.0.1:11113"
    [[destination]]
    name = "archive"
    address = "dicom://ARCHIVE@127.0.0.1:11114"
  )" + more;
}

// Everything an instance needs on its way, with a folder that goes with it.
struct Gateway {
  explicit Gateway(const std::string& toml = "[[route]]\ndestinations = [\"pacs\"]\n",
                   const std::string& gateway = "", const std::string& spool_folder = "") {
    config::Mistakes mistakes("test");
    config = config::parse("[gateway]\n" + gateway + configuration(toml), mistakes);
    const std::vector<FilterType> types = verdict_filters();
    pipeline = Pipeline::build(config, types, "site key", mistakes);
    if (!mistakes.empty()) throw std::runtime_error(mistakes.text());
    config.listeners.at(0).port = 0;
    path = spool_folder.empty() ? folder.path("spool") : spool_folder;
    auto opened = Spool::open(path);
    if (!opened) throw std::runtime_error(opened.error().message);
    spool = std::move(*opened);
  }

  [[nodiscard]] Services services() { return {*spool, queue, ledger, *pipeline}; }
  [[nodiscard]] Server::Parts parts() { return {*spool, queue, ledger}; }
  // With the configuration as it is now.
  [[nodiscard]] std::shared_ptr<const Setup> setup() const {
    return std::make_shared<const Setup>(Setup{nullptr, config, pipeline});
  }
  // Files of the spool, whole or in part.
  [[nodiscard]] std::size_t files() const {
    const std::filesystem::directory_iterator entries(path);
    return static_cast<std::size_t>(
        std::count_if(begin(entries), end(entries), [](const auto& entry) {
          return entry.path().extension() == ".dcm" || entry.path().extension() == ".part";
        }));
  }

  TemporaryFolder folder;
  std::string path;  // of the spool
  config::Config config;
  std::shared_ptr<const Pipeline> pipeline;
  std::unique_ptr<Spool> spool;
  FakeQueue queue;
  FakeLedger ledger;
};

}  // namespace sluice::test
