// The senders of one destination, each lent to one thread at a time: to workers, and to
// receiving threads that relay.
//
// Safe from any thread. It must outlive what it lends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "gateway/deliver/sender.h"

namespace sluice {

class SenderPool {
 public:
  // Lent until it is destroyed; may hold none.
  class Lease {
   public:
    Lease() = default;
    ~Lease() {
      if (sender_ != nullptr) pool_->give_back(*sender_);
    }
    Lease(Lease&& other) noexcept
        : pool_(other.pool_), sender_(std::exchange(other.sender_, nullptr)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(sender_, other.sender_);
      return *this;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    explicit operator bool() const { return sender_ != nullptr; }
    Sender* operator->() const { return sender_; }
    Sender& operator*() const { return *sender_; }

   private:
    friend class SenderPool;
    Lease(SenderPool& pool, Sender& sender) : pool_(&pool), sender_(&sender) {}
    SenderPool* pool_ = nullptr;
    Sender* sender_ = nullptr;
  };

  void add(std::unique_ptr<Sender> sender);

  // One, with an open association if possible. None once close() was called, or none came
  // back until then.
  [[nodiscard]] Lease take(SteadyTime until = SteadyTime::max());
  // One with an open association. Waits while one that is lent may come back. `wants_more` is
  // set where it had to wait although another could be opened.
  [[nodiscard]] Lease take_open(SteadyTime until, bool& wants_more);
  // One without an association; none when all have one or are lent.
  [[nodiscard]] Lease take_closed();

  // Tells those that are not lent how long they have rested; `at_least` this long. May be
  // called often: looks twice a second.
  void rest(std::chrono::milliseconds at_least = {});
  void interrupt();
  // Nothing is lent any more.
  void close();

 private:
  struct Free {
    Sender* sender = nullptr;
    SteadyTime since;
  };
  void give_back(Sender& sender) noexcept;
  [[nodiscard]] Lease take_locked(std::vector<Free>::iterator which);
  [[nodiscard]] std::vector<Free>::iterator last_open();

  std::vector<std::unique_ptr<Sender>> senders_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Free> free_;  // the last used one at the end
  SteadyTime next_rest_;
  bool closed_ = false;
};

}  // namespace sluice
