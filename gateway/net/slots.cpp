#include "gateway/net/slots.h"

#include <utility>

namespace sluice::net {

class Slots::Taken final : public Slot {
 public:
  Taken(std::shared_ptr<Slots> slots, std::string address)
      : slots_(std::move(slots)), address_(std::move(address)) {}
  ~Taken() override { slots_->give_back(address_); }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

 private:
  std::shared_ptr<Slots> slots_;
  std::string address_;
};

std::unique_ptr<Slot> Slots::take(const std::string& address) {
  {
    const std::lock_guard lock(mutex_);
    if (count_ >= in_all_) return nullptr;
    int& of_address = addresses_[address];
    if (of_address >= per_address_) return nullptr;
    ++of_address;
    ++count_;
  }
  return std::make_unique<Taken>(shared_from_this(), address);
}

void Slots::set_limits(int in_all, int per_address) {
  const std::lock_guard lock(mutex_);
  in_all_ = in_all;
  per_address_ = per_address;
}

void Slots::give_back(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --count_;
  const auto place = addresses_.find(address);
  if (--place->second == 0) addresses_.erase(place);
}

}  // namespace sluice::net
