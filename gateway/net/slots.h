// How many associations there are, in all and per address. Safe from any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "gateway/net/listener_rules.h"

namespace sluice::net {

class Slots : public std::enable_shared_from_this<Slots> {
 public:
  Slots(int in_all, int per_address) : in_all_(in_all), per_address_(per_address) {}

  // nullptr when a limit is reached. The slot keeps the counters alive.
  [[nodiscard]] std::unique_ptr<Slot> take(const std::string& address);

  // For those that come; who has a slot keeps it.
  void set_limits(int in_all, int per_address);

 private:
  class Taken;
  void give_back(const std::string& address);

  std::mutex mutex_;  // guards what follows
  int in_all_;
  int per_address_;
  int count_ = 0;
  std::map<std::string, int> addresses_;  // only those with an association
};

}  // namespace sluice::net
