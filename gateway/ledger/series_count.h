// How many instances of a series and modality came, and when their limit was reached.
//
// A chain runs again when an instance is sent, and the ledger is not told which run it is
// asked in. So an instance is known by its time of receipt: each counts once, as long as it is
// among the kWindow latest, and not at all when it is older than they are. What comes on several
// associations at once gets out of order by less than that.
//
// Nothing is written per instance: `stored` is what the file has, and is written at every
// kStep-th, and when the limit is reached. What was counted behind that is lost with the process:
// the count is a lower bound then. What is sent again by the modality counts again.
//
// Once the limit is reached, that time decides and nothing is counted: an instance received
// before it passes and one received later is beyond the limit, whenever it is asked for. It is
// later than the receipt of each instance that was asked for before, so what passed on receipt
// passes when it is sent.
//
// One thread at a time. Times are microseconds since 1970 UTC.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice {

struct StoredSeriesCount {
  std::int64_t instances = 0;
  std::int64_t counted_until = 0;  // the latest receipt that is in `instances`
  std::int64_t limit = 0;          // that was reached; 0: none
  std::int64_t reached_at = 0;
};

class SeriesCount {
 public:
  static constexpr std::size_t kWindow = 32;
  static constexpr std::int64_t kStep = 100;

  explicit SeriesCount(const StoredSeriesCount& stored)
      : stored_(stored), instances_(stored.instances), older_than_window_(stored.counted_until) {}

  // One that a configuration has since raised is still to be reached.
  [[nodiscard]] bool has_reached(std::int64_t limit) const {
    return stored_.limit != 0 && limit <= stored_.limit;
  }
  [[nodiscard]] bool is_beyond(std::int64_t limit, std::int64_t received_at) const {
    return has_reached(limit) && received_at >= stored_.reached_at;
  }

  void add(std::int64_t received_at) {
    const auto place = std::ranges::lower_bound(window_, received_at);
    if (received_at <= older_than_window_) return;
    if (place != window_.end() && *place == received_at) return;
    window_.insert(place, received_at);
    ++instances_;
    if (window_.size() <= kWindow) return;
    older_than_window_ = window_.front();
    window_.erase(window_.begin());
  }

  [[nodiscard]] std::int64_t instances() const { return instances_; }
  [[nodiscard]] bool is_step() const { return instances_ >= stored_.instances + kStep; }

  // What is to be written now.
  const StoredSeriesCount& store() {
    stored_.instances = instances_;
    if (!window_.empty()) stored_.counted_until = window_.back();
    return stored_;
  }
  const StoredSeriesCount& reach(std::int64_t limit, std::int64_t now) {
    store();
    stored_.limit = limit;
    stored_.reached_at = std::max(now, stored_.counted_until + 1);
    return stored_;
  }

 private:
  StoredSeriesCount stored_;
  std::int64_t instances_;
  std::int64_t older_than_window_;
  std::vector<std::int64_t> window_;  // ascending
};

}  // namespace sluice
