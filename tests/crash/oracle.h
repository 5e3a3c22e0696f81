// What senders were told against what the PACS got. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/generated.h"
#include "tests/deliver/scripted_pacs.h"

namespace sluice::test {

class Oracle {
 public:
  struct Table {
    std::size_t acknowledged = 0;
    std::size_t refused = 0;    // answers other than 0000
    std::size_t delivered = 0;  // instances, each once
    std::size_t duplicates = 0;
    std::size_t lost = 0;       // acknowledged and not delivered
    std::size_t altered = 0;    // delivered with other bytes than declared
    std::size_t forwarded = 0;  // refused, never acknowledged, and delivered all the same
  };

  // An answer that did not come says nothing: the instance may be there.
  void answered(const Generated& instance, std::size_t status) {
    const std::lock_guard lock(mutex_);
    Told& told = told_[instance.sop_instance_uid];
    if (status == 0) {
      told.acknowledged = true;
    } else {
      ++refused_;
    }
  }
  void unanswered(const Generated& instance) {
    const std::lock_guard lock(mutex_);
    told_[instance.sop_instance_uid].unanswered = true;
  }

  // Of the PACS: `number` is what the instance was made from.
  void delivered(const StoredByPacs& stored) {
    const std::size_t dot = stored.sop_instance_uid.rfind('.');
    const Generated original =
        generated_instance(std::stoull(stored.sop_instance_uid.substr(dot + 1)));
    const Split sent = without_series_number(original.data_set);
    const Split got = without_series_number(stored.data_set);
    const std::lock_guard lock(mutex_);
    ++deliveries_;
    arrived_.insert(stored.sop_instance_uid);
    const auto [number, is_new] = series_.emplace(original.series_instance_uid, got.series_number);
    if (got.rest != sent.rest || number->second != got.series_number) {
      altered_.insert(stored.sop_instance_uid);
    }
  }

  [[nodiscard]] std::size_t acknowledged() const { return table().acknowledged; }

  // True once all that was acknowledged has arrived.
  [[nodiscard]] bool is_complete() const { return table().lost == 0; }

  [[nodiscard]] Table table() const {
    const std::lock_guard lock(mutex_);
    Table made;
    for (const auto& [uid, told] : told_) {
      const bool arrived = arrived_.contains(uid);
      if (told.acknowledged) {
        ++made.acknowledged;
        if (!arrived) ++made.lost;
      } else if (arrived && !told.unanswered) {
        ++made.forwarded;
      }
    }
    made.refused = refused_;
    made.delivered = arrived_.size();
    made.duplicates = deliveries_ - arrived_.size();
    made.altered = altered_.size();
    return made;
  }

 private:
  struct Told {
    bool acknowledged = false;
    bool unanswered = false;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Told> told_;
  std::set<std::string> arrived_;
  std::set<std::string> altered_;
  std::map<std::string, std::string> series_;  // the number that its first delivery had
  std::size_t refused_ = 0;
  std::size_t deliveries_ = 0;
};

}  // namespace sluice::test
