#include "gateway/deliver/sender_pool.h"

#include <algorithm>

namespace sluice {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void SenderPool::add(std::unique_ptr<Sender> sender) {
  const std::lock_guard lock(mutex_);
  senders_.push_back(std::move(sender));
  free_.reserve(senders_.size());
  free_.insert(free_.begin(), {senders_.back().get(), steady_clock::now()});
}

SenderPool::Lease SenderPool::take_locked(std::vector<Free>::iterator which) {
  Sender& sender = *which->sender;
  free_.erase(which);
  return {*this, sender};
}

std::vector<SenderPool::Free>::iterator SenderPool::last_open() {
  const auto found = std::find_if(free_.rbegin(), free_.rend(),
                                  [](const Free& free) { return free.sender->is_open(); });
  return found == free_.rend() ? free_.end() : std::prev(found.base());
}

SenderPool::Lease SenderPool::take(SteadyTime until) {
  std::unique_lock lock(mutex_);
  const auto is_ready = [this] { return closed_ || !free_.empty(); };
  if (until == SteadyTime::max()) {
    changed_.wait(lock, is_ready);
  } else {
    changed_.wait_until(lock, until, is_ready);
  }
  if (closed_ || free_.empty()) return {};
  const auto open = last_open();
  return take_locked(open != free_.end() ? open : std::prev(free_.end()));
}

SenderPool::Lease SenderPool::take_open(SteadyTime until, bool& wants_more) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (closed_) return {};
    if (const auto open = last_open(); open != free_.end()) return take_locked(open);
    if (free_.size() == senders_.size()) return {};
    wants_more = !free_.empty();
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) return {};
  }
}

SenderPool::Lease SenderPool::take_closed() {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::ranges::find_if(free_, [](const Free& free) { return !free.sender->is_open(); });
  return closed_ || found == free_.end() ? Lease() : take_locked(found);
}

void SenderPool::give_back(Sender& sender) noexcept {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back({&sender, steady_clock::now()});
  }
  changed_.notify_one();
}

// Each is taken out meanwhile: to end an association takes a while.
void SenderPool::rest(milliseconds at_least) {
  constexpr milliseconds kInterval{500};
  const SteadyTime now = steady_clock::now();
  std::vector<Free> resting;
  {
    const std::lock_guard lock(mutex_);
    if (at_least.count() == 0 && now < next_rest_) return;
    next_rest_ = now + kInterval;
    resting = free_;
  }
  for (const Free& one : resting) {
    std::unique_lock lock(mutex_);
    const auto found = std::ranges::find(free_, one.sender, &Free::sender);
    if (found == free_.end() || found->since != one.since) continue;
    free_.erase(found);
    lock.unlock();
    const auto put_back = [&] {  // as long unused as before
      lock.lock();
      free_.insert(free_.begin(), one);
    };
    try {
      one.sender->idle(
          std::max(at_least, std::chrono::duration_cast<milliseconds>(now - one.since)));
    } catch (...) {
      put_back();
      throw;
    }
    put_back();
  }
}

void SenderPool::interrupt() {
  for (const auto& sender : senders_) sender->interrupt();
}

void SenderPool::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace sluice
