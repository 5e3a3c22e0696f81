// What became of all that was ever accepted, so that nothing vanishes without a name.
//
// Every delivery that the queue took is counted at once as `accepted`, and is in one place
// only: ended, which is counted in the same commit that ends it, or in a row that waits or
// rests. The counts outlive rows of history; rows that are not ended are counted when the
// sum is asked for. So a row that is gone, or one that was ended and is not any more, shows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

class Queue;

struct DeliverySum {
  std::string destination = {};  // "" of what has none: quarantined or dropped
  std::uint64_t accepted = 0;
  // Counted when it happens.
  std::uint64_t delivered = 0;
  std::uint64_t dropped = 0;
  std::uint64_t discarded = 0;  // by a person, or for its age
  std::uint64_t replaced = 0;   // the same bytes came again and took its place
  std::uint64_t rerouted = 0;   // left quarantine for deliveries that were accepted in its place
  // Rows that are there.
  std::uint64_t ready = 0;
  std::uint64_t sending = 0;
  std::uint64_t deferred = 0;
  std::uint64_t held = 0;
  std::uint64_t quarantined = 0;

  [[nodiscard]] std::uint64_t waiting() const { return ready + sending + deferred; }
  [[nodiscard]] bool adds_up() const {
    return accepted ==
           delivered + dropped + discarded + replaced + rerouted + waiting() + held + quarantined;
  }
};

struct InstanceSum {
  std::uint64_t accepted = 0;
  std::uint64_t finished = 0;    // counted when its last delivery ends
  std::uint64_t unfinished = 0;  // has a row that waits or rests

  [[nodiscard]] bool adds_up() const { return accepted == finished + unfinished; }
};

struct Sums {
  InstanceSum instances = {};
  std::vector<DeliverySum> deliveries = {};  // one a destination, by name

  [[nodiscard]] bool add_up() const;
};

// A line at level error and a count for each sum that does not add up. True when all do.
bool check_sums(Queue& queue);

}  // namespace sluice
