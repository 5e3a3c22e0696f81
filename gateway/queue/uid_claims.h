// Who adds an instance under which SOP Instance UID at this moment: one at a time, so that
// nobody decides by a history in which another's instance is missing still.
//
//   const auto claim = claims.claim(uid, until);   // waits for another; nullopt: it lasts
//   ... the history is asked, the instance is relayed, its rows are added ...
//
// Safe from any thread. It must outlive its claims.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

namespace sluice {

class UidClaims {
 public:
  class Claim {
   public:
    Claim(UidClaims& claims, const std::string* uid) : claims_(&claims), uid_(uid) {}
    ~Claim() { release(); }
    Claim(Claim&& other) noexcept
        : claims_(other.claims_), uid_(std::exchange(other.uid_, nullptr)) {}
    Claim& operator=(Claim&&) = delete;
    void release() {
      if (uid_ != nullptr) claims_->release(*std::exchange(uid_, nullptr));
    }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    UidClaims* claims_;
    const std::string* uid_;  // in the set, whose elements stay where they are
  };

  [[nodiscard]] std::optional<Claim> claim(const std::string& uid,
                                           std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto [place, is_new] = claimed_.insert(uid);
      if (is_new) return Claim(*this, &*place);
      if (released_.wait_until(lock, until) == std::cv_status::timeout) return std::nullopt;
    }
  }

 private:
  void release(const std::string& uid) noexcept {
    {
      const std::lock_guard lock(mutex_);
      claimed_.erase(claimed_.find(uid));
    }
    released_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable released_;
  std::unordered_set<std::string> claimed_;
};

}  // namespace sluice
