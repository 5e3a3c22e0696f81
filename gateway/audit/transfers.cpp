#include "gateway/audit/transfers.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "gateway/base/counter.h"

namespace sluice::audit {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostStudies = 64;
constexpr std::size_t kMostSopClasses = 64;  // of one study
constexpr std::chrono::minutes kLongest{1};

void count_lost() noexcept {
  try {
    count("sluice_audit_lost_total", {{"reason", "memory"}});
  } catch (const std::exception&) {
    return;  // nobody can be told
  }
}

}  // namespace

Transfers::Transfers(Recorder* recorder, Route route)
    : recorder_(recorder), route_(std::move(route)) {}

std::list<Transfers::Entry>::iterator Transfers::find(const Subject& subject) {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.subject.study_instance_uid == subject.study_instance_uid &&
           entry.subject.patient_id == subject.patient_id;
  });
  if (found != entries_.begin() && found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
  }
  return found;
}

void Transfers::begin(const Subject& subject, const std::string& sop_class_uid,
                      Time time) noexcept {
  if (!is_on()) return;
  try {
    if (find(subject) != entries_.end()) return;
    if (entries_.size() >= kMostStudies) {
      tell(entries_.back());
      entries_.pop_back();
    }
    entries_.push_front({subject, {}, {}});
    recorder_->transfer_begun(route_, subject, sop_class_uid, time);
  } catch (const std::exception&) {
    count_lost();
  }
}

void Transfers::add(const Subject& subject, const std::string& sop_class_uid, Outcome outcome,
                    const std::string& reason) noexcept {
  if (!is_on()) return;
  try {
    const auto entry = find(subject);
    if (entry == entries_.end()) return;
    const auto now = steady_clock::now();
    if (entry->sums.empty()) entry->since = now;
    Sum& sum = entry->sums[outcome];
    ++sum.sop_classes[sop_class_uid];
    if (!reason.empty()) sum.reason = reason;
    if (now - entry->since < kLongest && sum.sop_classes.size() < kMostSopClasses) return;
    tell(*entry);
    entry->sums.clear();
  } catch (const std::exception&) {
    count_lost();
  }
}

void Transfers::tell(const Entry& entry) noexcept {
  for (const auto& [outcome, sum] : entry.sums) {
    recorder_->transferred(route_, entry.subject, sum.sop_classes, outcome, sum.reason);
  }
}

void Transfers::tell() noexcept {
  // In the order in which the studies came.
  std::for_each(entries_.rbegin(), entries_.rend(), [this](const Entry& entry) { tell(entry); });
  // What has begun and come to nothing yet goes on: a destination that is away is tried
  // again and again, and need not begin each time.
  std::erase_if(entries_, [](const Entry& entry) { return !entry.sums.empty(); });
}

}  // namespace sluice::audit
