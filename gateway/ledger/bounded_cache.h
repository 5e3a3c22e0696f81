// A map that forgets everything when it is full. What it forgets can be read again, so
// nothing better is needed.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

namespace sluice {

template <typename Value>
class BoundedCache {
 public:
  explicit BoundedCache(std::size_t limit) : limit_(limit) {}

  // nullptr when unknown; valid until the next set() or clear().
  [[nodiscard]] const Value* find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] Value* find(const std::string& key) {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  void set(const std::string& key, Value value) {
    if (values_.size() >= limit_) values_.clear();
    values_.insert_or_assign(key, std::move(value));
  }
  void clear() { values_.clear(); }

 private:
  std::size_t limit_;
  std::unordered_map<std::string, Value> values_;
};

}  // namespace sluice
