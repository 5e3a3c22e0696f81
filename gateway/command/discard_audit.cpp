#include "gateway/command/discard_audit.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <utility>

#include "gateway/audit/recorder.h"
#include "gateway/audit/trail.h"
#include "gateway/command/image_file.h"
#include "gateway/command/setup.h"

namespace sluice::command {
namespace {

constexpr std::size_t kMost = 1'000'000;
constexpr DeliveryState kDiscardable[] = {DeliveryState::ready, DeliveryState::deferred,
                                          DeliveryState::held, DeliveryState::quarantined};

}  // namespace

DiscardAudit::DiscardAudit(const config::Config& config, QueueFilter filter)
    : config_(&config), filter_(std::move(filter)), begun_(std::chrono::system_clock::now()) {
  filter_.limit = kMost;
}

Result<DiscardAudit> DiscardAudit::begin(const config::Config& config, Queue& queue,
                                         const QueueFilter& filter) {
  DiscardAudit record(config, filter);
  if (config.audit.destinations.empty()) return record;
  if (auto usable = audit::Trail::add_beside(audit_file(config), {}); !usable) {
    return tl::unexpected(usable.error());
  }
  QueueFilter candidates = record.filter_;
  if (candidates.states.empty()) {
    candidates.states.assign(std::begin(kDiscardable), std::end(kDiscardable));
  }
  const auto entries = queue.list(candidates);
  if (!entries) return tl::unexpected(entries.error());
  for (const QueueEntry& entry : *entries) record.remember(entry.instance);
  return record;
}

// A file that cannot be read any more leaves the patient unknown; the study is in its row.
void DiscardAudit::remember(const InstanceRow& instance) {
  if (of_instance_.contains(instance.id)) return;
  audit::Subject subject;
  subject.study_instance_uid = instance.study_instance_uid;
  if (const auto header = read_image(spool_folder(*config_) + "/" + instance.id + ".dcm")) {
    subject.patient_id = text_of(*header, dicom::tags::kPatientId);
    subject.patient_name = text_of(*header, dicom::tags::kPatientName);
    subject.specific_character_set = text_of(*header, dicom::tags::kSpecificCharacterSet);
  }
  const auto known = std::ranges::find_if(subjects_, [&](const audit::Subject& each) {
    return each.study_instance_uid == subject.study_instance_uid &&
           each.patient_id == subject.patient_id;
  });
  of_instance_[instance.id] = static_cast<std::size_t>(known - subjects_.begin());
  if (known == subjects_.end()) subjects_.push_back(std::move(subject));
}

Result<void> DiscardAudit::end(Queue& queue, const audit::Person& person,
                               const std::string& reason) {
  if (config_->audit.destinations.empty()) return {};
  QueueFilter filter = filter_;
  filter.states = {DeliveryState::discarded};
  auto found = queue.list(filter);
  if (!found) return tl::unexpected(found.error());
  std::erase_if(*found, [&](const QueueEntry& entry) {
    return entry.delivery.updated_at < std::chrono::floor<std::chrono::microseconds>(begun_) ||
           !of_instance_.contains(entry.instance.id);
  });
  const auto events = this->events(*found, queue, person, reason);
  if (!events) return tl::unexpected(events.error());
  std::vector<audit::Message> messages;
  const audit::Self self = audit::self_of(*config_);
  for (const audit::Event& event : *events) {
    messages.push_back(audit::message_of(event, self, audit::source_of(*config_)));
  }
  return audit::Trail::add_beside(audit_file(*config_), messages);
}

// One for each patient and study; apart, what is still to be delivered elsewhere.
Result<std::vector<audit::Event>> DiscardAudit::events(const std::vector<QueueEntry>& discarded,
                                                       Queue& queue, const audit::Person& person,
                                                       const std::string& reason) const {
  std::map<std::pair<std::size_t, bool>, audit::SopClasses> sums;
  std::set<std::string_view> seen;
  for (const QueueEntry& entry : discarded) {
    if (!seen.insert(entry.instance.id).second) continue;
    QueueFilter unfinished;
    unfinished.instance_id = entry.instance.id;
    unfinished.states.assign(std::begin(kDiscardable), std::end(kDiscardable));
    unfinished.states.push_back(DeliveryState::sending);
    const auto left = queue.list(unfinished);
    if (!left) return tl::unexpected(left.error());
    ++sums[{of_instance_.at(entry.instance.id), left->empty()}][entry.instance.sop_class_uid];
  }
  std::vector<audit::Event> events;
  events.reserve(sums.size());
  for (const auto& [key, sop_classes] : sums) {
    events.push_back(audit::instances_deleted(audit::self_of(*config_), person, reason,
                                              subjects_[key.first], sop_classes, key.second,
                                              std::chrono::system_clock::now()));
  }
  return events;
}

}  // namespace sluice::command
