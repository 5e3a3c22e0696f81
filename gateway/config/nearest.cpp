#include "gateway/config/nearest.h"

#include <algorithm>
#include <vector>

#include "gateway/base/log.h"

namespace sluice::config {
namespace {

char lower(char character) {
  if (character >= 'A' && character <= 'Z') return static_cast<char>(character - 'A' + 'a');
  return character;
}

// Optimal string alignment, by three rows of the table of distances.
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(right.size() + 1);
  for (std::size_t column = 0; column <= right.size(); ++column) last[column] = column;
  for (std::size_t row = 1; row <= left.size(); ++row) {
    std::vector<std::size_t> current(right.size() + 1);
    current[0] = row;
    for (std::size_t column = 1; column <= right.size(); ++column) {
      const char mine = lower(left[row - 1]);
      const char theirs = lower(right[column - 1]);
      const std::size_t replaced = last[column - 1] + (mine == theirs ? 0 : 1);
      current[column] = std::min({replaced, last[column] + 1, current[column - 1] + 1});
      if (row > 1 && column > 1 && mine == lower(right[column - 2]) &&
          lower(left[row - 2]) == theirs) {
        current[column] = std::min(current[column], before_last[column - 2] + 1);
      }
    }
    before_last = std::move(last);
    last = std::move(current);
  }
  return last.back();
}

}  // namespace

std::optional<std::string> nearest(std::string_view name, std::span<const std::string> known) {
  constexpr std::size_t kLongestName = 100;  // no one mistypes a longer one; it would only cost
  if (name.size() > kLongestName) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    if (candidate.size() > kLongestName) continue;
    const std::size_t found = distance(name, candidate);
    if (found > std::max(name.size(), candidate.size()) / 3) continue;
    if (!best || found < best_distance) {
      best = candidate;
      best_distance = found;
    }
  }
  return best;
}

std::string suggestion(std::string_view name, std::span<const std::string> known) {
  if (const auto near = nearest(name, known)) return "; did you mean '" + log::escape(*near) + "'?";
  const std::string names = join(known);
  return names.empty() ? "" : "; known here: " + names;
}

std::string join(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) {
    if (name.empty()) continue;  // forgotten, which is a mistake of its own
    if (!text.empty()) text += ", ";
    text += log::escape(name);
  }
  return text;
}

}  // namespace sluice::config
