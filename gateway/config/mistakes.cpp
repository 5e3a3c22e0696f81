#include <algorithm>

#include "gateway/config/table.h"

namespace sluice::config {

std::string Mistakes::text() const {
  std::vector<Mistake> sorted = list_;
  for (const Mistake& warning : warnings_) {
    sorted.push_back({warning.line, "warning: " + warning.message});
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Mistake& left, const Mistake& right) {
    return left.line < right.line;
  });
  std::string text;
  for (const Mistake& mistake : sorted) {
    text += file_;
    if (mistake.line > 0) text += ":" + std::to_string(mistake.line);
    text += ": " + mistake.message + "\n";
  }
  return text;
}

}  // namespace sluice::config
