#include "filters/lookup/csv.h"

#include <algorithm>
#include <utility>

namespace sluice {

Result<bool> Csv::next() {
  while (at_ < text_.size()) {
    line_ = next_line_;
    const std::size_t begin = at_;
    fields_.clear();
    for (;;) {
      if (auto read = read_field(); !read) return tl::unexpected(read.error());
      if (at_ == text_.size() || is_at_line_end()) break;
      ++at_;  // the delimiter
    }
    const bool is_blank = at_ == begin;
    skip_line_end();
    if (!is_blank) return true;
  }
  return false;
}

// Ends at a delimiter, at the end of the line or of the text.
Result<void> Csv::read_field() {
  std::string& field = fields_.emplace_back();
  if (at_ < text_.size() && text_[at_] == '"') return read_quoted(field);
  const std::size_t begin = at_;
  while (at_ < text_.size() && text_[at_] != delimiter_ && !is_at_line_end()) {
    if (text_[at_] == '"') {
      return failure(ErrorCode::configuration,
                     "a quote inside a value; the value must stand in quotes, and the quote "
                     "in it twice");
    }
    ++at_;
  }
  field = text_.substr(begin, at_ - begin);
  return {};
}

Result<void> Csv::read_quoted(std::string& field) {
  for (++at_;; ++at_) {
    const std::size_t quote = text_.find('"', at_);
    if (quote == std::string_view::npos) {
      at_ = text_.size();
      return failure(ErrorCode::configuration, "a quote is opened and never closed");
    }
    const std::string_view part = text_.substr(at_, quote - at_);
    next_line_ += static_cast<std::size_t>(std::ranges::count(part, '\n'));
    field += part;
    at_ = quote + 1;
    if (at_ == text_.size() || text_[at_] != '"') break;
    field += '"';
  }
  if (at_ == text_.size() || text_[at_] == delimiter_ || is_at_line_end()) return {};
  return failure(ErrorCode::configuration, "text behind a closing quote");
}

bool Csv::is_at_line_end() const {
  return text_[at_] == '\n' ||
         (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
}

void Csv::skip_line_end() {
  if (at_ == text_.size()) return;
  at_ += text_[at_] == '\r' ? 2 : 1;
  ++next_line_;
}

}  // namespace sluice
