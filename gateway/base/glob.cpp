#include "gateway/base/glob.h"

namespace sluice {

bool matches_glob(std::string_view glob, std::string_view text) {
  // Greedy with one way back: on a mismatch the last star takes one more character.
  std::size_t glob_at = 0;
  std::size_t text_at = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (text_at < text.size()) {
    if (glob_at < glob.size() && glob[glob_at] == '*') {
      star = glob_at++;
      star_text = text_at;
    } else if (glob_at < glob.size() && (glob[glob_at] == '?' || glob[glob_at] == text[text_at])) {
      ++glob_at;
      ++text_at;
    } else if (star != std::string_view::npos) {
      glob_at = star + 1;
      text_at = ++star_text;
    } else {
      return false;
    }
  }
  return glob.substr(glob_at).find_first_not_of('*') == std::string_view::npos;
}

}  // namespace sluice
